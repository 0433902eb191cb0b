"""MNIST and whatever bears its names (Fashion-MNIST, Kuzushiji-MNIST): four idx files in a folder.

The first 5,000 training images are the validation split, as in TensorFlow 1's tutorial reader and
in the programs written for it; of a smaller set, the first twelfth.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from evenkeel.data.dataset import Dataset, Split
from evenkeel.data.idx import read_idx
from evenkeel.errors import BadData

VALID = 5000
SIDE, CLASSES = 28, 10


@dataclass(frozen=True, slots=True)
class Part:
    """One of the four files: ``train-images-idx3-ubyte``, say, in any of its spellings."""

    split: str
    kind: str
    rank: int

    @property
    def name(self) -> str:
        """The file's name as MNIST's authors wrote it, without ``.gz``."""
        return f"{self.split}-{self.kind}-idx{self.rank}-ubyte"

    @property
    def spellings(self) -> tuple[str, ...]:
        """Names to look for, in this order; some archives unpack to a dot before ``idx``."""
        dotted = f"{self.split}-{self.kind}.idx{self.rank}-ubyte"
        return self.name, dotted, f"{self.name}.gz", f"{dotted}.gz"


PARTS = (
    Part("train", "images", 3),
    Part("train", "labels", 1),
    Part("t10k", "images", 3),
    Part("t10k", "labels", 1),
)


def find_parts(folder: Path) -> dict[Part, Path]:
    """Look for the four files; the plain one of a file that is there twice. Missing: absent."""
    found = {
        part: [folder / name for name in part.spellings if (folder / name).is_file()]
        for part in PARTS
    }
    return {part: paths[0] for part, paths in found.items() if paths}


def load_folder(folder: str | Path, *, name: str = "") -> Dataset:
    """Read the four idx files of a folder; ``name`` defaults to the folder's.

    Shapes:  images [N, 1, 28, 28], labels [N]
    Dtypes:  float32 images in [0, 1] (bytes / 255), int64 labels 0 to 9
    Raises:  BadData for a missing, cut or corrupt file, other sizes than 28×28, labels outside
             0 to 9, or counts of images and labels that differ
    """
    folder = Path(folder)
    parts = _all_parts(folder)
    train_images, train_labels, test_images, test_labels = (
        _read(part, parts[part]) for part in PARTS
    )
    _check_counts(train_images, train_labels, parts[PARTS[0]])
    _check_counts(test_images, test_labels, parts[PARTS[2]])
    first = min(VALID, len(train_labels) // 12)
    if not first:
        raise BadData(
            "too few training images: a twelfth of them is the validation split",
            got=f"{len(train_labels)} images",
            do="give at least 12",
            at=str(parts[PARTS[0]]),
        )
    return Dataset(
        name or folder.resolve().name,
        str(folder),
        train=Split(train_images[first:], train_labels[first:]),
        valid=Split(train_images[:first], train_labels[:first]),
        test=Split(test_images, test_labels),
    )


def _read(part: Part, path: Path) -> Tensor:
    values = read_idx(path)
    images = part.kind == "images"
    sizes = (SIDE, SIDE) if images else ()
    if values.dtype != "uint8" or values.ndim != part.rank or values.shape[1:] != sizes:
        other = "labels" if images else "images"
        swapped = values.ndim == (1 if images else 3)
        raise BadData(
            f"{part.kind} must be uint8 {[part.split, *sizes]}".replace("'", ""),
            got=f"{values.dtype} {list(values.shape)}",
            do=f"this looks like the {other} file under the wrong name"
            if swapped
            else "check that these are files of MNIST's form",
            at=str(path),
        )
    tensor = torch.from_numpy(values)
    return tensor.unsqueeze(1).float().div_(255) if images else _checked_labels(tensor, path)


def _checked_labels(labels: Tensor, path: Path) -> Tensor:
    outside = (labels >= CLASSES).nonzero()
    if len(outside):
        first = int(outside[0])
        raise BadData(
            f"labels must be 0 to {CLASSES - 1}",
            got=f"{len(outside)} others, the first is {int(labels[first])} at place {first}",
            do="use a data set of ten classes; if this should be one, fetch the file again",
            at=str(path),
        )
    return labels.long()


def _check_counts(images: Tensor, labels: Tensor, path: Path) -> None:
    if len(images) != len(labels):
        raise BadData(
            "there must be one label for each image",
            got=f"{len(images)} images, {len(labels)} labels",
            do="take both files from the same data set",
            at=str(path),
        )


def _all_parts(folder: Path) -> dict[Part, Path]:
    try:
        parts, entries = find_parts(folder), sorted(folder.iterdir())
        if len(parts) < len(PARTS):
            raise _incomplete(folder, parts, entries)
    except OSError as error:
        raise BadData(
            "the folder cannot be read",
            got=error.strerror or str(error),
            do="check the path and its permissions",
            at=str(folder),
        ) from error
    return parts


def _incomplete(folder: Path, parts: dict[Part, Path], entries: list[Path]) -> BadData:
    missing = ", ".join(part.name for part in PARTS if part not in parts)
    listed = ", ".join(path.name for path in entries[:8]) or "nothing"
    more = f" and {len(entries) - 8} more" if len(entries) > 8 else ""
    inner = [path for path in entries if path.is_dir() and len(find_parts(path)) == len(PARTS)]
    return BadData(
        "this folder does not hold the four MNIST files, plain or .gz",
        got=f"missing {missing}; the folder holds {listed}{more}",
        do=f"give {inner[0]}, which holds them" if inner else "add the missing files",
        at=str(folder),
    )
