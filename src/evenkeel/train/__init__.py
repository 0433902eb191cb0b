"""Training on Lightning: recipes, exact resume, the inference check, the report."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenkeel.train.run import Run as Run
    from evenkeel.train.run import resume as resume
    from evenkeel.train.run import train as train

__all__ = ["Run", "resume", "train"]


def __getattr__(name: str) -> Any:
    """Import the loop when it is asked for: scoring and reports do without Lightning's seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from evenkeel.train import run

    return getattr(run, name)
