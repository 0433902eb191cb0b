"""Classes drawn by unnormalized log-probabilities."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenkeel.errors import BadOption, BadShape
from evenkeel.tf1.random.definition import unit64
from evenkeel.tf1.random.draw import RESERVED
from evenkeel.tf1.random.philox import Stream, words


def multinomial(
    logits: Tensor, count: int, stream: Stream, dtype: torch.dtype = torch.int64
) -> Tensor:
    """Draw ``count`` classes for each row, as Multinomial (tf.random.categorical) does.

    Math:    the first class j with exp(l₀ − m) + … + exp(l_j − m) > u · total, u uniform in [0, 1),
             m the row's largest finite logit; logits that are not finite have probability 0
    Shapes:  logits [N, classes]; the result [N, count]
    Dtypes:  logits f16, bf16, f32, f64 (computed in f64); the result int32 or int64
    Error:   TensorFlow's classes, but where u · total meets a boundary to the last bit of exp
    Raises:  BadShape, BadOption
    Source:  TensorFlow 1.15, MultinomialOp, on one thread: with several and many rows TensorFlow's
             own answer depends on how it shared the rows out. bf16 logits, whose
             classes there follow another order, are drawn as f32 are

    >>> multinomial(torch.tensor([[0.0, 1.0, 2.0]]), 6, Stream.seeded(8, 9))
    tensor([[2, 1, 2, 2, 2, 1]])
    """
    _check(logits, count)
    rows = logits.shape[0]
    if not rows * count:
        return torch.empty(rows, count, dtype=dtype)
    padded = (count + 3) // 4 * 4 * 2  # each uniform is a double, two words
    place = stream.reserve(rows * padded * RESERVED)
    blocks = words(place, np.arange((rows * count + 1) // 2, dtype=np.uint64))
    pairs = blocks.reshape(-1, 2)[: rows * count]
    drawn = unit64(pairs[:, 0], pairs[:, 1]).reshape(rows, count)
    values = logits.detach().cpu().double().numpy()
    chosen = np.stack([_classes(row, u) for row, u in zip(values, drawn, strict=True)])
    return torch.from_numpy(chosen).to(dtype)


def _classes(row: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.intp]:
    finite = np.isfinite(row)
    size = np.zeros_like(row)
    if finite.any():
        size[finite] = np.exp(row[finite] - row[finite].max())
    sums = np.cumsum(size)
    return np.asarray(np.searchsorted(sums, u * sums[-1], side="right"))


def _check(logits: Tensor, count: int) -> None:
    if logits.dim() != 2:
        raise BadShape(
            f"logits should be a matrix, got shape {list(logits.shape)}",
            got=f"{logits.dim()} axes",
            do="give [batch, classes]",
        )
    if not logits.shape[1]:
        raise BadShape(
            "num_classes should be positive, got 0",
            got=f"logits of shape {list(logits.shape)}",
            do="give at least one class",
        )
    if count < 0:
        raise BadOption(
            f"num_samples should be non-negative, got {count}",
            got=f"num_samples={count}",
            do="give 0 or more",
        )
