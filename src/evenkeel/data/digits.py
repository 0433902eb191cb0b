"""The embedded data set: scikit-learn's 1,797 real digits, brought to MNIST's 28×28.

They are the test set of the UCI "Optical Recognition of Handwritten Digits": people's writing,
scanned, counted down to 8×8 with values 0 to 16. The digit fills the height of the 8×8 box, as an
MNIST digit fills a box of 20×20 in the middle of its 28×28. So the 8×8 are enlarged to 20×20 by
bilinear interpolation and get a margin of 4: a network made for the one suits the other.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from evenkeel.data.dataset import Dataset, Split
from evenkeel.errors import MissingExtra

TRAIN, VALID, TEST = 1297, 200, 300
BOX, MARGIN, LEVELS = 20, 4, 16


def load_digits() -> Dataset:
    """Give the embedded digits: 1,297 to train, 200 to validate, 300 to test, always the same.

    Shapes:  images [N, 1, 28, 28], labels [N]
    Dtypes:  float32 images in [0, 1], int64 labels 0 to 9
    Raises:  MissingExtra without scikit-learn
    Source:  E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998

    >>> digits = load_digits()
    >>> len(digits.train), len(digits.valid), len(digits.test)
    (1297, 200, 300)
    """
    images, labels = _bundled()
    # RandomState's stream is frozen by NEP 19, so the split is the same with every numpy.
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(labels)))
    train, valid, test = (
        Split(images[part], labels[part]) for part in torch.split(order, [TRAIN, VALID, TEST])
    )
    return Dataset("digits", "scikit-learn's digits, 8×8 enlarged to 28×28", train, valid, test)


def _bundled() -> tuple[Tensor, Tensor]:
    try:
        from sklearn.datasets import load_digits as read
    except ImportError as error:
        raise MissingExtra(
            "the embedded digits come with scikit-learn, which is not installed",
            got=str(error),
            do='run pip install "evenkeel[train]"',
        ) from error
    pixels, labels = read(return_X_y=True)
    images = torch.from_numpy(pixels).float().reshape(-1, 1, 8, 8) / LEVELS
    return _enlarge(images), torch.from_numpy(labels).long()


def _enlarge(images: Tensor) -> Tensor:
    boxes = interpolate(images, size=(BOX, BOX), mode="bilinear", align_corners=False)
    # The two weights of a pixel may add up to 1 + 1 ulp on some machine.
    return pad(boxes.clamp(0, 1), (MARGIN,) * 4)
