"""The tables of docs/surgery.md: `python benchmarks/measure_surgery.py fold traps …`, or all of them.

Each part is measured anew and joins results/surgery.json; results/surgery.md is made of all of it.
Networks and traps are those of the tests, at full size.
"""

import copy
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import evenkeel as ek
from evenkeel.data import load
from evenkeel.recipes import RECIPES, Variant
from evenkeel.surgery import report_of
from evenkeel.surgery.probe import relative_error
from evenkeel.surgery.recalibrate import given

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "surgery.json"
sys.path.insert(0, str(HERE.parent / "tests"))
THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
UNSHOWN = {"why not", "frozen", "kept", "input", "unfolded", "converted, folded", "seconds"}


def transformer(name: str, **options: Any) -> nn.Module:
    """A network of transformers' with random weights."""
    import transformers

    config = getattr(transformers, f"{name}Config")(**options)
    return getattr(transformers, f"{name}ForImageClassification")(config)  # type: ignore[no-any-return]


def recipe(name: str) -> nn.Module:
    """A network of ours in inference, with torch's layers: what torch's tools were made for."""
    model = ek.convert(RECIPES[name].build(Variant()), to="torch").eval()
    for path, layer in list(model.named_modules()):
        if isinstance(
            layer, ek.BatchNorm
        ):  # with a biased variance, say: no difference in inference
            kind = nn.BatchNorm2d if layer.spec.ranks == (4,) else nn.BatchNorm1d
            plain = kind(layer.spec.channels[0], layer.spec.eps)
            plain.load_state_dict({**plain.state_dict(), **layer.state_dict()})
            model.set_submodule(path, plain)
    return model


EFFICIENT = {"width_coefficient": 1.0, "depth_coefficient": 1.0, "hidden_dim": 1280}
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "ResNet-50": (lambda: transformer("ResNet"), (3, 64, 64)),
    "MobileNetV2": (lambda: transformer("MobileNetV2"), (3, 64, 64)),
    "EfficientNet-B0": (lambda: transformer("EfficientNet", **EFFICIENT), (3, 64, 64)),
    "RegNet": (lambda: transformer("RegNet"), (3, 64, 64)),
    "conv20": (lambda: recipe("conv20"), (1, 28, 28)),
    "dnn-elu": (lambda: recipe("dnn-elu"), (1, 28, 28)),
    "mnist-estimator": (lambda: recipe("mnist-estimator"), (1, 28, 28)),
}


def settled(model: nn.Module, x: Tensor) -> nn.Module:
    """Random weights and biases, a fifth of the weights negative; statistics those of the network."""
    torch.manual_seed(3)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
            sign = torch.where(torch.rand_like(module.weight) < 0.2, -1.0, 1.0)
            module.weight.data = sign * torch.empty_like(module.weight).uniform_(0.5, 1.5)
            module.bias.data.uniform_(-0.5, 0.5)
    return ek.recalibrate(model.eval(), [x], progress=False)


@torch.no_grad()
def output(model: nn.Module, x: Tensor) -> Tensor:
    """Its first output."""
    y = model(x)
    return y if isinstance(y, Tensor) else y.logits  # type: ignore[no-any-return]


