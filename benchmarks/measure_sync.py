"""What SyncBatchNorm's messages cost: `python benchmarks/measure_sync.py bare layer steps model plot`.

Each part is measured anew and joins results/sync.json. "bare" times gloo's collectives with 2 and 4
local processes, "layer" one layer, "steps" whole training steps; "model" fits latency and bandwidth to
the first, compares its predictions with the others and carries them to 1,000 workers; "plot" draws it.
"""

import json
import multiprocessing
import socket
import sys
from collections.abc import Callable
from math import ceil, log2
from pathlib import Path
from typing import Any

import sync_ranks

RESULTS = Path(__file__).parent / "results" / "sync.json"
# Latency in seconds and seconds a byte, as stated for each: nominal figures, not measured here.
NETWORKS = {
    "10 GbE, gloo": (50e-6, 8 / 10e9),
    "100 Gb/s InfiniBand, NCCL": (5e-6, 8 / 100e9),
}
WORKERS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
MESSAGE = 4232
COLLECTIVES = ("all_gather", "all_reduce", "mailbox")
Rows = list[dict[str, Any]]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ran(part: str, world: int, *arguments: Any) -> Rows:
    """A part's rows from rank 0 of so many processes."""
    spawn = multiprocessing.get_context("spawn")
    told: Any = spawn.Queue()
    address = f"tcp://127.0.0.1:{free_port()}"
    every = [
        spawn.Process(target=sync_ranks.run, args=(rank, world, address, part, arguments, told))
        for rank in range(world)
    ]
    for process in every:
        process.start()
    try:
        rows: Rows = told.get(timeout=250)
    finally:
        for process in every:
            process.join(5)
            process.kill()
    return [{"processes": world, **row} for row in rows]


def fitted(rows: Rows, name: str, world: int) -> tuple[float, float]:
    """Seconds, and seconds a byte, of one collective: least squares on relative errors.

    Of the fastest tenth: with more processes than cores the median is that of the scheduler.
    """
    points = [(r["bytes"], r[name]["fast"]) for r in rows if r["processes"] == world and name in r]
    sums = [0.0] * 5
    for size, seconds in points:
        w = 1 / seconds**2
        for k, value in enumerate((w, w * size, w * size**2, w * seconds, w * size * seconds)):
            sums[k] += value
    w, s, ss, t, st = sums
    slope = (w * st - s * t) / (w * ss - s * s)
    return (t - slope * s) / w, slope


def gathered_in_a_ring(workers: int, size: float, latency: float, byte: float) -> float:
    """A message to the next in each of n − 1 rounds."""
    return (workers - 1) * (latency + size * byte)


def gathered_by_doubling(workers: int, size: float, latency: float, byte: float) -> float:
    """Twice as much in each of log₂ n rounds."""
    return ceil(log2(workers)) * latency + (workers - 1) * size * byte


def reduced_in_a_ring(workers: int, size: float, latency: float, byte: float) -> float:
    """2·(n − 1) rounds of an n-th."""
    return 2 * (workers - 1) * (latency + size / workers * byte)


def reduced_in_a_tree(workers: int, size: float, latency: float, byte: float) -> float:
    """Up and down log₂ n levels."""
    return 2 * ceil(log2(workers)) * (latency + size * byte)


FORMULAS: dict[str, Callable[[int, float, float, float], float]] = {
    "all_gather, ring": gathered_in_a_ring,
    "all_gather, doubling": gathered_by_doubling,
    "all_reduce, ring": reduced_in_a_ring,
    "all_reduce, tree": reduced_in_a_tree,
}


def model_of(results: dict[str, Any]) -> dict[str, Any]:
    """α and β of the measured collectives, predictions against measured, and 1,000 workers."""
    fits = {
        f"{name}, {world} processes": dict(
            zip(("alpha", "beta"), fitted(results["bare"], name, world), strict=True)
        )
        for name in COLLECTIVES
        for world in (2, 4)
    }
    layer = {row["processes"]: row for row in results.get("layer", [])}
    checks = []
    for row in results.get("steps", []):
        world = row["processes"]
        for side, name in (("sync", "mailbox"), ("sync by gloo", "all_gather")):
            fit, own = fits[f"{name}, {world} processes"], layer[world]
            message = fit["alpha"] + fit["beta"] * MESSAGE
            python = own[side]["median"] - own["plain"]["median"] - 2 * message
            alone = row["messages"] * message
            predicted = alone + row["layers"] * max(python, 0.0)
            measured = row[side]["median"] - row["plain"]["median"]
            about = {"network": row["network"], "side": side, "processes": world}
            told = {"messages alone": alone, "predicted": predicted, "measured": measured}
            checks.append({**about, **told})
    scaling = [
        {
            "network": name,
            "collective": kind,
            "workers": n,
            "seconds a message": run(n, MESSAGE, *net),
        }
        for name, net in NETWORKS.items()
        for kind, run in FORMULAS.items()
        for n in WORKERS
    ]
    return {"fits": fits, "checks": checks, "scaling": scaling}


def plot(results: dict[str, Any]) -> None:
    """Seconds a message by workers, for each network and collective."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 1 + len(NETWORKS), figsize=(13, 4))
    for name, world in ((n, w) for n in COLLECTIVES for w in (2, 4)):
        rows = [r for r in results["bare"] if r["processes"] == world and name in r]
        sizes = [r["bytes"] for r in rows]
        (line,) = axes[0].loglog(sizes, [1e6 * r[name]["fast"] for r in rows], "o")
        fit = results["model"]["fits"][f"{name}, {world} processes"]
        line_of = [1e6 * (fit["alpha"] + fit["beta"] * s) for s in sizes]
        label = f"{name}, {world} processes"
        axes[0].loglog(sizes, line_of, color=line.get_color(), label=label)
    axes[0].set(title="one machine: measured and α + β·bytes", xlabel="bytes a rank")
    for place, network in zip(axes[1:], NETWORKS, strict=True):
        for kind in FORMULAS:
            rows = [r for r in results["model"]["scaling"] if r["network"] == network]
            rows = [r for r in rows if r["collective"] == kind]
            x, y = [r["workers"] for r in rows], [1e6 * r["seconds a message"] for r in rows]
            place.loglog(x, y, label=kind)
        place.set(title=f"{MESSAGE} bytes a rank, {network}", xlabel="workers")
    for place in axes:
        place.set_ylabel("µs")
        place.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(RESULTS.with_suffix(".png"), dpi=110)


def kept(part: str, rows: Any) -> dict[str, Any]:
    """All results, with these rows of a part."""
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[part] = rows
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    return results


def main() -> None:
    """Measure the parts that are named."""
    asked = sys.argv[1:]
    if "bare" in asked:
        kept("bare", [row for world in (2, 4) for row in ran("bare", world, 2.0)])
    if "layer" in asked:
        kept("layer", [row for world in (2, 4) for row in ran("layer", world, 3.0)])
    if "steps" in asked:
        first = ran("steps", 2, 12.0, list(sync_ranks.NETWORKS))
        kept("steps", first + ran("steps", 4, 10.0, list(sync_ranks.NETWORKS)[:1]))
    results = kept("machine", "2 cores of an AMD EPYC, one thread a process, gloo on loopback")
    if "model" in asked:
        results = kept("model", model_of(results))
    if "plot" in asked:
        plot(results)
    for part in asked:
        for row in results.get(part, []):
            sys.stdout.write(f"{json.dumps(row)}\n")


if __name__ == "__main__":
    main()
