"""The proof: the graph on the TensorFlow 1 runtime and the ported module, on the same inputs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from evenkeel.errors import OutputsDiffer
from evenkeel.port.measured import Moving
from evenkeel.port.reading import Reading
from evenkeel.port.steps import Step, Value, features_last
from evenkeel.tf1.errors import OpError
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.session import Session

# Rounding grows where few values are normalized by themselves, layer after layer: 1.2e-5 of the
# outputs in training of an untrained network with 19 convolutions, down to one pixel, at 16 images.
TRAINING_SLACK = 20.0


@dataclass(frozen=True, slots=True)
class Difference:
    """The largest difference of one comparison, and the largest value that was compared.

    ``slack``: how many times the tolerance is allowed.
    """

    what: str
    largest: float
    scale: float
    slack: float = 1.0

    @property
    def relative(self) -> float:
        """The difference over the largest value."""
        if self.largest == float("inf"):
            return self.largest
        return self.largest / self.scale if self.scale else self.largest

    def __str__(self) -> str:
        return f"{self.what}: largest difference {self.largest:.1e}, values up to {self.scale:.3g}"


def difference(what: str, got: torch.Tensor, want: torch.Tensor, slack: float = 1.0) -> Difference:
    """How far ``got`` is from ``want``; infinite where either is not finite or shapes differ."""
    if got.shape != want.shape:
        return Difference(f"{what}: shape {tuple(got.shape)} for {tuple(want.shape)}", torch.inf, 1)
    gap = (got.double() - want.double()).abs().max() if got.numel() else torch.zeros(())
    largest = float(gap) if bool(torch.isfinite(gap)) else float("inf")
    scale = float(want.double().abs().max()) if want.numel() else 0.0
    return Difference(what, largest, scale, slack)


def graph_output(
    output: Tensor, variables: Mapping[str, Any], fed: Mapping[Tensor, Any], reading: Reading
) -> torch.Tensor:
    """What a session computes; the reading itself where the tensor lies inside of a branch."""
    session = Session(graph=output.graph)
    session.state.variables.update(variables)
    try:
        return torch.as_tensor(session.run(output, dict(fed)))
    except (OpError, ValueError):
        return torch.as_tensor(reading.of(output))
    finally:
        session.close()


def module_input(value: torch.Tensor, x: Value) -> torch.Tensor:
    """A graph's input as the module takes it."""
    return value.permute(x.axes).contiguous()


def in_inference(
    module: nn.Module, inputs: Sequence[torch.Tensor], want: torch.Tensor, output: Value
) -> Difference:
    """The outputs in inference."""
    module.eval()
    with torch.no_grad():
        got = as_graph(module(*inputs), output)
    return difference("outputs in inference", got, want)


def as_graph(got: torch.Tensor, output: Value) -> torch.Tensor:
    """The module's output with the graph's order of axes."""
    back = [output.axes.index(a) for a in range(len(output.axes))]
    return got.permute(back)


def in_training(
    module: nn.Module, inputs: Sequence[torch.Tensor], training: Reading, moving: Moving,
    output: tuple[Tensor, Value], paths: Mapping[str, Step],
) -> list[Difference]:  # fmt: skip
    """Outputs and running statistics after one batch in training mode, dropout keeping everything."""
    before = {k: v.clone() for k, v in module.state_dict().items()}
    module.train()
    try:
        with torch.no_grad(), _keeping_all(module):
            got = as_graph(module(*inputs), output[1])
        want = torch.as_tensor(training.of(output[0]))
        found = [difference("outputs in training", got, want, TRAINING_SLACK)]
        return found + _statistics(module, training, moving, paths)
    finally:
        module.load_state_dict(before)
        module.eval()


def _statistics(
    module: nn.Module, training: Reading, moving: Moving, paths: Mapping[str, Step]
) -> list[Difference]:
    owners = {
        step.owners[name]: (f"{path}.{name}", step.order)
        for path, step in paths.items()
        for name in ("running_mean", "running_var")
        if step.owners.get(name)
    }
    state = module.state_dict()
    found = []
    for name, op in moving.updates(owners, training).items():
        path, order = owners[name]
        want = features_last(np.asarray(moving.after(op, training)), order)
        after = torch.from_numpy(want).reshape(state[path].shape)
        found.append(difference(f"{path} after a step", state[path], after, TRAINING_SLACK))
    return sorted(found, key=lambda d: -d.relative)[:1]


@contextmanager
def _keeping_all(module: nn.Module) -> Iterator[None]:
    """Dropout as it is when every value is kept: scaled alone."""
    kinds = (nn.Dropout, nn.Dropout2d)
    layers = [m for m in module.modules() if isinstance(m, kinds)]
    handles = [m.register_forward_hook(lambda m, args, out: args[0] / (1 - m.p)) for m in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def check(differences: Sequence[Difference], tolerance: float) -> None:
    """Raise OutputsDiffer where a difference is above the tolerance."""
    worst = max(differences, key=lambda d: d.relative / d.slack)
    allowed = tolerance * worst.slack
    if worst.relative <= allowed:
        return
    raise OutputsDiffer(
        "the ported module does not compute what the graph computes; nothing was written",
        got=f"{worst}; allowed {allowed:.1e} of it",
        do="give a larger --tolerance if the difference is rounding; else report this graph",
    )
