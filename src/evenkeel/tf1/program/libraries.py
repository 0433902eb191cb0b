"""Which files are a program's own: not Python's, not an installed package's, not ours."""

import sysconfig
from functools import cache
from pathlib import Path

import evenkeel

_MADE = ("<frozen", "<eval_with_key>")  # Python's own, and what torch.fx generates


@cache
def _folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    found = {str(Path(paths[kind]).resolve()) for kind in kinds} | {paths[kind] for kind in kinds}
    ours = str(Path(evenkeel.__file__).parent)
    return tuple(f"{folder}/" for folder in [*found, ours])


@cache
def is_tflearn(file: str) -> bool:
    """Whether ``file`` belongs to TFLearn as it was installed.

    >>> is_tflearn("tflearn/utils.py")
    False
    """
    return file.startswith(tuple(f"{folder}tflearn/" for folder in _folders()))


@cache
def is_program(file: str) -> bool:
    """Whether ``file`` belongs to a program under run.

    >>> is_program("train.py"), is_program("<frozen importlib._bootstrap>")
    (True, False)
    >>> is_program("<eval_with_key>.0")
    False
    """
    return not file.startswith((*_MADE, *_folders()))
