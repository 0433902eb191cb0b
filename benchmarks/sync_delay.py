"""SyncBatchNorm between network namespaces with added latency, as root: `python sync_delay.py 1`.

The argument is the delay in milliseconds, one way. Each namespace has a TUN device, and this process
carries the packets between them, each after the delay: what `tc netem` does where the kernel has it.
"""

import ctypes
import fcntl
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread

_TUNSETIFF, _TUN, _NO_INFO, _NEW_NETWORK = 0x400454CA, 0x0001, 0x1000, 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
SPACES = ("evenkeel0", "evenkeel1")
RESULTS = Path(__file__).parent / "results" / "sync_delay.json"


def ip(*words: str, space: str = "") -> None:
    """The command of that name, in a namespace."""
    before = ["ip", "netns", "exec", space] if space else []
    subprocess.run([*before, "ip", *words], check=True)


@contextmanager
def inside(space: str) -> Iterator[None]:
    """What this thread does in the network namespace."""
    with Path("/proc/self/ns/net").open() as own, Path(f"/run/netns/{space}").open() as other:
        enter(other.fileno())
        try:
            yield
        finally:
            enter(own.fileno())


def enter(space: int) -> None:
    """Make this network namespace that of the calling thread."""
    if _LIBC.setns(space, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")


def device(space: str, address: str) -> int:
    """A TUN device in the namespace; its file."""
    with inside(space):
        file = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH14x", b"ek0", _TUN | _NO_INFO))
    ip("addr", "add", f"{address}/24", "dev", "ek0", space=space)
    ip("link", "set", "ek0", "up", space=space)
    ip("link", "set", "lo", "up", space=space)
    return file


def carry(source: int, target: int, delay: float) -> None:
    """Every packet of one device to the other, after the delay."""
    packets: Queue[tuple[float, bytes]] = Queue()

    def deliver() -> None:
        while True:
            due, packet = packets.get()
            time.sleep(max(due - time.perf_counter(), 0))
            os.write(target, packet)

    Thread(target=deliver, daemon=True).start()
    while True:
        packet = os.read(source, 65536)
        packets.put((time.perf_counter() + delay, packet))


def ranks(part: str, seconds: float) -> list[dict[str, object]]:
    """Rank 0's rows of a part of sync_ranks, one process in each namespace."""
    code = (
        "import sys, json, queue, sync_ranks\n"
        "class Told:\n"
        "    put = staticmethod(lambda rows: print(json.dumps(rows), flush=True))\n"
        "    close = join_thread = staticmethod(lambda: None)\n"
        f"sync_ranks.run(int(sys.argv[1]), 2, 'tcp://10.97.0.1:29555', {part!r}, ({seconds},), Told)\n"
    )
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "ek0", "OMP_NUM_THREADS": "1"}
    environment["EVENKEEL_MAILBOX"] = "off"  # two machines
    every = [
        subprocess.Popen(
            ["ip", "netns", "exec", space, sys.executable, "-c", code, str(rank)],
            env=environment,
            cwd=Path(__file__).parent,
            stdout=subprocess.PIPE,
        )
        for rank, space in enumerate(SPACES)
    ]
    try:
        told, _ = every[0].communicate(timeout=120)
    finally:
        for process in every:
            process.kill()
    rows: list[dict[str, object]] = json.loads(told)
    return rows


def main() -> None:
    """Measure with the delay, and leave no namespace behind."""
    delay = float(sys.argv[1]) * 1e-3
    for space in SPACES:
        ip("netns", "add", space)
    try:
        first, second = (device(s, f"10.97.0.{k}") for k, s in enumerate(SPACES, 1))
        for source, target in ((first, second), (second, first)):
            Thread(target=carry, args=(source, target, delay), daemon=True).start()
        rows = {part: ranks(part, seconds) for part, seconds in (("bare", 1.0), ("layer", 2.0))}
    finally:
        for space in SPACES:
            ip("netns", "del", space)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept[f"{sys.argv[1]} ms one way"] = rows
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    sys.stdout.write(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