def outcome(make: Callable[[], nn.Module], exact: Tensor, own: float, x: Tensor) -> str:
    """What came of somebody else's folding."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = make()
            left = sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in made.modules())
            error = relative_error(output(made, x).double(), exact)
    except Exception as failure:  # noqa: BLE001 -- the point is what it raises
        return f"raises {type(failure).__name__}"
    right = "right" if error <= 3 * own else f"wrong, error {error:.0e}"
    return f"{right}, {left} left" if left else right


def by_fx(model: nn.Module) -> nn.Module:
    """torch.fx.experimental.optimization.fuse."""
    from torch.fx.experimental import optimization

    return optimization.fuse(model)


def by_pairs(model: nn.Module, folded: nn.Module) -> nn.Module:
    """torch.nn.utils.fusion on the pairs that our report names, as someone would by hand."""
    from torch.nn.utils import fusion

    model = copy.deepcopy(model)
    for site in report_of(folded).of("folded"):
        path = site.into.split(" ")[1]
        if site.reason != "which stands before it":
            continue
        linear: Any = model.get_submodule(path)
        norm: Any = model.get_submodule(site.path)
        dense = isinstance(linear, nn.Linear)
        fuse: Any = fusion.fuse_linear_bn_eval if dense else fusion.fuse_conv_bn_eval
        model.set_submodule(path, fuse(linear, norm))
        model.set_submodule(site.path, nn.Identity())
    return model


def fold_rows() -> list[dict[str, Any]]:
    """Every network in two dtypes: what was folded, and the error against float64."""
    rows = []
    for name, (build, shape) in NETWORKS.items():
        torch.manual_seed(0)
        x = torch.randn(8, *shape)
        whole = settled(build(), x)
        for dtype in (torch.float32, torch.bfloat16):
            model, probe = copy.deepcopy(whole).to(dtype), x.to(dtype)
            folded = ek.fold(model, probe)
            report = report_of(folded)
            exact = output(copy.deepcopy(model).double(), probe.double())
            own = relative_error(output(model, probe).double(), exact)
            mine = relative_error(output(folded, probe).double(), exact)
            rows.append(
                {
                    "network": name,
                    "dtype": str(dtype).removeprefix("torch."),
                    "layers": len(report.sites),
                    **{kind: len(report.of(kind)) for kind in ("folded", "frozen", "kept")},
                    "why not": sorted({s.reason for s in report.sites if s.kind != "folded"}),
                    "unfolded error": own,
                    "folded error": mine,
                    "ratio": mine / own,
                    "torch.fx fuse": outcome(lambda m=model: by_fx(m), exact, own, probe),
                    "torch fusion, pair by pair": outcome(
                        lambda m=model, f=folded: by_pairs(m, f), exact, own, probe
                    ),
                }
            )
            told(rows[-1])
    return rows


def trap_rows() -> list[dict[str, Any]]:
    """Each trap of the tests: what becomes of it here and there."""
    from surgery import test_traps as traps

    words = {"f": "folded, right", "z": "one multiply-add, right", "k": "kept, right"}
    words["r"] = "folded for its rank; another is refused"
    rows = []
    for name, (build, mine, *_) in traps.TRAPS.items():
        torch.manual_seed(0)
        model = traps.scrambled(build()).eval()
        x = traps.X.to(next(model.parameters()).dtype)
        exact = copy.deepcopy(model).double()(x.double()).detach()
        own = max(traps.max_error(model(x), exact, dtype=x.dtype), 1e-9)
        report = report_of(ek.fold(model))
        theirs = [
            traps.outcome(lambda m=model, by=by: by(m), exact, own, x)
            for by in (traps.by_fx, traps.by_pair)
        ]
        done = {"network": name, "here": words[mine], "reason": report.sites[0].reason}
        rows.append({**done, "torch.fx fuse": theirs[0], "torch fusion, the pair": theirs[1]})
        told(rows[-1])
    return rows


def told(row: dict[str, Any]) -> None:
    """A row, as soon as it is there."""
    sys.stdout.write(f"{row}\n")
    sys.stdout.flush()


def turn_by_turn(jobs: dict[str, Callable[[], Any]], seconds: float) -> dict[str, list[float]]:
    """The jobs' times, taken in turn."""
    for job in jobs.values():
        job(), job()
    times: dict[str, list[float]] = {name: [] for name in jobs}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[next(iter(jobs))]) < 5:
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - start)
    return times


def medians(times: dict[str, list[float]]) -> dict[str, float]:
    """The median of each job's times."""
    return {name: statistics.median(values) for name, values in times.items()}


