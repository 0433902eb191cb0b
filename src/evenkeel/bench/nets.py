"""Suite ``nets``: whole training steps, the same network with our layers and with torch's."""

import copy
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

import evenkeel
from evenkeel.bench.machine import kernel_of, this_machine
from evenkeel.bench.networks import NETS, Net
from evenkeel.bench.options import Options
from evenkeel.bench.oracle import errors_of, mismatch
from evenkeel.bench.record import Record, Row, Timed, summarize
from evenkeel.bench.rivals import OURS, chosen
from evenkeel.bench.sides import Lap, Side
from evenkeel.bench.swap import on_torch
from evenkeel.bench.timing import Laps, median, ratio, seconds_of, turn_by_turn
from evenkeel.errors import BadOption

# Fifty layers amplify rounding, and a ReLU whose input rounds to the other side of 0 moves gradients.
# Measured in float32: 2e-3 for MobileNetV2 (ours and torch's), 1.4e-2 for ResNet-50 (ours).
BUDGET = 5e-2


class Step:
    """One training step: forward and loss, then backward and optimizer."""

    def __init__(self, net: Net, model: nn.Module, run: Callable[..., Any]) -> None:
        self._net, self.layer, self._run = net, model, run
        self._x, self._labels = net.batch()
        self._optimizer = net.optimizer(model)

    def lap(self) -> Lap:
        """One step."""
        start = time.perf_counter()
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._net.loss(self._run(self._x), self._labels)
        middle = time.perf_counter()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        self._optimizer.step()
        end = time.perf_counter()
        return Lap(end - start, middle - start, end - middle)

    def arrays(self) -> dict[str, Tensor]:
        """What ``outcome`` gives, of a copy: neither weights nor running statistics move."""
        return outcome(self._net, self.layer, torch.float32)


def outcome(net: Net, model: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """The loss as ``y``, and the first parameter's gradient, which has come through every layer."""
    x, labels = net.batch()
    model = copy.deepcopy(model).to(dtype)
    loss = net.loss(model(x.to(dtype)), labels)
    loss.backward()  # type: ignore[no-untyped-call]
    first = next(model.parameters()).grad
    return {"y": loss.detach()} | ({} if first is None else {"dweight": first})


def nets(options: Options) -> Record:
    """Check and time a training step of every network.

    Raises:  BadOption for a dtype other than float32
    """
    if options.dtype != "float32":
        raise BadOption(
            "nets are measured in float32", got=options.dtype, do="leave --dtype out, or bench ops"
        )
    rivals, left_out = chosen(options.rivals, options.quick)
    left_out |= {name: "measured in ops only" for name in rivals if name not in SIDES}
    names = [
        n for n in NETS if options.case in n and (options.case or n in QUICK or not options.quick)
    ]
    left_out |= {name: reason for name in names if (reason := NETS[name].missing())}
    present = [name for name in names if name not in left_out]
    if not names:
        NETS[options.case]  # raises with the neighbours
    builders = {name: SIDES[name] for name in rivals if name in SIDES}
    rows = [measure(name, builders, options) for name in options.progress("nets", present)]
    return Record(
        suite="nets",
        machine=this_machine(),
        options=options.told(),
        rows=rows,
        summary=summarize(rows),
        left_out=left_out,
    )


def measure(
    name: str, builders: Mapping[str, Callable[[Net, nn.Module], Step]], options: Options
) -> Row:
    """One network: checked against torch's layers in float64, then timed turn by turn."""
    net = NETS[name]
    torch.manual_seed(0)
    plain = on_torch(net.build()).train()
    want = outcome(net, plain, torch.float64)
    sides: dict[str, Side] = {}
    errors, refused = {}, {}
    for side, build in ({OURS: ours} | dict(builders)).items():
        step = build(net, copy.deepcopy(plain))
        errors[side] = errors_of(step.arrays(), want)
        reason = mismatch(errors[side], torch.float32, BUDGET)
        if reason:
            refused[side] = reason
        else:
            sides[side] = step
    laps: Laps = {}
    if OURS in sides:
        laps = turn_by_turn(sides, options.seconds * SLOWER, options.rounds)
    return Row(
        case=name,
        operation="training step",
        network=net.network,
        shape=net.shape,
        layout=net.layout,
        dtype="float32",
        kernel=kernel_of(evenkeel.convert(plain), net.batch()[0]),
        rounds=len(laps.get(OURS, [])),
        sides={side: _timed(side, laps, errors[side]) for side in laps},
        refused=refused,
    )


def ours(net: Net, plain: nn.Module) -> Step:
    """Our layers, where the network has torch's."""
    model = evenkeel.convert(plain)
    return Step(net, model, model)


def eager(net: Net, plain: nn.Module) -> Step:
    """Torch's layers, in-place ReLU."""
    return Step(net, plain, plain)


def compiled(net: Net, plain: nn.Module) -> Step:
    """The same through torch.compile, for exactly this shape."""
    torch.compiler.reset()
    return Step(net, plain, torch.compile(plain, dynamic=False))


SIDES: dict[str, Callable[[Net, nn.Module], Step]] = {"torch": eager, "compile": compiled}
QUICK = ("conv20-nchw",)
SLOWER = 10  # a step takes so much longer than a layer that fewer seconds would give too few rounds


def _timed(name: str, laps: Laps, errors: Mapping[str, float]) -> Timed:
    own, first = laps[name], laps[OURS]
    forward, backward = ([lap.forward for lap in own], [lap.backward for lap in own])
    other = name != OURS
    return Timed(
        ms=median(seconds_of(own)) * 1e3,
        forward_ms=median(forward) * 1e3,
        backward_ms=median(backward) * 1e3,
        ratio=ratio(seconds_of(first), seconds_of(own)) if other else None,
        forward_ratio=ratio([lap.forward for lap in first], forward) if other else None,
        backward_ratio=ratio([lap.backward for lap in first], backward) if other else None,
        errors=errors,
    )
