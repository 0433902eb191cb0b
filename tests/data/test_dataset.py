"""Split and Dataset: checked when built, with the likely slip named."""

import pytest
import torch
from torch import Tensor

from evenkeel.data import Dataset, Split
from evenkeel.errors import BadDtype, BadShape, EvenkeelError

IMAGES, LABELS = torch.zeros(4, 1, 28, 28), torch.zeros(4, dtype=torch.int64)


def test_a_split_is_as_long_as_its_labels() -> None:
    assert len(Split(IMAGES, LABELS)) == 4


@pytest.mark.parametrize(
    ("images", "labels", "kind", "advice"),
    [
        (IMAGES.byte(), LABELS, BadDtype, "/ 255"),
        (IMAGES.double(), LABELS, BadDtype, "images.float()"),
        (IMAGES, LABELS.int(), BadDtype, "labels.long()"),
        (IMAGES[:, 0], LABELS, BadShape, "unsqueeze(1)"),
        (IMAGES.flatten(1), LABELS, BadShape, "reshape(-1, 1, 28, 28)"),
        (IMAGES[:0], LABELS[:0], BadShape, "at least one image"),
        (IMAGES, LABELS[:3], BadShape, "the same split"),
        (IMAGES, torch.zeros(4, 10, dtype=torch.int64), BadShape, "argmax(1)"),
    ],
)
def test_a_split_names_the_slip(
    images: Tensor, labels: Tensor, kind: type[EvenkeelError], advice: str
) -> None:
    with pytest.raises(kind) as caught:
        Split(images, labels)
    assert advice in caught.value.do


def test_the_splits_of_a_dataset_have_images_of_one_size() -> None:
    split, other = Split(IMAGES, LABELS), Split(IMAGES[..., :8], LABELS)
    Dataset("same", "here", split, split, split)
    with pytest.raises(BadShape, match=r"'valid': \[1, 28, 8\]"):
        Dataset("mixed", "here", split, other, split)
