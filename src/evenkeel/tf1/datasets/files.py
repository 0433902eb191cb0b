"""Where the four idx files of a data set are: named, set by the environment, cached, or fetched."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenkeel.data.download import cache_folder, fetch
from evenkeel.data.idx import read_idx
from evenkeel.data.mnist import PARTS, Part, find_parts
from evenkeel.data.remotes import REMOTES
from evenkeel.errors import BadData, DownloadFailed

DATA = "EVENKEEL_DATA"


def read_parts(name: str, folder: str | Path = "") -> list[NDArray[np.uint8]]:
    """Training images and labels, test images and labels of ``mnist`` or ``fashion-mnist``.

    Shapes:  [N, rows, columns], [N], [M, rows, columns], [M]
    Dtypes:  uint8
    Raises:  BadData for files that are damaged or hold something else; DownloadFailed where they are
             nowhere and cannot be fetched

    Looked for in ``folder``, in $EVENKEEL_DATA (itself, or its folder ``name``), in the cache; what is
    in none of them is downloaded into the cache.
    """
    paths = next(filter(None, map(_whole, _folders(name, folder))), None)
    if paths is None:
        paths = _fetched(name, cache_folder() / name)
    return [_read(part, paths[part]) for part in PARTS]


def _folders(name: str, folder: str | Path) -> list[Path]:
    data = os.environ.get(DATA, "")
    set_ = [Path(data).expanduser() / name, Path(data).expanduser()] if data else []
    return [Path(folder), *set_, cache_folder() / name]


def _fetched(name: str, cache: Path) -> dict[Part, Path]:
    try:
        fetch(REMOTES[name], cache)
    except DownloadFailed as error:
        do = f"{error.do}; or set {DATA} to a folder that holds the four files"
        raise DownloadFailed(error.problem, got=error.got, do=do, at=error.at) from error
    return find_parts(cache)


def _whole(folder: Path) -> dict[Part, Path]:
    parts = find_parts(folder)
    return parts if len(parts) == len(PARTS) else {}


def _read(part: Part, path: Path) -> NDArray[Any]:
    values = read_idx(path)
    if values.dtype != np.uint8 or values.ndim != part.rank:
        raise BadData(
            f"{part.kind} must be uint8 of rank {part.rank}",
            got=f"{values.dtype} {list(values.shape)}",
            do="check that the file bears its right name",
            at=str(path),
        )
    return values
