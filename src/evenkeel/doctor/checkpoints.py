"""A bare checkpoint as a trace: TensorFlow's bundles, safetensors, and torch's files by weights alone.

Nothing in a file is executed: `.pt` goes through torch's weights-only loader.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evenkeel.doctor.trace import Checkpoint, Layer, Trace
from evenkeel.errors import BadData, BadOption
from evenkeel.files import refuse_bomb

_NAMES = {
    "weight": ("weight", "gamma", "scale"),
    "bias": ("bias", "beta", "offset"),
    "running_mean": ("running_mean", "moving_mean", "pop_mean", "mean"),
    "running_var": ("running_var", "moving_variance", "pop_variance", "var"),
}
_SLOTS = re.compile(r"(Adam(_\d)?|Momentum|RMSProp(_\d)?|Adagrad|ExponentialMovingAverage)$")
_TORCH = (".pt", ".pth", ".bin")


def observe_checkpoint(path: str | Path, steps: int | None = None) -> Trace:
    """The batch-norm layers that a checkpoint holds, by the names of its tensors.

    Raises:  BadOption for a file that is not there; BadData for one that cannot be read
    """
    tensors = _read(Path(path))
    layers, orphans, used = [], [], set()
    for prefix, names in _groups(tensors).items():
        if {"running_mean", "running_var"} <= names.keys():
            layers.append(_layer(prefix, names, tensors))
            used |= set(names.values())
        elif {"weight", "bias"} <= names.keys() and _is_norm(prefix, names, tensors):
            orphans.append(prefix)
    kernels = {n: t.shape for n, t in tensors.items() if t.ndim > 1 and not _SLOTS.search(n)}
    return Trace(
        kind="checkpoint",
        subject=Path(path).name,
        layers=tuple(layers),
        trained=_trained(layers, steps),
        steps=steps,
        checkpoint=Checkpoint({n: tuple(map(int, s)) for n, s in kernels.items()}, tuple(orphans)),
    )


def _layer(prefix: str, names: dict[str, str], tensors: Mapping[str, Any]) -> Layer:
    vectors = {what: _numbers(tensors[name]) for what, name in names.items()}
    count = tensors.get(f"{prefix}.num_batches_tracked")
    mean = tensors[names["running_mean"]]
    return Layer(
        path=prefix,
        paths=(prefix,),
        kind="BatchNorm",
        channels=int(mean.size),
        momentum=None,
        updates=None if count is None else int(count),
        statistics_dtype=str(mean.dtype),
        **vectors,  # type: ignore[arg-type]  # four vectors by their names
    )


def _groups(tensors: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Vectors by the layer that their names put them in: prefix -> what -> name."""
    found: dict[str, dict[str, str]] = {}
    for name, tensor in tensors.items():
        prefix, _, last = re.sub(r"\.(?=[^.]*$)", "/", name).rpartition("/")
        what = next((w for w, words in _NAMES.items() if last in words), None)
        if what is not None and tensor.ndim == 1 and not _SLOTS.search(name):
            found.setdefault(prefix, {})[what] = name
    return found


def _is_norm(prefix: str, names: dict[str, str], tensors: Mapping[str, Any]) -> bool:
    """Whether two vectors without statistics are a batch normalization's, by their names."""
    own = {names[what].rpartition("/")[2] for what in names}
    if any(f"{prefix}{dot}num_batches_tracked" in tensors for dot in "./"):
        return True
    batch = re.search(r"batch_?norm|(^|[/._])bn\d*$", prefix, re.IGNORECASE)
    return bool(batch) or own == {"gamma", "beta"}


def _trained(layers: list[Layer], steps: int | None) -> bool | None:
    """A checkpoint was saved after something: weights that differ say so, and so does a step count."""
    if steps is not None:
        return steps > 0
    varied = [len(set(v)) > 1 for x in layers for v in (x.weight, x.bias) if v]
    return any(varied) or any((x.updates or 0) > 0 for x in layers)


def _numbers(array: Any) -> tuple[float, ...]:
    return tuple(np.asarray(array, np.float64).ravel().tolist())


def _read(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if path.suffix in _TORCH:
        return _torch(path)
    from evenkeel.checkpoint import Bundle, latest_checkpoint

    prefix = latest_checkpoint(path) if path.is_dir() else str(path).removesuffix(".index")
    if prefix is None or not Path(f"{prefix}.index").exists():
        raise BadOption(
            "there is nothing to diagnose at this place",
            got=str(path),
            do="give module:factory, a .py program, or a checkpoint (.ckpt prefix, .safetensors, .pt)",
        )
    bundle = Bundle(prefix)
    return {name: bundle[name] for name in bundle if bundle[name].dtype.kind in "fiu"}


def _safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    _present(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: _array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118  # no mapping
    except SafetensorError as error:
        raise _unreadable(path, error) from error


def _torch(path: Path) -> dict[str, Any]:
    import pickle

    import torch

    _present(path)
    refuse_bomb(path)
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, OSError) as error:
        raise _unreadable(path, error) from error
    state = held
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            state = held[key]
    if not isinstance(state, Mapping):
        raise _unreadable(path, TypeError(f"it holds a {type(held).__name__}"))
    return {n: _array(t) for n, t in state.items() if isinstance(t, torch.Tensor)}


def _array(tensor: Any) -> Any:
    """A tensor as an array that remembers a half-precision dtype as nearly as NumPy can."""
    return tensor.float().numpy() if str(tensor.dtype) == "torch.bfloat16" else tensor.numpy()


def _present(path: Path) -> None:
    if not path.is_file():
        raise BadOption("there is no such file", got=str(path), do="give the path of a checkpoint")


def _unreadable(path: Path, error: Exception) -> BadData:
    return BadData(
        "the checkpoint cannot be read as weights alone",
        got=f"{path}: {(str(error) or type(error).__name__).splitlines()[0][:200]}",
        do="save a state_dict: torch.save(model.state_dict(), path)",
    )
