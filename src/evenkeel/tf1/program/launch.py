"""``evenkeel run``: a TensorFlow 1 program as ``__main__``, as if Python had been started with it."""

import builtins
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import torch

from evenkeel.errors import BadOption
from evenkeel.tf1 import program, session
from evenkeel.tf1.program.failure import show_failure
from evenkeel.tf1.program.finder import installed
from evenkeel.tf1.program.libraries import is_program
from evenkeel.tf1.program.notebook import cells, is_notebook, remember
from evenkeel.tf1.program.notices import once
from evenkeel.tf1.program.numpy_names import old_look, old_names
from evenkeel.tf1.program.tflearn_batches import whole_batches
from evenkeel.tf1.program.tflearn_names import tflearn_names

FAILED = 1


def run_program(path: str | Path, arguments: Sequence[str] = (), *, device: str = "cpu") -> int:
    """Run a program whose ``import tensorflow`` means the dialect; its exit status.

    The program is a Python file, or a notebook whose code cells run in order.

    What a program sees: itself as ``__main__``, ``sys.argv``, its folder first on ``sys.path``, the
    working directory as it is. An exception of its own is shown on standard error, cut to the
    program's frames, and gives 1; SystemExit and KeyboardInterrupt come through. What the run
    borrowed is put back.

    Raises:  BadOption for a file that is not there, or a device that is not
    """
    data, where = read_program(path), _checked(device)
    with ExitStack() as stack:
        for borrowed in (warnings.catch_warnings(), once(), installed(), old_names()):
            stack.enter_context(borrowed)
        for borrowed in (tflearn_names(), whole_batches(), old_look(), _old_order()):
            stack.enter_context(borrowed)
        stack.enter_context(_on(where))
        module = stack.enter_context(_as_main(str(path), arguments))
        units = _units(path, data)
        try:
            for source, name in units:
                exec(_compiled(source, name), vars(module))
        except Exception as error:  # noqa: BLE001  # the program's, whatever it is: shown as Python would
            show_failure(error)
            return FAILED
    return 0


def _units(path: str | Path, data: bytes) -> list[tuple[bytes | str, str]]:
    """What is run one after the other, and how errors name it: a file, or a notebook's cells."""
    if not is_notebook(path):
        return [(data, str(path))]
    found = cells(path, data)
    for cell in found:
        remember(cell)
    return [(cell.code, cell.label) for cell in found]


def _compiled(source: bytes | str, path: str) -> CodeType:
    with warnings.catch_warnings():
        # "\d" and `is 0` were silent in TensorFlow 1's days.
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        return compile(source, path, "exec", dont_inherit=True)


def read_program(path: str | Path) -> bytes:
    """The program's bytes.

    Raises:  BadOption for a file that cannot be read, and for an option in the place of one
    """
    if str(path).startswith("-") and not Path(path).exists():
        raise BadOption(
            "there is no such option", got=path, do="evenkeel run --help names those there are"
        )
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadOption(
            "the program cannot be read",
            got=f"{path}: {error.strerror or error}",
            do="give the path of a Python file or a notebook, then its own arguments",
        ) from error


def _checked(device: str) -> str:
    try:
        where = torch.device(device)
    except RuntimeError as error:
        raise BadOption(
            "there is no such device", got=device, do="give cpu, cuda or cuda:0"
        ) from error
    if where.type == "cuda" and (where.index or 0) >= torch.cuda.device_count():
        found = f"{torch.cuda.device_count()} GPUs here"
        raise BadOption("there is no such device", got=f"{device}; {found}", do="give cpu")
    return str(where)


@contextmanager
def _on(device: str) -> Iterator[None]:
    before = session._device[0]
    session.set_device(device)
    try:
        yield
    finally:
        session.set_device(before)


@contextmanager
def _old_order() -> Iterator[None]:
    before = program.legacy_positional_xent
    program.legacy_positional_xent = True
    try:
        yield
    finally:
        program.legacy_positional_xent = before


@contextmanager
def _as_main(path: str, arguments: Sequence[str]) -> Iterator[ModuleType]:
    """A new ``__main__``; after, the old one, and none of the modules beside the program."""
    module = ModuleType("__main__")
    file = str(Path(path).resolve())
    loader = SourceFileLoader("__main__", file)
    vars(module).update(__file__=file, __builtins__=builtins, __loader__=loader, __cached__=None)
    if is_notebook(path):
        vars(module).update(display=print)  # IPython has it without an import
    before = dict(sys.modules)
    main, argv, folders = sys.modules["__main__"], sys.argv, list(sys.path)
    sys.modules["__main__"], sys.argv = module, [path, *arguments]
    sys.path.insert(0, str(Path(file).parent))
    try:
        yield module
    finally:
        sys.modules["__main__"], sys.argv, sys.path[:] = main, argv, folders
        for name in [n for n, m in list(sys.modules.items()) if n not in before and _beside(m)]:
            del sys.modules[name]


def _beside(module: ModuleType) -> bool:
    """Whether a module is the program's own and not a library's."""
    file = getattr(module, "__file__", None)
    return bool(file) and is_program(str(file))
