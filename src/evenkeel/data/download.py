"""Fetch the files of a data set into the cache: mirrors, checksums, resume, one process at a time.

A file is written under its name plus ``.part`` and renamed once its checksum matches; so whatever
bears the final name is whole, and what an interrupted run left in the ``.part`` is continued.
"""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from evenkeel.data.remotes import Remote, RemoteFile
from evenkeel.errors import DownloadFailed
from evenkeel.version import __version__

BLOCK = 1 << 16
TIMEOUT = 30.0
TRIES = 5
# Raised by our own writing, not by a mirror: another mirror would not help.
DISK = {errno.ENOSPC, errno.EROFS, errno.EACCES}

Tick = Callable[[int], None]


def cache_folder() -> Path:
    """Where downloads are kept: ``$EVENKEEL_CACHE``, else the XDG cache directory's ``evenkeel``.

    Source:  the XDG Base Directory Specification: a relative ``$XDG_CACHE_HOME`` is ignored
    """
    own = os.environ.get("EVENKEEL_CACHE")
    if own:
        return Path(own).expanduser()
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "evenkeel"


def fetch(
    remote: Remote, folder: str | Path, *, offline: bool = False, progress: bool = True
) -> None:
    """Bring the files of ``remote`` that ``folder`` lacks into it.

    Raises:  DownloadFailed when ``offline`` and a file is missing, when the folder cannot be
             written, or when no mirror yields a file with the right checksum

    Several processes may fetch into one folder: one works, the others wait and find the files.
    """
    folder = Path(folder)
    if offline:
        _require_all(remote, folder)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder), _bar(progress) as bar:
            for file in _missing(remote, folder):
                _fetch_file(file, remote.mirrors, folder, bar(file))
    except OSError as error:
        raise DownloadFailed(
            "the cache folder cannot be written",
            got=error.strerror or str(error),
            do="set EVENKEEL_CACHE to a folder that you may write to, with room for the files",
            at=str(folder),
        ) from error


def _missing(remote: Remote, folder: Path) -> list[RemoteFile]:
    return [file for file in remote.files if not (folder / file.name).is_file()]


def _require_all(remote: Remote, folder: Path) -> None:
    missing = ", ".join(file.name for file in _missing(remote, folder))
    if missing:
        raise DownloadFailed(
            f"{remote.name} is not in the cache, and the network is switched off (offline)",
            got=f"missing {missing}",
            do=f"put these files into {folder} by hand, from {remote.mirrors[0]} say; "
            "or go online once",
        )


def _fetch_file(file: RemoteFile, mirrors: tuple[str, ...], folder: Path, tick: Tick) -> None:
    part = folder / f"{file.name}.part"
    reasons = []
    for mirror in mirrors:
        reason = _from_mirror(mirror + file.name, file, part, tick)
        if reason is None:
            part.replace(folder / file.name)
            return
        reasons.append(f"{mirror}: {reason}")
    raise DownloadFailed(
        f"no mirror gave {file.name} whole",
        got="\n       ".join(reasons),
        do=f"check the network (and HTTPS_PROXY), or put the file into {folder} by hand",
    )


def _from_mirror(url: str, file: RemoteFile, part: Path, tick: Tick) -> str | None:
    """Complete ``part`` from one mirror: None, or the reason why it could not be done."""
    reason = "it was not asked"
    for _ in range(TRIES):
        before = _size(part)
        try:
            _complete(url, file, part, tick)
        except (OSError, HTTPException) as error:
            if isinstance(error, OSError) and error.errno in DISK:
                raise
            reason = _reason(error)
        else:
            return None
        # Asking again makes sense only from another place in the file: it has grown, or what an
        # earlier run had left in it was thrown away.
        if _size(part) == before:
            break
    return reason


def _complete(url: str, file: RemoteFile, part: Path, tick: Tick) -> None:
    if _size(part) < file.size:
        _receive(url, file, part, tick)
    if _size(part) < file.size:
        raise OSError(f"it broke off after {_size(part)} of {file.size} bytes")
    if not file.matches(part):
        part.unlink()
        raise OSError(f"wrong checksum: this is not {file.checksum}")


def _receive(url: str, file: RemoteFile, part: Path, tick: Tick) -> None:
    """Ask once, from the end of ``part`` on, and append what comes (or start over: see _offset)."""
    have = _size(part)
    request = Request(url, headers={"User-Agent": f"evenkeel/{__version__}"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urlopen(request, timeout=TIMEOUT) as response:
            offset = _offset(response, have, file)
            with part.open("ab" if offset else "wb") as out:
                _copy(response, out.write, offset, file.size, tick)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # nothing at that place: what we have is not of this mirror's file
            part.unlink(missing_ok=True)
        raise


def _offset(response: HTTPResponse, have: int, file: RemoteFile) -> int:
    """Where in the file the body begins: 0 from a server that ignores Range, or sends all of it."""
    offset, whole = 0, response.headers.get("Content-Length", "")
    if response.status == 206:
        place = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        if place is None or int(place[1]) != have:
            raise OSError(f"asked for byte {have} on, the answer is {place and place[0]}")
        offset, whole = have, place[2]
    if whole.isdigit() and int(whole) != file.size:
        raise OSError(f"its file has {whole} bytes, not {file.size}")
    return offset


def _copy(
    response: HTTPResponse, write: Callable[[bytes], int], done: int, size: int, tick: Tick
) -> None:
    tick(done)
    while block := response.read(BLOCK):
        done += len(block)
        if done > size:
            raise OSError(f"it sent more than {size} bytes")
        write(block)
        tick(done)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _reason(error: OSError | HTTPException) -> str:
    if isinstance(error, HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, URLError):
        return str(error.reason)
    return str(error) or type(error).__name__


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system lets go of it even if the process is killed."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"waiting for another process that fetches into {folder}\n")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _bar(show: bool) -> Iterator[Callable[[RemoteFile], Tick]]:
    """Show one progress bar a file on stderr; give what makes a file's ``tick``."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), disable=not show) as bar:

        def start(file: RemoteFile) -> Tick:
            task = bar.add_task(file.name, total=file.size)
            return lambda done: bar.update(task, completed=done)

        yield start
