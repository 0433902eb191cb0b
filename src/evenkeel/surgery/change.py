"""Changes that can be taken back: a module becomes another class, and stays the same object.

Nothing that points at a module (a parent, a list, an optimizer, a hook, a closure) notices, so there
is nothing to put right at all those places.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch import nn

from evenkeel.nn import BatchNorm, BatchNorm1d, BatchNorm2d, BatchNorm3d
from evenkeel.nn.running import CumulativeAverage, Ema
from evenkeel.nn.spec import Spec

OURS: dict[type, type[BatchNorm]] = {
    nn.BatchNorm1d: BatchNorm1d,
    nn.BatchNorm2d: BatchNorm2d,
    nn.BatchNorm3d: BatchNorm3d,
}


class Journal:
    """The modules as they were before each change."""

    def __init__(self) -> None:
        self._before: list[tuple[nn.Module, type, dict[str, object]]] = []

    def __bool__(self) -> bool:
        return bool(self._before)

    def become(self, module: nn.Module, kind: type) -> None:
        """Make ``module`` a ``kind``."""
        self.remember(module)
        module.__class__ = kind

    def adopt(self, layer: nn.Module) -> None:
        """Make one of torch's layers ours: the same object, tensors, flags and hooks."""
        spec = spec_of(layer)
        self.become(layer, OURS[type(layer)])
        for name in ("num_features", "eps", "momentum"):  # read from the spec from now on
            vars(layer).pop(name)
        vars(layer)["spec"] = spec

    def activate(self, layer: nn.Module, activation: str) -> None:
        """Let one of our layers apply ``activation``."""
        self.remember(layer)
        vars(layer)["spec"] = replace(vars(layer)["spec"], activation=activation)

    def remember(self, module: nn.Module) -> None:
        """Keep what is needed to put ``module`` back."""
        self._before.append((module, type(module), dict(vars(module))))

    def undo(self) -> None:
        """Put everything back, latest change first."""
        for module, kind, attributes in reversed(self._before):
            module.__class__ = kind
            vars(module).clear()
            vars(module).update(attributes)


@contextmanager
def taken_back_on_error() -> Iterator[Journal]:
    """A journal whose changes are undone when an error leaves the block."""
    journal = Journal()
    try:
        yield journal
    except BaseException:
        journal.undo()
        raise


def spec_of(layer: nn.Module) -> Spec:
    """The hyperparameters of one of torch's layers; the errors of ours for those we do not take."""
    kind = OURS[type(layer)]
    momentum = layer.momentum
    running = CumulativeAverage() if momentum is None else Ema(momentum)  # type: ignore[arg-type]
    return Spec(
        kind.__name__,
        (layer.num_features,),  # type: ignore[arg-type]  # torch's classes declare it
        layer.eps,  # type: ignore[arg-type]
        running=running,
        ranks=kind._ranks,
    )
