"""Where data comes from, by name: the embedded digits, what can be downloaded, or a folder."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from evenkeel.data.dataset import Dataset
from evenkeel.data.digits import load_digits
from evenkeel.data.download import cache_folder, fetch
from evenkeel.data.mnist import PARTS, find_parts, load_folder
from evenkeel.data.remotes import REMOTES, Remote
from evenkeel.errors import BadData
from evenkeel.tables import Table

# A row is called with ``offline``.
SOURCES: Table[Callable[[bool], Dataset]] = Table("data set or folder")


@SOURCES.add("digits")
def _digits(offline: bool) -> Dataset:
    return load_digits()


def _remote(remote: Remote, offline: bool) -> Dataset:
    folder = cache_folder() / remote.name
    # Files put there by hand may be unpacked or spelt otherwise; fetch knows only its own names.
    if len(find_parts(folder)) < len(PARTS):
        fetch(remote, folder, offline=offline)
    return load_folder(folder, name=remote.name)


for _name in REMOTES:
    SOURCES.add(_name)(partial(_remote, REMOTES[_name]))


def load(source: str | Path | None = None, *, offline: bool = False) -> Dataset:
    """Load a data set: ``"digits"`` (the default), ``"mnist"``, ``"fashion-mnist"``, or a folder.

    Shapes:  images [N, 1, 28, 28], labels [N]
    Dtypes:  float32 images in [0, 1], int64 labels 0 to 9
    Raises:  UnknownName for anything else; BadData for bad files; DownloadFailed; MissingExtra

    ``offline`` forbids the network: what is not in the cache is an error. A name wins over a folder
    of that name in the current directory; write ``./mnist`` for the folder.

    >>> load().train.images.shape
    torch.Size([1297, 1, 28, 28])
    """
    name = "digits" if source is None else source
    # Path("") would be the current directory.
    if isinstance(name, str) and (name in SOURCES or not name):
        return SOURCES[name](offline)
    path = Path(name).expanduser()
    if path.is_dir():
        return load_folder(path)
    if isinstance(name, Path) or os.sep in name or path.exists():
        do = f"give the folder, {path.parent}" if path.exists() else "check the path"
        raise BadData("this is not a folder of idx files", got=str(path), do=do)
    return SOURCES[name](offline)
