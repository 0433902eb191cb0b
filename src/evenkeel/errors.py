"""Every error class: what is wrong, what was given, what to do, and where.

The constructor asks for all three, so that no error can be three words long. ``at`` is added once,
by the boundary that knows the place: a layer's path, a file's name, a line of a program.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class EvenkeelError(ValueError):
    """What is wrong, what was given, what to do; and where, once the place is known.

    >>> print(EvenkeelError("the batch is empty", got="x of shape [0, 3]", do="drop empty batches"))
    the batch is empty
      got: x of shape [0, 3]
      do:  drop empty batches
    """

    def __init__(self, problem: str, *, got: object, do: str, at: str = "") -> None:
        # Text alone: an error outlives its tensors, and crosses processes.
        self.problem, self.got, self.do, self.at = problem, str(got), do, at
        place = [f"  at:  {at}"] if at else []
        super().__init__("\n".join([problem, *place, f"  got: {got}", f"  do:  {do}"]))

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.problem, self.got, self.do, self.at)


def _rebuild(
    kind: type[EvenkeelError], problem: str, got: object, do: str, at: str
) -> EvenkeelError:
    return kind(problem, got=got, do=do, at=at)


@contextmanager
def located(place: str) -> Iterator[None]:
    """Add ``place`` to any error raised inside that does not know its place yet.

    >>> with located("stem.bn"):
    ...     raise EmptyBatch("the batch is empty", got="x of shape [0, 3]", do="drop empty batches")
    Traceback (most recent call last):
    evenkeel.errors.EmptyBatch: the batch is empty
      at:  stem.bn
      got: x of shape [0, 3]
      do:  drop empty batches
    """
    try:
        yield
    except EvenkeelError as error:
        if error.at:
            raise
        placed = type(error)(error.problem, got=error.got, do=error.do, at=place)
        raise placed.with_traceback(error.__traceback__) from error.__cause__


class BadShape(EvenkeelError):
    """A tensor's rank or sizes do not fit."""


class BadAxis(EvenkeelError):
    """A tensor has no such axis, or an axis is named twice."""


class BadDtype(EvenkeelError):
    """A tensor's dtype is not one of float16, bfloat16, float32, float64."""


class BadOption(EvenkeelError):
    """An argument's value is outside its range, or two arguments contradict each other."""


class EmptyBatch(EvenkeelError):
    """There is no value to take statistics of."""


class OneValuePerChannel(EvenkeelError):
    """Training statistics of a single value per channel: its variance is 0, the output constant."""


class NoStatistics(EvenkeelError):
    """Inference needs running statistics and the layer keeps none."""


class Misread(EvenkeelError):
    """A tool that knows only torch's class would drop what makes this layer different."""


class NoKernel(EvenkeelError):
    """No kernel can run this call, or the one asked for cannot."""


class UnknownName(EvenkeelError, KeyError):
    """A name that is in no table; the message suggests its neighbours.

    A KeyError too, as the ``get`` of a mapping expects of a miss.
    """


class DuplicateRow(EvenkeelError):
    """Two rows of one table under the same name."""


class BadData(EvenkeelError):
    """A data file is missing, truncated, corrupt, or not what its name says."""


class RanksDiffer(EvenkeelError):
    """The processes of a group do not do the same thing at the same time."""


class DownloadFailed(EvenkeelError):
    """A file could not be fetched whole from any mirror, or fetching is switched off."""


class BadRun(EvenkeelError):
    """A run folder or checkpoint is missing, damaged, or was not written by evenkeel."""


class MissingExtra(EvenkeelError):
    """A command needs an optional dependency that is not installed."""


class NonFiniteBatch(UserWarning):
    """A batch held NaN or infinity; the running statistics of the layer were left as they were."""


class OutputsDiffer(EvenkeelError):
    """A model that was changed does not do what it did before."""
