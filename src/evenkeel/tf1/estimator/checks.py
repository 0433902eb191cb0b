"""What an Estimator is given: functions and their arguments, listeners."""

import inspect
from collections.abc import Callable
from typing import Any

from evenkeel.tf1.train.hooks import CheckpointSaverListener

MODEL_ARGS = {"features", "labels", "mode", "params", "config", "self"}


def arguments(function: Callable[..., Any]) -> set[str]:
    """The names of a function's arguments."""
    return set(inspect.signature(function).parameters)


def check_model_fn(model_fn: Callable[..., Any], params: Any) -> None:
    """ValueError for a model function that cannot be called."""
    names = arguments(model_fn)
    if "features" not in names:
        raise ValueError(f"model_fn ({model_fn}) must include features argument.")
    if params is not None and "params" not in names:
        raise ValueError(
            f"model_fn ({model_fn}) does not include params argument, but params ({params}) is passed "
            "to Estimator."
        )
    if unknown := sorted(names - MODEL_ARGS):
        raise ValueError(f"model_fn ({model_fn}) has following not expected args: {unknown}")


def listeners_of(given: Any) -> list[Any]:
    """Listeners as a list; TypeError for what is none."""
    for listener in given or ():
        if not isinstance(listener, CheckpointSaverListener):
            raise TypeError(
                f"saving_listeners must be a list of CheckpointSaverListener, given: {listener}"
            )
    return list(given or ())
