"""What `evenkeel doctor` can be pointed at, and how each becomes a report."""

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

    Raises:  BadOption for what is none of these, or an option that says nothing about this kind;
             errors of the target's own as they are
    """
    path = Path(target)
    given = {"arguments": bool(arguments), "data": data is not None}
    given |= {"steps": steps is not None, "origin": bool(origin)}
    if ":" in target and not path.exists():
        _only(given, "a model", ("data", "steps", "origin"))
        model, batches = _made(target, data)
        options = {"steps": steps, "origin": origin, "select": select, "ignore": ignore}
        return diagnose(model, batches, **options)  # type: ignore[arg-type]  # each as its name says
    if path.suffix == ".py":
        from evenkeel.doctor.programs import observe_program

        _only(given, "a program", ("arguments",))
        return judge(observe_program(path, arguments), select, ignore)
    if path.is_dir() and (path / "run.json").exists():
        _only(given, "a run", ("data",))
        return judge_run(path, data, select, ignore)
    from evenkeel.doctor.checkpoints import observe_checkpoint

    _only(given, "a checkpoint", ("steps",))
    return judge(observe_checkpoint(path, steps), select, ignore)


def _only(given: Mapping[str, bool], kind: str, taken: Sequence[str]) -> None:
    """Raise BadOption for what is given and says nothing about this kind of target."""
    idle = [name for name, is_given in given.items() if is_given and name not in taken]
    if idle:
        raise BadOption(
            f"{kind} is diagnosed without this",
            got=", ".join(idle),
            do=f"leave it out; {kind} takes {', '.join(taken)}",
        )


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
    network = load_network(path / name / FILE).float()  # as the images are
    return diagnose(network, batches, steps=arm.steps, select=select, ignore=ignore)


def slices(split: Any, size: int) -> Iterator[tuple[Any, Any]]:
    """A split's images and labels in batches; a short rest is left out."""
    for start in range(0, len(split.images) - size + 1, size):
        yield split.images[start : start + size], split.labels[start : start + size]


def _made(target: str, data: str | None) -> tuple[nn.Module, Any]:
    """A factory's model, and batches: from --data, or the factory's own."""
    given = named(target)
    model, batches = given if isinstance(given, tuple) else (given, None)
    if data is not None:
        batches = named(data) if ":" in data and not Path(data).exists() else _loaded(data)
    if batches is None:
        raise BadOption(
            "a model needs batches to be looked at",
            got=f"{target}, whose factory gives a model alone",
            do="give --data module:function (batches), --data digits, or return (model, batches)",
        )
    return model, batches


def _loaded(data: str) -> Iterable[Any]:
    from evenkeel.data import load
    from evenkeel.data.arrays import SUFFIXES, array_batches

    return (
        array_batches(data, BATCH) if data.endswith(SUFFIXES) else slices(load(data).train, BATCH)
    )


def named(text: str) -> Any:
    """What ``pkg.module:name`` or ``file.py:name`` says; called, unless it is a module of torch's.

    Raises:  BadOption where nothing is called so; errors of the module and of the call as they are
    """
    package, _, name = text.rpartition(":")
    value = _module(package) if package else None
    for part in name.split("."):
        if not hasattr(value, part):
            raise BadOption(
                "there is no such function",
                got=text,
                do="give pkg.module:function or file.py:function",
            )
        value = getattr(value, part)
    return value if isinstance(value, nn.Module) or not callable(value) else value()


def _module(name: str) -> Any:
    path = Path(name)
    if path.suffix != ".py":
        _importable(Path.cwd())  # as python -m does
        return importlib.import_module(name)
    if not path.is_file():
        raise BadOption("there is no such file", got=name, do="give the path of a Python file")
    _importable(path.resolve().parent)  # as python FILE does
    spec = importlib.util.spec_from_file_location(_free(path), path)
    if spec is None or spec.loader is None:
        raise BadOption("this is no module", got=name, do="give the path of a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where inspect and pickle look for its classes
    spec.loader.exec_module(module)
    return module


def _importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _free(path: Path) -> str:
    """The file's name as a module's, unless another module is called so."""
    held = getattr(sys.modules.get(path.stem), "__file__", None)
    own = held is not None and Path(held).resolve() == path.resolve()
    return (
        path.stem if own or path.stem not in sys.modules else f"{path.stem}_of_{path.parent.name}"
    )
