"""What every reader returns: images and labels in three splits, checked once, when built."""

from dataclasses import dataclass

import torch
from torch import Tensor

from evenkeel.errors import BadDtype, BadShape


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Images [N, C, H, W] and their labels [N], N at least 1.

    Dtypes:  float32 images, in [0, 1] where this package reads them; int64 labels
    Raises:  BadShape, BadDtype

    >>> len(Split(torch.zeros(3, 1, 28, 28), torch.tensor([0, 1, 2])))
    3
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        _check_dtypes(self.images, self.labels)
        images, labels = list(self.images.shape), list(self.labels.shape)
        if len(images) != 4 or 0 in images:
            raise BadShape(
                "images must be [N, C, H, W], none of them 0", got=images, do=_image_slip(images)
            )
        if labels != images[:1]:
            one_hot = len(labels) == 2 and labels[0] == images[0]
            raise BadShape(
                f"labels must be [N]: one for each of the {images[0]} images",
                got=labels,
                do="give labels.argmax(1) for one-hot labels"
                if one_hot
                else "check that images and labels come from the same split",
            )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Three splits of one kind of image; ``source`` says where they came from.

    Raises:  BadShape for splits whose images differ in [C, H, W]
    """

    name: str
    source: str
    train: Split
    valid: Split
    test: Split

    def __post_init__(self) -> None:
        sizes = {
            name: list(split.images.shape[1:])
            for name, split in (("train", self.train), ("valid", self.valid), ("test", self.test))
        }
        if len({str(size) for size in sizes.values()}) > 1:
            raise BadShape(
                "the images of all splits must have the same [C, H, W]",
                got=sizes,
                do="bring them to one size before building the Dataset",
            )


def _check_dtypes(images: Tensor, labels: Tensor) -> None:
    if images.dtype != torch.float32:
        to_unit = images.dtype == torch.uint8
        raise BadDtype(
            "images must be float32",
            got=images.dtype,
            do="give images.float() / 255" if to_unit else "give images.float()",
        )
    if labels.dtype != torch.int64:
        raise BadDtype("labels must be int64", got=labels.dtype, do="give labels.long()")


def _image_slip(shape: list[int]) -> str:
    if len(shape) == 3:
        return "give images.unsqueeze(1) for grey images [N, H, W]"
    if len(shape) == 2:
        return "give images.reshape(-1, 1, 28, 28) for flattened images of 28×28"
    return "give at least one image as [N, C, H, W]"
