"""The faults, and what must be true of every process after each."""

from dataclasses import replace

from faults.ranks import TIMEOUT, Fault
from faults.starting import End

GONE = ("kill", "exit", "stop", "raise", "linear")
DIFFERENT = ("skip", "repeat", "channels", "dtype", "layer")
OWN = {"raise": "ValueError", "linear": "RuntimeError", "shape": "BadShape"}

FAULTS = (
    Fault("kill", 1),
    Fault("kill", 1, inside=True, world=3, victim=2),
    Fault("kill", 2, world=4, victim=2),
    Fault("kill", 3, world=3, victim=1),
    Fault("kill", 4, inside=True, world=4, victim=3),
    Fault("kill", 5, world=3, victim=2),
    Fault("kill", 2, world=3, victim=0),
    Fault("kill", 4, inside=True, world=4, victim=0),
    Fault("exit", 2, world=3, victim=1),
    Fault("exit", 3, world=2, victim=0),
    Fault("raise", 4, world=4, victim=1),
    Fault("stop", 1, world=2, victim=1),
    Fault("stop", 3, world=4, victim=2),
    Fault("stop", 2, world=3, victim=0),
    Fault("kill", 2, world=4, victim=3, halves=True),
    Fault("stop", 4, world=4, victim=2, halves=True),
    Fault("kill", 1, world=2, victim=1, ddp=True),
    Fault("kill", 3, world=3, victim=0, ddp=True),
    Fault("kill", 5, world=3, victim=2, ddp=True),
    Fault("stop", 5, world=3, victim=1, ddp=True),
    Fault("other", 2, world=3),
    Fault("other", 3, world=2, victim=0),
    Fault("skip", world=3),
    Fault("skip", world=3, ddp=True),
    Fault("repeat", world=4, victim=0),
    Fault("extra", world=3),
    Fault("linear", world=3),
    Fault("shape", world=3, victim=2),
    Fault("channels", world=4),
    Fault("dtype", world=2),
    Fault("layer", world=3, victim=0),
)
CASES = tuple(replace(fault, mailbox=mailbox) for mailbox in (True, False) for fault in FAULTS)


def complaints(fault: Fault, ends: list[End]) -> list[str]:
    """What is not as it must be."""
    return [f"{end}: {said}" for end in ends for said in wrong(fault, end)]


def wrong(fault: Fault, end: End) -> list[str]:
    if end.code is None:
        return ["hung"]
    victim = end.rank == fault.victim
    if victim and fault.kind in ("kill", "exit"):
        return []
    untouched = fault.halves and end.rank // 2 != fault.victim // 2
    if untouched or (fault.kind == "extra" and not victim):
        return ["did not end well"] * (end.code != 0)
    checks = {
        "ended well": end.code != 0,
        "too late": end.seconds <= TIMEOUT + 5,
        "another error": end.error == (OWN.get(fault.kind) if victim else None) or said(end, fault),
    }
    return [name for name, holds in checks.items() if not holds]


def said(end: End, fault: Fault) -> bool:
    """Whether the error names the layer, the exchange's number, and who is missing."""
    named = "exchange " in end.text and any(n in end.text for n in ("first", "second", "third"))
    if fault.kind in GONE:
        # In a mailbox a message is there once it is sent: its rank is missed at the next exchange.
        last = fault.exchange + (fault.inside and fault.mailbox)
        # DDP sends buffers before the first exchange and gradients after the last.
        numbers = (last - 1, last) if fault.ddp else (last,)
        named = named and end.text.startswith(f"rank {fault.victim} is missing ")
        named = named and (
            fault.kind == "linear" or any(f"exchange {n}," in end.text for n in numbers)
        )
    if fault.kind in DIFFERENT:
        named = named and f"rank {fault.victim}: exchange " in end.text
    return end.error == "RanksDiffer" and named
