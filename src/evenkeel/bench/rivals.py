"""Who else runs the same problems: one row each, with the reason when it cannot run here."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec

import torch

from evenkeel.bench import xla
from evenkeel.bench.compiler import no_compiler, whole
from evenkeel.bench.problem import Problem
from evenkeel.bench.sides import Inference, Side, Training, evenkeel_side, torch_layer
from evenkeel.errors import BadOption
from evenkeel.tables import Table

OURS = "evenkeel"


@dataclass(frozen=True, slots=True)
class Rival:
    """``missing`` gives the reason why it is not here, "" when it is; ``refuses`` that of a problem."""

    about: str
    build: Callable[[Problem], Side]
    missing: Callable[[], str]
    refuses: Callable[[Problem], str] = lambda _: ""


RIVALS: Table[Rival] = Table("rival")


def eager(problem: Problem) -> Training | Inference:
    """Torch's own layers with in-place ReLU."""
    layer = torch_layer(problem)
    kind = Training if problem.operation.training else Inference
    return kind(problem, layer, layer)


def compiled(problem: Problem) -> Training | Inference:
    """The same through torch.compile in its default mode, for exactly this shape."""
    layer = torch_layer(problem)
    kind = Training if problem.operation.training else Inference
    return kind(problem, layer, whole(layer))


def in_float32(problem: Problem) -> Side:
    """Evenkeel on the same values in float32: what half the bytes buy."""
    return evenkeel_side(
        replace(
            problem,
            x=problem.x.float(),
            dy=problem.dy.float(),
            residual=None if problem.residual is None else problem.residual.float(),
        )
    )


def chosen(names: str | None, quick: bool) -> tuple[dict[str, Rival], dict[str, str]]:
    """The rivals of a comma-separated list, default all; and those left out, each with its reason.

    Raises:  UnknownName, BadOption for an empty list

    >>> list(chosen("torch", quick=False)[0])
    ['torch']
    """
    if names is None:
        wanted = ["torch"] if quick else list(RIVALS)
    else:
        wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise BadOption("no rival is named", got=repr(names), do=f"give {','.join(RIVALS)}")
    reasons = {name: RIVALS[name].missing() for name in wanted}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    if quick and names is None:
        left_out |= {name: "not asked for by --quick" for name in RIVALS if name not in wanted}
    return {name: RIVALS[name] for name in wanted if not reasons[name]}, left_out


def _here() -> str:
    return ""


def _package(name: str) -> Callable[[], str]:
    return lambda: "" if find_spec(name) else f"{name} is not installed"


def _not_in_place(problem: Problem) -> str:
    return "it has no batch normalization in place" if problem.operation.in_place else ""


def _only_bfloat16(problem: Problem) -> str:
    return "" if problem.x.dtype == torch.bfloat16 else "runs beside bfloat16 only"


RIVALS.add("torch")(Rival("torch eager, in-place ReLU", eager, _here, _not_in_place))
RIVALS.add("compile")(Rival("torch.compile of the same", compiled, no_compiler, _not_in_place))
RIVALS.add("float32")(Rival("evenkeel in float32", in_float32, _here, _only_bfloat16))
RIVALS.add("jax")(Rival("JAX, jit", xla.JaxSide, _package("jax"), xla.refuses))
RIVALS.add("tensorflow")(
    Rival("TensorFlow, XLA", xla.TensorFlowSide, _package("tensorflow"), xla.refuses)
)
