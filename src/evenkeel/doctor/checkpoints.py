"""A bare checkpoint as a trace: TensorFlow's bundles, safetensors, and torch's files by weights alone.

Nothing in a file is executed: `.pt` goes through torch's weights-only loader.
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

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
_GLOBAL = re.compile(r"GLOBAL (\S+)")


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


def _layer(prefix: str, names: dict[str, str], tensors: Mapping[str, Tensor]) -> Layer:
    vectors = {what: _numbers(tensors[name]) for what, name in names.items()}
    count = tensors.get(f"{prefix}.num_batches_tracked")
    mean = tensors[names["running_mean"]]
    scale = next((tensors[names[what]] for what in ("weight", "bias") if what in names), mean)
    return Layer(
        path=prefix,
        paths=(prefix,),
        kind="BatchNorm",
        channels=mean.numel(),
        momentum=None,
        updates=int(count) if count is not None and count.numel() == 1 else None,
        dtype=str(scale.dtype).removeprefix("torch."),
        statistics_dtype=str(mean.dtype).removeprefix("torch."),
        **vectors,  # type: ignore[arg-type]  # four vectors by their names
    )


def _groups(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, str]]:
    """Vectors by the layer that their names put them in: prefix -> what -> name."""
    found: dict[str, dict[str, str]] = {}
    for name, tensor in tensors.items():
        prefix, _, last = re.sub(r"\.(?=[^.]*$)", "/", name).rpartition("/")
        what = next((w for w, words in _NAMES.items() if last in words), None)
        if what is not None and tensor.ndim == 1 and not _SLOTS.search(name):
            found.setdefault(prefix, {})[what] = name
    return found


def _is_norm(prefix: str, names: dict[str, str], tensors: Mapping[str, Tensor]) -> bool:
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


def _numbers(vector: Tensor) -> tuple[float, ...]:
    return tuple(vector.double().tolist())


def _read(path: Path) -> Mapping[str, Tensor]:
    """The tensors of real numbers in a file, by name."""
    if path.suffix == ".safetensors":
        held = _safetensors(path)
    else:
        held = _torch(path) if path.suffix in _TORCH else _bundle(path)
    return {name: tensor for name, tensor in held.items() if _is_plain(tensor)}


def _is_plain(tensor: Tensor) -> bool:
    dense = tensor.layout is torch.strided and tensor.device.type == "cpu"
    return dense and not tensor.is_complex() and tensor.numel() > 0


def _bundle(path: Path) -> dict[str, Tensor]:
    from evenkeel.checkpoint import Bundle, latest_checkpoint

    prefix = latest_checkpoint(path) if path.is_dir() else str(path).removesuffix(".index")
    if prefix is None or not Path(f"{prefix}.index").exists():
        raise BadOption(
            "there is nothing to diagnose at this place" if path.exists() else "this is not there",
            got=str(path),
            do="give module:factory, a .py program, or a checkpoint (.ckpt prefix, .safetensors, .pt)",
        )
    bundle = Bundle(prefix)
    arrays = {name: bundle[name] for name in bundle}
    return {name: torch.tensor(a) for name, a in arrays.items() if a.dtype.kind in "fiu"}


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    _present(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except SafetensorError as error:
        raise _damaged(path, error) from error


def _torch(path: Path) -> dict[str, Tensor]:
    import pickle

    _present(path)
    refuse_bomb(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # of a pickle's protocol, of TorchScript
            held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = _GLOBAL.search(str(error))
        what = f"it calls {code[1]}" if code else "torch's weights-only loader refuses its pickle"
        raise _no_weights(path, what) from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        script = "TorchScript" in str(error)
        raise (_no_weights(path, "TorchScript") if script else _damaged(path, error)) from error
    state = held
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(held, Mapping) and isinstance(held.get(key), Mapping):
            state = held[key]
    if not isinstance(state, Mapping):
        raise _no_weights(path, f"it holds a {type(held).__name__}")
    return {str(n): t for n, t in state.items() if isinstance(t, Tensor)}


def _present(path: Path) -> None:
    if not path.is_file():
        raise BadOption("there is no such file", got=str(path), do="give the path of a checkpoint")


def _no_weights(path: Path, what: str) -> BadData:
    return BadData(
        "this file is not weights alone, and nothing in it was executed",
        got=f"{path}: {what}",
        do="save a state_dict: torch.save(model.state_dict(), path)",
    )


def _damaged(path: Path, error: Exception) -> BadData:
    first = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0]
    return BadData(
        "the checkpoint cannot be read",
        got=f"{path} of {path.stat().st_size:,} bytes: {first}",
        do="check that the file is whole: copy it again, or save it again",
    )
