"""The walker: every batch-norm layer of a model, where it stands, and what hangs on its calls."""

from collections import defaultdict
from dataclasses import dataclass

from torch import nn

from evenkeel.nn import FrozenBatchNorm

NORMS = (nn.modules.batchnorm._BatchNorm, FrozenBatchNorm)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True, slots=True)
class Site:
    """A batch-norm layer and every path at which it stands; the first is its name."""

    paths: tuple[str, ...]
    module: nn.Module

    @property
    def path(self) -> str:
        """The first path."""
        return self.paths[0]


def sites(model: nn.Module) -> tuple[Site, ...]:
    """Every batch-norm layer once, in the model's order.

    >>> [site.paths for site in sites(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(2)))]
    [('1',)]
    """
    places = paths_of(model)
    return tuple(
        Site(places[id(module)], module) for module in model.modules() if isinstance(module, NORMS)
    )


def paths_of(model: nn.Module) -> dict[int, tuple[str, ...]]:
    """Every path of every module, by the module's id."""
    places: dict[int, list[str]] = defaultdict(list)
    for path, module in model.named_modules(remove_duplicate=False):
        places[id(module)].append(path)
    return {key: tuple(paths) for key, paths in places.items()}


def holds_norm(module: nn.Module) -> bool:
    """Whether there is a batch-norm layer in ``module``, itself included."""
    return any(isinstance(part, NORMS) for part in module.modules())


def is_bound(module: nn.Module) -> bool:
    """Whether hooks, or a forward of this one object, hang on calls of ``module``."""
    return any(getattr(module, name, None) for name in _HOOKS) or "forward" in vars(module)
