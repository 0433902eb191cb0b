"""Changes that can be taken back: a module becomes another class, and stays the same object.

Nothing that points at a module (a parent, a list, an optimizer, a hook, a closure) notices, so there
is nothing to put right at all those places.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch import Tensor, nn

from evenkeel.nn import BatchNorm, BatchNorm1d, BatchNorm2d, BatchNorm3d
from evenkeel.nn.running import CumulativeAverage, Ema
from evenkeel.nn.spec import Spec

OURS: dict[type, type[BatchNorm]] = {
    nn.BatchNorm1d: BatchNorm1d,
    nn.BatchNorm2d: BatchNorm2d,
    nn.BatchNorm3d: BatchNorm3d,
}
# Left by a conversion for the way back: that a layer took its activation, what an Identity was.
TAKEN, WAS = "_evenkeel_took_activation", "_evenkeel_was"

# What hangs on a module, whatever its class.
_KEPT = (
    "training",
    "_is_full_backward_hook",
    *(f"_{name}_hooks" for name in ("forward", "forward_pre", "backward", "backward_pre")),
    *(f"_{name}_hooks_with_kwargs" for name in ("forward", "forward_pre")),
    "_forward_hooks_always_called",
    *(f"_{name}_hooks" for name in ("state_dict", "state_dict_pre")),
    *(f"_load_state_dict_{name}_hooks" for name in ("pre", "post")),
)


class Journal:
    """The modules as they were before each change."""

    def __init__(self) -> None:
        self._before: list[Callable[[], None]] = []

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
        """Let one of our layers apply ``activation``, which stood elsewhere."""
        self.remember(layer)
        vars(layer)["spec"] = replace(vars(layer)["spec"], activation=activation)
        vars(layer)[TAKEN] = activation

    def silence(self, module: nn.Module) -> None:
        """Make an activation module an Identity that knows what it was."""
        kind = type(module)
        self.become(module, nn.Identity)
        vars(module)[WAS] = kind

    def swap(self, module: nn.Module, made: nn.Module) -> None:
        """Let ``module`` be what ``made`` is, in the mode and with the hooks that it has."""
        self.remember(module)
        kept = {name: vars(module)[name] for name in _KEPT if name in vars(module)}
        module.__class__ = type(made)
        _fill(module, {**vars(made), **kept})

    def set_parameters(self, module: nn.Module, **tensors: Tensor) -> None:
        """Give ``module`` other parameters; the old ones stay as they are for whoever shares them."""
        self.remember(module)
        vars(module)["_parameters"] = {
            **module._parameters,
            **{name: nn.Parameter(t, t.requires_grad) for name, t in tensors.items()},
        }

    def keep_flags(self, module: nn.Module) -> None:
        """Keep which of the module's own parameters require gradients."""
        flags = [(p, p.requires_grad) for p in module.parameters(recurse=False)]

        def put_back() -> None:
            for parameter, flag in flags:
                parameter.requires_grad_(flag)

        self._before.append(put_back)

    def remember(self, module: nn.Module) -> None:
        """Keep what is needed to put ``module`` back."""
        kind, attributes = type(module), dict(vars(module))

        def put_back() -> None:
            module.__class__ = kind
            _fill(module, attributes)

        self._before.append(put_back)

    def undo(self) -> None:
        """Put everything back, latest change first."""
        for put_back in reversed(self._before):
            put_back()


@contextmanager
def taken_back_on_error() -> Iterator[Journal]:
    """A journal whose changes are undone when an error leaves the block."""
    journal = Journal()
    try:
        yield journal
    except BaseException:
        journal.undo()
        raise


def _fill(module: nn.Module, attributes: dict[str, object]) -> None:
    vars(module).clear()
    vars(module).update(attributes)


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
