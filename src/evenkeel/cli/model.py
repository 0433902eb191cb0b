"""Models on the command line: pkg.module:factory, and weights from a file."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evenkeel.errors import BadData, BadOption, BadRun, EvenkeelError
from evenkeel.files import refuse_bomb

if TYPE_CHECKING:
    from torch import nn

Factory = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="pkg.module:name or file.py:name of a function that returns the model, or of the "
        "model; or a recipe.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Its weights: .safetensors, or .pt of tensors alone. (default: its own)",
    ),
]
Out = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Where to write. (default: named after the model)"),
]

_WRITTEN = (".safetensors", ".pt", ".pth")
# What a model or its data raise; the other kinds are looked for in our code.
_ITS_OWN = (RuntimeError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError, OSError)


def built(name: str, weights: str | None = None) -> "nn.Module":
    """The model of that name in inference mode, with its weights loaded.

    Raises:  BadOption for a name that gives no model; BadRun for weights that cannot be loaded
    """
    from torch import nn

    from evenkeel.recipes import RECIPES, Variant

    if name in RECIPES:
        model: Any = RECIPES[name].build(Variant())
    else:
        model = found(name, "a model")
    if not isinstance(model, nn.Module):
        raise BadOption(
            "this gives no model",
            got=f"{name}: a {type(model).__name__}",
            do="name a function without arguments that returns a torch.nn.Module",
        )
    if weights is not None:
        load(model, Path(weights))
    return model.eval()


def found(name: str, what: str) -> Any:
    """What pkg.module:name or file.py:name names; called, if it is no module of torch's.

    Raises:  BadOption when there is no such thing, or it raises
    """
    from evenkeel.doctor.targets import named

    package, colon, attribute = name.rpartition(":")
    if not (colon and package and attribute):
        raise BadOption(f"{what} is named pkg.module:name", got=name, do=_advice(name))
    try:
        return named(name)
    except BadOption:
        raise
    except Exception as error:
        raise BadOption(
            f"{name} cannot be had",
            got=f"{type(error).__name__}: {error}{_place(error)}",
            do="check the name; it is imported from here and called without arguments",
        ) from error


def load(model: "nn.Module", path: Path) -> None:
    """Load weights: a safetensors file, or torch's file with nothing in it but tensors.

    Raises:  BadRun for a file that is missing, damaged or of another model
    """
    import torch

    from evenkeel.surgery import load_model

    if path.suffix == ".safetensors":
        load_model(model, path)
        return
    refuse_bomb(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        for key in ("state_dict", "model_state_dict", "model"):
            state = state.get(key, state)
        model.load_state_dict(state)
    except Exception as error:
        raise BadRun(
            "these weights cannot be loaded into the model",
            got=f"{path}: {_first_lines(error)}",
            do="give a state_dict of this very model, as .safetensors or .pt; code is never executed",
        ) from error


def out_path(out: str | None, name: str, suffix: str) -> Path:
    """Where to write: as asked, or beside, after the model's name; weights where ``suffix`` is theirs.

    Raises:  BadRun without the folder; BadOption for weights of another suffix
    """
    stem = name.rpartition(":")[2].rpartition(".")[2]
    path = Path(f"{stem}{suffix}" if out is None else out)
    if not path.parent.is_dir():
        raise BadRun("there is no such folder", got=path.parent, do="make it, or write elsewhere")
    if suffix.endswith(_WRITTEN) and path.suffix not in _WRITTEN:
        raise BadOption("weights are written as .safetensors or .pt", got=path, do="rename it")
    return path


def save(model: "nn.Module", path: Path) -> None:
    """Write weights whole or not at all to an ``out_path``: safetensors or, for .pt, torch's file.

    Raises:  BadRun when they cannot be written
    """
    import io

    import torch

    from evenkeel.files import replace_file
    from evenkeel.surgery.saved import serialized

    if path.suffix in (".pt", ".pth"):
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        replace_file(path, file.getbuffer())
    else:
        replace_file(path, serialized(model))


@contextmanager
def running(what: str) -> Iterator[None]:
    """Errors of the model's own, on this data, as a message."""
    try:
        yield
    except _ITS_OWN as error:
        if isinstance(error, EvenkeelError):
            raise
        raise BadData(
            "the model does not run on this data",
            got=f"{what}: {_first_lines(error)}{_place(error)}",
            do="give data of the shape and dtype that the model takes",
        ) from error


def _advice(name: str) -> str:
    from evenkeel.recipes import RECIPES

    return f"write {name}:build, say; or name a recipe: {', '.join(RECIPES)}"


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split("\n")[:3])[:300] or type(error).__name__


def _place(error: Exception) -> str:
    """The file and line where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    return f" ({last.filename}:{last.lineno})" if last and last.filename != __file__ else ""
