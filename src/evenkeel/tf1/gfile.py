"""``tf.gfile``: files and folders, with the errors of ``tf.errors``."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

from evenkeel.tf1 import errors
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.system_errors import as_tensorflow, text_of

__all__ = [
    "Copy", "DeleteRecursively", "Exists", "FastGFile", "GFile", "Glob", "IsDirectory",
    "ListDirectory", "MakeDirs", "MkDir", "Open", "Remove", "Rename", "Stat", "Walk", "copy",
    "exists", "glob", "isdir", "listdir", "makedirs", "mkdir", "remove", "rename", "rmtree", "stat",
    "walk",
]  # fmt: skip
_glob: Callable[[str], list[str]] = glob


class GFile:
    r"""A file: read or written as text, or as bytes where the mode says ``b``.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with GFile(folder + "/a.txt", "w") as file:
    ...         file.write("two\nlines\n")
    ...     with GFile(folder + "/a.txt") as file:
    ...         file.readlines(), file.size()
    (['two\n', 'lines\n'], 10)
    """

    def __init__(self, name: Any, mode: str = "r") -> None:
        self._name, self._mode = text_of(name), mode
        if mode.rstrip("+b") not in ("r", "w", "a"):
            raise ValueError(f"mode is not r or w or a: {mode!r}")
        self._file: Any = None

    @property
    def name(self) -> str:
        """The path."""
        return self._name

    @property
    def mode(self) -> str:
        """How it is opened."""
        return self._mode

    def _opened(self, reads: bool) -> Any:
        readable = "r" in self._mode or "+" in self._mode
        writable = "r" not in self._mode or "+" in self._mode
        if reads and not readable:
            raise errors.PermissionDeniedError(None, None, "File isn't open for reading")
        if not reads and not writable:
            raise errors.PermissionDeniedError(None, None, "File isn't open for writing")
        if self._file is None:
            coding = None if "b" in self._mode else "utf-8"
            with as_tensorflow(self._name):
                self._file = Path(self._name).open(  # noqa: SIM115  # closed by ``close``
                    self._mode, encoding=coding, newline=None if coding is None else ""
                )
        return self._file

    def read(self, n: int = -1) -> Any:
        """The next ``n`` characters or bytes, or the rest."""
        return self._opened(True).read(n)

    def readline(self) -> Any:
        """The next line with its end; nothing after the last."""
        return self._opened(True).readline()

    def readlines(self) -> list[Any]:
        """The lines that are left."""
        return list(self._opened(True))

    def write(self, file_content: Any) -> None:
        """Append to what was written."""
        file = self._opened(False)
        if "b" in self._mode and isinstance(file_content, str):
            file_content = file_content.encode()
        if "b" not in self._mode and isinstance(file_content, bytes):
            file_content = file_content.decode()
        file.write(file_content)

    def seek(self, offset: int | None = None, whence: int = 0, position: int | None = None) -> None:
        """Go to a place; ``position`` is the old name of ``offset``."""
        if offset is None and position is None:
            raise TypeError("seek(): offset argument required")
        self._opened(True).seek(offset if position is None else position, whence)

    def tell(self) -> int:
        """The place."""
        return int(self._opened(True).tell())

    def size(self) -> int:
        """How many bytes the file has."""
        with as_tensorflow(self._name):
            return Path(self._name).stat().st_size

    def flush(self) -> None:
        """Bring what was written to the system."""
        if self._file is not None and not self._file.closed:
            self._file.flush()

    def close(self) -> None:
        """Write and read no more; a file opened for writing exists after it."""
        if self._file is None and "w" in self._mode:
            self._opened(False)
        if self._file is not None:
            self._file.close()
        self._file = None

    def __enter__(self) -> "GFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._opened(True))

    def __next__(self) -> Any:
        return next(self._opened(True))

    next = __next__


Open = FastGFile = GFile


def Exists(filename: Any) -> bool:  # noqa: N802  # TensorFlow's names, here and below
    """Whether there is a file or folder of this name."""
    return Path(text_of(filename)).exists()


def IsDirectory(dirname: Any) -> bool:  # noqa: N802
    """Whether this is a folder."""
    return Path(text_of(dirname)).is_dir()


def ListDirectory(dirname: Any) -> list[str]:  # noqa: N802
    """The names in a folder; NotFoundError where there is none."""
    if not IsDirectory(dirname):
        raise errors.NotFoundError(None, None, f"Could not find directory {text_of(dirname)}")
    with as_tensorflow(dirname):
        return [entry.name for entry in Path(text_of(dirname)).iterdir()]


def Glob(filename: Any) -> list[str]:  # noqa: N802
    """The paths that match a pattern, or one of several."""
    patterns = filename if isinstance(filename, list | tuple) else [filename]
    return [found for pattern in patterns for found in sorted(_glob(text_of(pattern)))]


def MkDir(dirname: Any) -> None:  # noqa: N802
    """Make a folder in one that exists."""
    with as_tensorflow(dirname):
        Path(text_of(dirname)).mkdir()


def MakeDirs(dirname: Any) -> None:  # noqa: N802
    """Make a folder and those around it; nothing where it is there."""
    with as_tensorflow(dirname):
        Path(text_of(dirname)).mkdir(parents=True, exist_ok=True)


def Remove(filename: Any) -> None:  # noqa: N802
    """Delete a file."""
    with as_tensorflow(filename):
        Path(text_of(filename)).unlink()


def DeleteRecursively(dirname: Any) -> None:  # noqa: N802
    """Delete a folder with everything in it."""
    with as_tensorflow(dirname):
        path = Path(text_of(dirname))
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def Copy(oldpath: Any, newpath: Any, overwrite: bool = False) -> None:  # noqa: N802
    """Copy a file; AlreadyExistsError where ``newpath`` is there and may not be replaced."""
    _free(newpath, overwrite)
    with as_tensorflow(oldpath):
        shutil.copyfile(text_of(oldpath), text_of(newpath))


def Rename(oldname: Any, newname: Any, overwrite: bool = False) -> None:  # noqa: N802
    """Rename a file or folder; AlreadyExistsError where ``newname`` may not be replaced."""
    _free(newname, overwrite)
    with as_tensorflow(oldname):
        Path(text_of(oldname)).replace(text_of(newname))


def _free(path: Any, overwrite: bool) -> None:
    if not overwrite and Exists(path):
        raise errors.AlreadyExistsError(None, None, "file already exists")


@dataclass(frozen=True)
class FileStatistics:
    """How long a file is, when it was changed, and whether it is a folder."""

    length: int
    mtime_nsec: int
    is_directory: bool


def Stat(filename: Any) -> FileStatistics:  # noqa: N802
    """Length, time and kind of a file."""
    with as_tensorflow(filename):
        found = Path(text_of(filename)).stat()
    return FileStatistics(found.st_size, found.st_mtime_ns, IsDirectory(filename))


def Walk(top: Any, in_order: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:  # noqa: N802
    """Each folder below ``top`` with the folders and files in it; the inner first unless in order."""
    for folder, folders, files in os.walk(text_of(top), topdown=in_order):
        folders.sort()
        yield folder, list(folders), sorted(files)


copy, exists, isdir, listdir, makedirs, mkdir = (
    Copy, Exists, IsDirectory, ListDirectory, MakeDirs, MkDir,
)  # fmt: skip
remove, rename, rmtree, stat, walk = Remove, Rename, DeleteRecursively, Stat, Walk
glob = Glob  # type: ignore[assignment]  # TensorFlow's second name, over Python's function


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.gfile.{name}", __all__)
