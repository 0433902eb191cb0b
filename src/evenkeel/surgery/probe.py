"""Original and converted model on one batch: outputs, gradients, statistics, in both modes."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from evenkeel.errors import BadData, OutputsDiffer

BOTH = ("inference", "training")
_TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}
_HALF = 2e-2


def check(
    original: nn.Module,
    converted: nn.Module,
    probe: Any,
    tolerance: float | None,
    modes: tuple[str, ...] = BOTH,
) -> None:
    """Raise OutputsDiffer unless the two models do the same with ``probe``.

    Copies of the models run, and the state of torch's random numbers is put back.

    Raises:  BadData for a probe with NaN
    """
    check_whole(probe)
    for mode in modes:
        want = _observed(original, probe, mode)
        got = _observed(converted, probe, mode)
        _compare(got, want, tolerance, mode)


def check_whole(probe: Any) -> None:
    """Raise BadData for a probe with NaN: both models would give NaN, which agrees with anything."""
    for name, value in tensors_in("the probe", probe):
        if value.is_floating_point() and bool(value.isnan().any()):
            raise BadData(
                "a probe with NaN compares nothing",
                got=f"{int(value.isnan().sum())} of {value.numel()} values of {name} are NaN",
                do="give a batch of numbers",
            )


def own_error(model: nn.Module, probe: Any) -> float:
    """How far the model's outputs are from its own in float64; 0 where it does not run there."""
    want = copy.deepcopy(model).double()
    try:
        exact = _observed(want, _map(lambda x: x.double(), probe), "inference")
        got = _observed(model, probe, "inference")
        errors = [relative_error(got[name].double(), value) for name, value in exact.items()]
    except (RuntimeError, TypeError, ValueError, KeyError):
        return 0.0
    worst = max(errors, default=0.0)
    return worst if worst < 1 else 0.0


def difference(model: nn.Module, other: nn.Module, probe: Any) -> float:
    """How far the outputs of ``other`` are from those of ``model``, in inference."""
    want, got = (_observed(m, probe, "inference") for m in (model, other))
    errors = [relative_error(got[name], value) for name, value in want.items()]
    return max(errors, default=0.0) if got.keys() == want.keys() else float("inf")


def run(model: nn.Module, probe: Any) -> Any:
    """What ``model`` gives for a probe."""
    args, options = arguments(probe)
    return model(*args, **options)


def _map(change: Callable[[Tensor], Tensor], value: Any) -> Any:
    """``value`` with every floating-point tensor in it changed."""
    if isinstance(value, Tensor):
        return change(value) if value.is_floating_point() else value
    if isinstance(value, Mapping):
        return {key: _map(change, part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_map(change, part) for part in value)
    return value


def _observed(model: nn.Module, probe: Any, mode: str) -> dict[str, Tensor]:
    """What a copy of the model gives, by name."""
    model = copy.deepcopy(model)
    if mode == "inference" or not model.training:
        model.train(mode == "training")
    args, options = arguments(copy.deepcopy(probe))
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        torch.manual_seed(0)
        outputs = dict(tensors_in("output", model(*args, **options)))
        seen = {name: value.detach().clone() for name, value in outputs.items()}
        if mode == "training":
            seen.update(_after_training(model, outputs))
    return seen


def _after_training(model: nn.Module, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Running statistics and gradients after a training step's forward and backward."""
    seen = {f"buffer {name}": value for name, value in model.named_buffers()}
    parts = [_weighed(y) for y in outputs.values() if y.requires_grad]
    parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if parts and parameters:
        total = torch.stack(parts).sum()
        grads = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
        # As one array: a bias before a normalization has a gradient of 0, and its rounding no scale.
        flat = [g.flatten().double() for g in grads if g is not None]
        seen["gradient of the parameters"] = torch.cat([g.cpu() for g in flat])
    return seen


def _weighed(y: Tensor) -> Tensor:
    """A number that depends on every value of ``y``, each in another way."""
    weights = torch.linspace(-1, 1, y.numel(), device=y.device, dtype=torch.float64)
    return (y.double().flatten() * weights).sum().cpu()


def _compare(
    got: dict[str, Tensor], want: dict[str, Tensor], tolerance: float | None, mode: str
) -> None:
    if got.keys() != want.keys():
        raise _differ(mode, f"{sorted(got)} in place of {sorted(want)}")
    lowest = allowed_in([w for name, w in want.items() if name.startswith("output")])
    errors = {name: relative_error(got[name], value) for name, value in want.items()}
    worst = max(errors, key=lambda name: errors[name], default="")
    allowed = lowest if tolerance is None else tolerance
    if errors and not errors[worst] <= allowed:
        raise _differ(mode, f"{worst} differs by {errors[worst]:.1e} of it, allowed {allowed:.1e}")


def allowed_in(outputs: list[Tensor]) -> float:
    """The error that rounding may make in outputs of these dtypes."""
    return max(
        (_TOLERANCES.get(y.dtype, _HALF) for y in outputs if y.is_floating_point()), default=1e-4
    )


def relative_error(got: Tensor, want: Tensor) -> float:
    """Largest difference over largest value; infinite where no number can say it."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return float("inf")
    mine, true = got.double(), want.double()
    finite = true.isfinite()
    same = torch.equal(mine[~finite].nan_to_num(), true[~finite].nan_to_num())
    if not same or not torch.equal(finite, mine.isfinite()):
        return float("inf")
    if not finite.any():
        return 0.0
    difference, size = (mine - true)[finite].abs().max(), true[finite].abs().max()
    return float(difference / size) if size else float(difference)


def arguments(probe: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A probe as arguments: a mapping by name, a tuple in order, anything else alone."""
    if isinstance(probe, Mapping):
        return (), dict(probe)
    return (tuple(probe), {}) if isinstance(probe, tuple) else ((probe,), {})


def tensors_in(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested outputs, with its place."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from tensors_in(f"{name}[{key!r}]", part)
    elif isinstance(value, tuple | list):
        for index, part in enumerate(value):
            yield from tensors_in(f"{name}[{index}]", part)
    elif is_dataclass(value):
        for part in fields(value):
            yield from tensors_in(f"{name}.{part.name}", getattr(value, part.name))


def _differ(mode: str, what: str) -> OutputsDiffer:
    return OutputsDiffer(
        "the new model does not do what the model did with the probe; nothing was changed",
        got=f"in {mode}, {what}",
        do="give a larger tolerance if the difference is rounding; else keep the model, and report it",
    )
