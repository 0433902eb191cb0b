"""``tf.einsum``: products and sums named by letters, as transposed and reshaped matrix products."""

import re
import string
from collections import Counter
from functools import reduce
from operator import mul
from typing import Any

from evenkeel.tf1.api.arrays import expand_dims, reshape, shape, transpose
from evenkeel.tf1.api.math import matmul
from evenkeel.tf1.api.reductions import reduce_sum
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.nodes import Tensor

__all__ = ["einsum"]


def einsum(equation: str, *inputs: Any, name: str | None = None) -> Any:
    """The sum over letters that are not in the output of the product of the inputs.

    Math:    ``"ij,jk->ik"``: out[i, k] = Σ_j a[i, j] · b[j, k]
    Raises:  ValueError for an equation that does not fit its inputs, or a letter twice in one input
    Source:  TensorFlow 1.15, tf.einsum

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     sess.run(tf.einsum("ij,j->i", tf.constant([[1.0, 2.0]]), tf.constant([3.0, 4.0])))
    array([11.], dtype=float32)
    """
    with name_scope(name, "einsum", inputs):
        tensors = [convert(x) for x in inputs]
        labels, out = _letters(equation, tensors)
        if "->" not in equation and len(labels) == 1 and _is_trace(labels[0]):
            return reduce_sum(apply("MatrixDiagPart", tensors[0]), [-1])
        for one in labels:
            if len(set(one)) < len(one):
                raise ValueError(f"Subscript not supported: an axis appears more than once: {one}")
        uses = Counter(letter for one in labels for letter in set(one))
        if any(n > 2 and letter not in out for letter, n in uses.items()):
            return _all_at_once(tensors, labels, out)
        found, left = tensors[0], labels[0]
        for tensor, one in zip(tensors[1:], labels[1:], strict=True):
            found, left = _pair(found, left, tensor, one, (set(left) & set(one)) - set(out))
        if set(left) - set(out):
            found = reduce_sum(found, axis=[i for i, a in enumerate(left) if a not in out])
            left = "".join(a for a in left if a in out)
        if sorted(left) != sorted(out):
            raise ValueError(f"Invalid equation: {equation}")
        return _ordered(found, [left.index(a) for a in out])


def _is_trace(letters: str) -> bool:
    return len(letters) == 2 and letters[0] == letters[1]


def _letters(equation: str, tensors: list[Tensor]) -> tuple[list[str], str]:
    """(the letters of each input, those of the output), dots replaced."""
    plain = equation.replace(" ", "")
    match = re.match("^([a-zA-Z,.]+)(->[a-zA-Z.]*)?$", plain)
    if not match:
        raise ValueError(f"Indices have incorrect format: {plain}")
    labels = match[1].split(",")
    if len(labels) != len(tensors):
        raise ValueError(
            f'Got {len(tensors)} arguments for equation "{plain}", expecting {len(labels)}'
        )
    unused = "".join(c for c in string.ascii_letters if c not in match[1])
    full = [_without_dots(one, t, unused) for one, t in zip(labels, tensors, strict=True)]
    dots = max((unused[-_dotted(one, t) :] if _dotted(one, t) else ""
                for one, t in zip(labels, tensors, strict=True)), key=len)  # fmt: skip
    if match[2] is not None:
        return full, match[2][2:].replace("...", dots)
    counts = Counter("".join(full))
    return full, dots + "".join(sorted(a for a in counts if counts[a] == 1 and a not in dots))


def _dotted(letters: str, tensor: Tensor) -> int:
    """How many axes three dots stand for."""
    if "..." not in letters:
        return 0
    if tensor.shape.ndims is None:
        raise ValueError("Unable to statically infer ellipsis axes.")
    count: int = tensor.shape.ndims - len(letters.replace("...", ""))
    if count < 0:
        raise ValueError("Ellipses lengths do not match.")
    return count


def _without_dots(letters: str, tensor: Tensor, unused: str) -> str:
    count = _dotted(letters, tensor)
    made = letters.replace("...", unused[-count:] if count else "")
    if "." in made:
        raise ValueError('period "." found outside of ellipsis')
    return made


def _pair(one: Tensor, a: str, two: Tensor, b: str, summed: set[str]) -> tuple[Any, str]:
    """Two inputs as one: letters of both that stay, those of one alone, and those summed over."""
    for number, (tensor, letters) in enumerate(((one, a), (two, b))):
        if tensor.shape.ndims != len(letters):
            raise ValueError(
                f"Tensor t{number} of rank {tensor.shape.ndims} does not match einsum reduction of "
                f"length {len(letters)}"
            )
    both = sorted((set(a) & set(b)) - summed)
    rows, columns = (sorted(set(x) - set(both) - summed) for x in (a, b))
    first = _ordered(one, [a.index(x) for x in [*both, *rows, *sorted(summed)]])
    second = _ordered(two, [b.index(x) for x in [*both, *sorted(summed), *columns]])
    left = "".join([*both, *rows, *columns])
    if not summed:
        for _ in columns:
            first = expand_dims(first, -1)
        for _ in rows:
            second = expand_dims(second, len(both))
        return apply("Mul", first, second), left
    return _product(first, second, (len(both), len(rows), len(summed))), left


def _product(one: Any, two: Any, counts: tuple[int, int, int]) -> Any:
    """The matrix product of the rows and columns that letters of one input alone make."""
    both, rows, summed = counts
    sizes = _sizes(one)
    inner = _whole(sizes[-summed:])
    first = _shaped(one, [*sizes[:both], _whole(sizes[both:-summed]), inner])
    others = _sizes(two)
    last = _whole(others[both + summed :])
    second = _shaped(two, [*others[:both], inner, last])
    wanted = [*sizes[: both + rows], *others[both + summed :]]
    return _shaped(matmul(first, second), wanted)


def _sizes(tensor: Tensor) -> list[Any]:
    known: list[Any] = tensor.shape.as_list()
    if None not in known:
        return known
    asked = shape(tensor)
    return [asked[i] if size is None else size for i, size in enumerate(known)]


def _whole(sizes: list[Any]) -> Any:
    return reduce(mul, sizes, 1)


def _ordered(tensor: Any, places: list[int]) -> Any:
    return tensor if places == sorted(places) else transpose(tensor, perm=places)


def _shaped(tensor: Tensor, sizes: list[Any]) -> Any:
    known = tensor.shape.as_list()
    if len(known) == len(sizes) and all(
        not isinstance(size, Tensor) and size == here
        for size, here in zip(sizes, known, strict=True)
    ):
        return tensor
    return reshape(tensor, sizes)


def _all_at_once(tensors: list[Tensor], labels: list[str], out: str) -> Any:
    """For a letter of three inputs: every input over all letters, multiplied, summed."""
    letters = out + "".join(sorted(set("".join(labels)) - set(out)))
    made = None
    for tensor, one in zip(tensors, labels, strict=True):
        part = _ordered(tensor, [one.index(a) for a in letters if a in one])
        for place, letter in enumerate(letters):
            part = part if letter in one else expand_dims(part, place)
        made = part if made is None else apply("Mul", made, part)
    axes = list(range(len(out), len(letters)))
    return reduce_sum(made, axis=axes) if axes else made
