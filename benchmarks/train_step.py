"""One training step of conv20: evenkeel's layers against the same network on torch's, same process.

First the two networks are checked to compute the same; then their steps are timed turn by turn, so
that whatever else the machine does falls on both. Prints medians and the ratio, and writes them with
the machine's description to results/train_step.json.

    python benchmarks/train_step.py [--steps 60] [--threads 2]
"""

import argparse
import copy
import json
import platform
import statistics
import time
from pathlib import Path

import torch
from torch import Tensor, nn

import evenkeel
from evenkeel.recipes import RECIPES

RESULTS = Path(__file__).parent / "results"


def on_torch(model: nn.Module) -> nn.Module:
    """The network with torch's batch norm and in-place ReLU, the fair rival, in place of ours."""
    plain = copy.deepcopy(model)
    for parent in list(plain.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, evenkeel.BatchNorm):
                setattr(parent, name, torch_layer(layer))
    return plain


def torch_layer(layer: evenkeel.BatchNorm) -> nn.Module:
    """Torch's own layers for one of ours."""
    kinds = {evenkeel.BatchNorm1d: nn.BatchNorm1d, evenkeel.BatchNorm2d: nn.BatchNorm2d}
    spec = layer.spec
    norm = kinds[type(layer)](spec.channels[0], spec.eps, layer.momentum)
    norm.load_state_dict(layer.state_dict())
    return norm if spec.activation is None else nn.Sequential(norm, nn.ReLU(inplace=True))


def largest_difference(a: nn.Module, b: nn.Module, x: Tensor) -> float:
    """Max abs difference of the two networks' training outputs over the largest output."""
    with torch.no_grad():
        ours, theirs = copy.deepcopy(a)(x), copy.deepcopy(b)(x)
    return float((ours - theirs).abs().max() / theirs.abs().max())


def seconds_of(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> float:
    """One training step."""
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    loss = RECIPES["conv20"].loss(model(x), y)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
    optimizer.step()
    return time.perf_counter() - start


def measure(steps: int, threads: int) -> dict[str, object]:
    """Both sides turn by turn; medians in milliseconds."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    recipe = RECIPES["conv20"]
    ours = recipe.build(recipe.default).train()
    theirs = on_torch(ours)
    x, y = torch.rand(recipe.batch_size, 1, 28, 28), torch.randint(10, (recipe.batch_size,))
    difference = largest_difference(ours, theirs, x)
    if not difference < 1e-4:
        raise SystemExit(f"the two networks differ by {difference:.1e}: nothing to time")
    sides = [(m, recipe.optimizer(m, recipe.lr)) for m in (ours, theirs)]
    times: list[list[float]] = [[], []]
    for step in range(steps + 5):
        for side in (0, 1) if step % 2 else (1, 0):
            taken = seconds_of(*sides[side], x, y)
            if step >= 5:
                times[side].append(taken * 1e3)
    ratios = [a / b for a, b in zip(*times, strict=True)]
    return {
        "case": "conv20 training step, batch 64, NCHW, float32",
        "largest_relative_difference": difference,
        "evenkeel_ms": round(statistics.median(times[0]), 2),
        "torch_ms": round(statistics.median(times[1]), 2),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_p10_p90": [round(q, 3) for q in statistics.quantiles(ratios, n=10)[::8]],
        "steps": steps,
        "threads": threads,
        "torch": torch.__version__,
        "evenkeel": evenkeel.__version__,
        "cpu": cpu_name(),
    }


def cpu_name() -> str:
    """The processor's name and its vector instructions as torch sees them."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{(names or [platform.processor()])[0]}, {torch.backends.cpu.get_cpu_capability()}"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    result = measure(options.steps, options.threads)
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / "train_step.json"
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    print(f"written to {target}")


if __name__ == "__main__":
    main()
