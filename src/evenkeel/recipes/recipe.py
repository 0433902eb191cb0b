"""What a recipe is: a network of the literature with everything needed to train it, as data."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import Optimizer

from evenkeel.errors import BadOption
from evenkeel.tables import Table

PLACEMENTS = ("before", "after")


@dataclass(frozen=True, slots=True)
class Variant:
    """Which form of a recipe's network to build.

    ``batch_norm``: with batch normalization, or the same network without.
    ``placement``: "before" or "after" the activation.

    Raises:  BadOption for another placement
    """

    batch_norm: bool = True
    placement: str = "before"

    def __post_init__(self) -> None:
        if self.placement not in PLACEMENTS:
            raise BadOption(
                "batch normalization stands before or after the activation",
                got=f"placement={self.placement!r}",
                do='give "before" or "after"',
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A network, its loss, its optimizer and its schedule.

    ``build`` returns a network from images [N, 1, 28, 28] in [0, 1] to logits [N, 10].
    ``optimizer`` gets the network and the learning rate at step 0; ``schedule`` gives the factor on
    that rate at a step, counted from 0, of a run of so many steps. One of ``steps`` and ``epochs`` is
    set. ``probe`` is the path (as in ``named_modules``) of the layer that shows the network at work:
    the percentiles of what its first unit hands to the activation are recorded while training.
    """

    name: str
    title: str
    source: str
    build: Callable[[Variant], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: Callable[[nn.Module, float], Optimizer]
    lr: float
    batch_size: int
    probe: str
    steps: int | None = None
    epochs: int | None = None
    schedule: Callable[[int, int], float] | None = None
    default: Variant = Variant()
    without: str = "the same network without batch normalization, biases in its place"


RECIPES: Table[Recipe] = Table("recipe")
