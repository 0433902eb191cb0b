"""What the system says of files, as TensorFlow's classes say it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evenkeel.tf1 import errors

_ERRORS: tuple[tuple[type[OSError], type[errors.OpError]], ...] = (
    (FileNotFoundError, errors.NotFoundError),
    (FileExistsError, errors.AlreadyExistsError),
    (PermissionError, errors.PermissionDeniedError),
    (OSError, errors.FailedPreconditionError),
)


def text_of(path: Any) -> str:
    """A path as text.

    >>> text_of(b"a/b")
    'a/b'
    """
    return os.fsdecode(path)


@contextmanager
def as_tensorflow(path: Any, op: Any = None) -> Iterator[None]:
    """An OSError inside comes out as the class of ``tf.errors`` that TensorFlow has for it.

    >>> with as_tensorflow("nowhere"):
    ...     open("nowhere")
    Traceback (most recent call last):
    evenkeel.tf1.errors.NotFoundError: nowhere; No such file or directory
    """
    try:
        yield
    except OSError as error:
        kind = next(mine for theirs, mine in _ERRORS if isinstance(error, theirs))
        raise kind(None, op, f"{text_of(path)}; {error.strerror or error}") from None
