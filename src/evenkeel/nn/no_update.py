"""no_update: forward passes in training mode that leave the running statistics alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

_held: ContextVar[bool] = ContextVar("held", default=False)
# How many blocks are open in all threads: without any, nothing asks the ContextVar, over which
# torch.compile stumbles.
_open = 0
_lock = Lock()


@contextmanager
def no_update() -> Iterator[None]:
    """Inside, evenkeel's layers normalize by the batch as in training and move no running statistics.

    Math:    y as in training; running_mean, running_var, num_batches_tracked and what a rule keeps
             beside them stay as they are, bit for bit
    Source:  the second population of a GAN's discriminator, of adversarial or unlabelled examples,
             whose values do not belong in the averages of the first; Miyato et al. 2018,
             arXiv:1704.03976, does so in its virtual adversarial step

    Holds for this thread, and for what runs in its context; blocks nest. Gradients flow as always.
    torch's own layers do not know of it: ``convert`` the model first.

    >>> import evenkeel as ek
    >>> layer = ek.BatchNorm1d(2)
    >>> with no_update():
    ...     _ = layer(torch.randn(8, 2))
    >>> layer.num_batches_tracked
    tensor(0)
    """
    token = _held.set(True)
    _count(1)
    try:
        yield
    finally:
        _count(-1)
        _held.reset(token)


def updating() -> bool:
    """Whether training moves running statistics here and now.

    >>> with no_update():
    ...     updating()
    False
    """
    return not _open or not _held.get()


def _count(more: int) -> None:
    global _open
    with _lock:
        _open += more