def speed_rows() -> list[dict[str, Any]]:
    """Inference folded against unfolded, torch eager."""
    rows = []
    cases = [("conv20", 1), ("conv20", 64), ("ResNet-50", 1), ("ResNet-50", 8)]
    for name, batch in cases:
        build, shape = NETWORKS[name]
        torch.manual_seed(0)
        x = torch.randn(batch, *shape)
        model = settled(build(), torch.randn(8, *shape))
        sides = {
            "unfolded": model,
            "folded": ek.fold(model),
            "converted, folded": ek.fold(ek.convert(model)),  # activations in place
        }
        jobs = {side: lambda m=made: output(m, x) for side, made in sides.items()}  # noqa: B023
        found = medians(turn_by_turn(jobs, 9.0))
        ratios = {
            f"{side}: times faster": found["unfolded"] / found[side] for side in list(sides)[1:]
        }
        about = {"network": name, "batch": batch, "input": list(shape)}
        rows.append({**about, "seconds": found, "unfolded ms": 1e3 * found["unfolded"], **ratios})
        told(rows[-1])
    return rows


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of right answers."""
    right = [
        output(model, i).argmax(1) == y
        for i, y in zip(images.split(500), labels.split(500), strict=True)
    ]
    return float(torch.cat(right).float().mean())


def vectors(model: nn.Module) -> list[Tensor]:
    """Mean and variance of each layer, side by side."""
    return [
        torch.cat([m.running_mean, m.running_var]).double()
        for m in model.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm)
    ]


def population(model: nn.Module, x: Tensor) -> list[Tensor]:
    """The definition: all data as one batch in float64, layer by layer."""
    exact = copy.deepcopy(model).double().eval()

    def measure(layer: Any, args: tuple[Tensor]) -> None:
        rows = args[0].movedim(1, -1).flatten(0, -2)
        layer.running_mean.copy_(rows.mean(0))
        layer.running_var.copy_(rows.var(0, unbiased=True))

    for module in exact.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(measure)
    output(exact, x.double())
    return vectors(exact)


def worst(one: list[Tensor], other: list[Tensor]) -> float:
    """The largest difference of a layer's statistics, relative to its largest."""
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(one, other, strict=True))


def trained(images: Tensor, labels: Tensor, steps: int = 800) -> nn.Module:
    """conv20 after some steps."""
    torch.manual_seed(0)
    model = recipe("conv20").train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 0.02  # averages of fifty batches, which 20 layers need to be right
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, steps)
    for step in range(steps):
        part = torch.randint(len(images), (64,), generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[part]), labels[part]).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def recalibrate_rows() -> list[dict[str, Any]]:
    """Statistics scrambled and taken anew: accuracy, exactness, spread over shuffling, cost."""
    data = load(sys.argv[-1] if sys.argv[-1].startswith(("/", ".")) else None)
    images, labels = data.train.images[:10_000], data.train.labels[:10_000]
    model = trained(images, labels)
    start = accuracy(model, data.test.images, data.test.labels)
    broken = copy.deepcopy(model)
    for module in broken.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-2, 2)
            module.running_var.uniform_(0.1, 4)
    few = images[:1200]
    exact = population(model, few)
    lost = accuracy(broken, data.test.images, data.test.labels)
    rows: list[dict[str, Any]] = [
        {
            "conv20 on": data.name,
            "test images": len(data.test),
            "trained accuracy": start,
            "scrambled accuracy": lost,
        }
    ]
    told(rows[0])
    for mode, layerwise in (("joint", False), ("layer by layer", True)):
        found = []
        for seed, size in ((0, 64), (1, 64), (2, 64), (3, 100), (4, 37)):
            order = torch.randperm(len(few), generator=torch.Generator().manual_seed(seed))
            parts = list(few[order].split(size))
            found.append(vectors(ek.recalibrate(broken, parts, layerwise=layerwise)))
        again = ek.recalibrate(broken, list(images.split(64)), layerwise=layerwise)
        row: dict[str, Any] = {"mode": mode}
        row["accuracy"] = accuracy(again, data.test.images, data.test.labels)
        row["against float64, all layers"] = max(worst(one, exact) for one in found)
        row["against float64, first layer"] = max(worst(one[:1], exact[:1]) for one in found)
        row["spread over shuffling and batch sizes"] = max(worst(o, found[0]) for o in found[1:])
        same = found[1:3]
        row["spread over shuffling, batches of 64"] = max(worst(o, found[0]) for o in same)
        rows.append(row)
        told(row)
    return rows


