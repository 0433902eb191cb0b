"""The full configuration of a run: every value settled, checked when built, kept as run.json."""

import math
from dataclasses import dataclass, replace

from evenkeel.errors import BadOption
from evenkeel.recipes import RECIPES
from evenkeel.recipes.recipe import Recipe, Variant

DEVICES = ("cpu", "cuda")
DTYPES = ("float32", "float64")
LARGEST_SEED = 2**32 - 1  # numpy's generator takes no larger one


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """Everything that determines a run, defaults of the recipe filled in.

    ``data`` is what was given to ``evenkeel.data.load``; None for the embedded digits. ``compare``
    stands for two runs, with and without batch normalization, in two folders below this one.
    ``threads`` is for each of ``nproc`` processes, which share every batch.

    Raises:  BadOption for a value outside its range; UnknownName for a recipe that does not exist
    """

    recipe: str
    batch_norm: bool
    placement: str
    data: str | None
    steps: int
    batch_size: int
    lr: float
    seed: int
    threads: int
    device: str
    compare: bool
    tensorboard: bool
    nproc: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        RECIPES[self.recipe]
        self.variant()
        _check_choice("device", self.device, DEVICES)
        _check_choice("dtype", self.dtype, DTYPES)
        check_ranges(
            steps=self.steps,
            batch_size=self.batch_size,
            lr=self.lr,
            seed=self.seed,
            threads=self.threads,
            nproc=self.nproc,
        )

    def arms(self) -> dict[str, "RunConfig"]:
        """The runs this stands for, by folder below the run's own; "" is the folder itself."""
        if not self.compare:
            return {"": self}
        return {
            "with-bn": replace(self, compare=False, batch_norm=True),
            "without-bn": replace(self, compare=False, batch_norm=False),
        }

    def variant(self) -> Variant:
        """Which form of the recipe's network this run trains."""
        return Variant(batch_norm=self.batch_norm, placement=self.placement)

    def label(self) -> str:
        """The run in a few words, for legends and tables."""
        if not self.batch_norm:
            return f"{self.recipe}: {RECIPES[self.recipe].without}"
        return f"{self.recipe}: batch normalization {self.placement} the activation"


def check_ranges(
    *,
    steps: int | None,
    batch_size: int | None,
    lr: float | None,
    seed: int,
    threads: int | None,
    nproc: int | None = None,
) -> None:
    """Refuse numbers outside their range; None is for a value still to be settled.

    Raises:  BadOption; also for more processes than a batch has images

    >>> check_ranges(steps=0, batch_size=None, lr=None, seed=0, threads=None)
    Traceback (most recent call last):
    evenkeel.errors.BadOption: steps must be a whole number of at least 1
      got: 0
      do:  give --steps 100, for example
    """
    _check_whole("steps", steps, 1, "100")
    _check_whole("batch-size", batch_size, 1, "64")
    _check_whole("threads", threads, 1, "2")
    _check_whole("nproc", nproc, 1, "2")
    _check_whole("seed", seed, 0, "0")
    if seed > LARGEST_SEED:
        raise BadOption(f"seed must be at most {LARGEST_SEED}", got=seed, do="give --seed 0")
    if lr is not None and not (math.isfinite(lr) and lr > 0):
        raise BadOption("lr must be a finite number above 0", got=lr, do="give --lr 0.01, say")
    if nproc is not None and batch_size is not None and nproc > batch_size:
        raise BadOption(
            "each process needs at least one image of every batch",
            got=f"{nproc} processes, {batch_size} image{'s' * (batch_size > 1)} a step",
            do=f"give --nproc {batch_size} at most, or a larger --batch-size",
        )


def steps_of(recipe: Recipe, examples: int, batch_size: int) -> int:
    """The recipe's own length in steps; an epoch holds its full batches only.

    >>> from evenkeel.recipes import RECIPES
    >>> steps_of(RECIPES["dnn-elu"], 55000, 250)
    5500
    """
    if recipe.steps is not None:
        return recipe.steps
    return (recipe.epochs or 1) * max(1, examples // batch_size)


def _check_whole(name: str, value: int | None, least: int, example: str) -> None:
    if value is None or (type(value) is int and value >= least):
        return
    raise BadOption(
        f"{name} must be a whole number of at least {least}",
        got=value,
        do=f"give --{name} {example}, for example",
    )


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise BadOption(
            f"{name} must be {' or '.join(choices)}",
            got=repr(value),
            do=f"give --{name} {choices[0]}",
        )
