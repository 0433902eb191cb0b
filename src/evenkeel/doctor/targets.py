"""What `evenkeel doctor` can be pointed at, and how each becomes a report."""

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from evenkeel.doctor.diagnose import diagnose
from evenkeel.doctor.report import Report, judge
from evenkeel.errors import BadOption

WEIGHTS = (".safetensors", ".pt", ".pth", ".bin")
BATCH = 64


def examine(
    target: str,
    arguments: Sequence[str] = (),
    *,
    data: str | None = None,
    steps: int | None = None,
    origin: str = "",
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
) -> Report:
    """The report of a target: a model's factory, a run, a program, a checkpoint.

    Raises:  BadOption for what is none of these; errors of the target's own as they are
    """
    path = Path(target)
    if ":" in target and not path.exists():
        model, batches = _made(target, data)
        options = {"steps": steps, "origin": origin, "select": select, "ignore": ignore}
        return diagnose(model, batches, **options)  # type: ignore[arg-type]  # each as its name says
    if path.suffix == ".py":
        from evenkeel.doctor.programs import observe_program

        return judge(observe_program(path, arguments), select, ignore)
    if path.is_dir() and (path / "run.json").exists():
        return judge_run(path, data, select, ignore)
    from evenkeel.doctor.checkpoints import observe_checkpoint

    return judge(observe_checkpoint(path, steps), select, ignore)


def judge_run(
    folder: Path, data: str | None, select: Iterable[str] = (), ignore: Iterable[str] = ()
) -> Report:
    """The report of a network that `evenkeel train` left in ``folder``, on its own training data.

    Raises:  BadRun, BadData as ``evenkeel.train.evaluate``
    """
    from evenkeel.data import load
    from evenkeel.train.folder import WEIGHTS as FILE
    from evenkeel.train.folder import open_folder
    from evenkeel.train.weights import load_network

    path, config = open_folder(folder)
    arms = {name: arm for name, arm in config.arms().items() if arm.batch_norm}
    name, arm = next(iter((arms or config.arms()).items()))
    # A run's own data are here already.
    dataset = load(config.data if data is None else data, offline=data is None)
    batches = slices(dataset.train, min(arm.batch_size, len(dataset.train)))
    return diagnose(
        load_network(path / name / FILE), batches, steps=arm.steps, select=select, ignore=ignore
    )


def slices(split: Any, size: int) -> Iterator[tuple[Any, Any]]:
    """A split's images and labels in batches; a short rest is left out."""
    for start in range(0, len(split.images) - size + 1, size):
        yield split.images[start : start + size], split.labels[start : start + size]


def _made(target: str, data: str | None) -> tuple[nn.Module, Any]:
    """A factory's model, and batches: from --data, or the factory's own."""
    given = _named(target)()
    model, batches = given if isinstance(given, tuple) else (given, None)
    if data is not None:
        batches = _named(data)() if ":" in data else _loaded(data)
    if batches is None:
        raise BadOption(
            "a model needs batches to be looked at",
            got=f"{target}, whose factory gives a model alone",
            do="give --data module:function (batches), --data digits, or return (model, batches)",
        )
    return model, batches


def _loaded(data: str) -> Iterator[Any]:
    from evenkeel.data import load

    return slices(load(data).train, BATCH)


def _named(text: str) -> Any:
    """What ``pkg.module:name`` or ``file.py:name`` says."""
    module, _, name = text.rpartition(":")
    found = getattr(_module(module), name, None)
    if not callable(found):
        raise BadOption(
            "there is no such function", got=text, do="give pkg.module:function or file.py:function"
        )
    return found


def _module(name: str) -> Any:
    path = Path(name)
    if path.suffix != ".py":
        if "" not in sys.path:
            sys.path.insert(0, "")
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.exists():
        raise BadOption("there is no such file", got=name, do="give the path of a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