def cost_rows() -> list[dict[str, Any]]:
    """Each mode's time over that of one plain forward pass over the data."""
    rows = []
    for name, size, count in (("conv20", 64, 78), ("ResNet-50", 16, 24)):
        build, shape = NETWORKS[name]
        torch.manual_seed(0)
        model = settled(build(), torch.randn(8, *shape))
        rows.append({"network": name, **cost(model, [torch.randn(size, *shape)] * count)})
        told(rows[-1])
    return rows


def cost(model: nn.Module, batches: list[Tensor]) -> dict[str, Any]:
    """Times and ratios on these batches."""

    def plain() -> None:
        with torch.no_grad():
            for batch in batches:
                args, _ = given(batch)
                model(*args)

    def again(**options: Any) -> Callable[[], Any]:
        return lambda: ek.recalibrate(model, batches, inplace=True, **options)

    times = turn_by_turn({"plain": plain, "joint": again()}, 40.0)
    found = medians(times)
    in_turn = [b / a for a, b in zip(times["plain"], times["joint"], strict=True)]
    by_layer = {"layer by layer": again(layerwise=True)}
    if len(batches) > 50:  # minutes for the other
        by_layer["layer by layer, nothing kept"] = again(layerwise=True, memory=0)
    for name, job in by_layer.items():
        start = time.perf_counter()
        job()
        found[name] = time.perf_counter() - start
    ratios = {name: value / found["plain"] for name, value in found.items()}
    ratios["joint"] = statistics.median(in_turn)
    ratios["joint, fastest"] = min(times["joint"]) / min(times["plain"])
    return {"batches": f"{len(batches)} of {len(batches[0])}", "seconds": found, "ratio": ratios}


PARTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "fold": fold_rows,
    "traps": trap_rows,
    "speed": speed_rows,
    "recalibrate": recalibrate_rows,
    "cost": cost_rows,
}


def markdown(results: dict[str, list[dict[str, Any]]]) -> str:
    """All rows as tables."""
    lines = ["# Surgery, measured", "", "Made by `python benchmarks/measure_surgery.py`."]
    for part, rows in results.items():
        lines += ["", f"## {part}", "", tables(rows)]
    return "\n".join(lines) + "\n"


def tables(rows: list[dict[str, Any]]) -> str:
    """Rows as tables, a new one where the columns change."""
    lines: list[str] = []
    shown: list[str] = []
    for row in rows:
        if list(row) != shown:
            shown = list(row)
            lines += [""] * bool(lines)
            lines += [f"| {' | '.join(shown)} |", "|" + "---|" * len(shown)]
        lines.append(f"| {' | '.join(cell(value) for value in row.values())} |")
    return "\n".join(lines)


def cell(value: Any) -> str:
    """A value for people."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {cell(part)}" for name, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(cell, value)) or "-"
    return str(value)


def fill(page: Path, results: dict[str, list[dict[str, Any]]]) -> None:
    """Put each part's tables under its mark in the page."""
    text = page.read_text()
    for part, rows in results.items():
        mark = f"<!-- {part} -->\n"
        before, _, after = text.partition(mark)
        rest = after.lstrip("\n")
        while rest.startswith("|"):
            rest = rest.partition("\n\n")[2].lstrip("\n")
        kept = [{name: v for name, v in row.items() if name not in UNSHOWN} for row in rows]
        text = f"{before}{mark}\n{tables(kept)}\n\n{rest}" if after else text
    page.write_text(text)


def main() -> None:
    """Measure the parts that are named; "page" alone only fills the page."""
    torch.set_num_threads(THREADS)
    names = [name for name in sys.argv[1:] if name in PARTS]
    for name in names or ([] if "page" in sys.argv else list(PARTS)):
        rows = PARTS[name]()
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results[name] = rows
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        RESULTS.with_suffix(".md").write_text(markdown(results))
    fill(HERE.parent / "docs" / "surgery.md", json.loads(RESULTS.read_text()))


if __name__ == "__main__":
    main()
