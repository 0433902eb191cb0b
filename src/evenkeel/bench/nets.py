"""Suite ``nets``: whole training steps, the same network with our layers and with torch's."""

import copy
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

import evenkeel
from evenkeel.bench.bounds import Copies, passing
from evenkeel.bench.compiler import whole
from evenkeel.bench.machine import kernel_of
from evenkeel.bench.networks import NETS, Net
from evenkeel.bench.options import Options
from evenkeel.bench.oracle import errors_of, mismatch
from evenkeel.bench.rivals import OURS, chosen
from evenkeel.bench.row import Row, Timed
from evenkeel.bench.sides import Lap, Side
from evenkeel.bench.suite import Work
from evenkeel.bench.summary import TRAINING_STEP, summarize
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
        """Loss and gradient of a step without optimizer; running statistics are put back."""
        before = {name: buffer.clone() for name, buffer in self.layer.named_buffers()}
        found = outcome(self._net, self.layer, self._run, self._x)
        for name, buffer in self.layer.named_buffers():
            buffer.copy_(before[name])
        return found


def outcome(net: Net, model: nn.Module, run: Callable[..., Any], x: Tensor) -> dict[str, Tensor]:
    """The loss as ``y``, and the first parameter's gradient, which has come through every layer."""
    model.zero_grad(set_to_none=True)
    loss = net.loss(run(x), net.batch()[1])
    loss.backward()  # type: ignore[no-untyped-call]
    first = next(model.parameters()).grad
    model.zero_grad(set_to_none=True)
    return {"y": loss.detach()} | ({} if first is None else {"dweight": first})


@lru_cache(
    maxsize=1
)  # the layouts of a network come one after the other, and are the same function
def expected(network: str) -> dict[str, Tensor]:
    """The outcome on torch's layers in float64."""
    net = next(net for net in NETS.values() if net.network == network)
    plain = start(net).double()
    return outcome(net, plain, plain, net.batch()[0].double())


def start(net: Net) -> nn.Module:
    """The network on torch's layers, the same weights on every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return on_torch(net.build()).train()


def nets(options: Options) -> Work:
    """Check and time a training step of every network.

    Raises:  BadOption for a dtype other than float32, UnknownName
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
    if not names:
        NETS[options.case]  # raises with the neighbours
    left_out |= {name: reason for name in names if (reason := NETS[name].missing())}
    builders = {name: SIDES[name] for name in rivals if name in SIDES}
    return Work(
        tasks=[name for name in names if name not in left_out],
        measure=lambda name: measure(name, builders, options),
        summarize=summarize,
        left_out=left_out,
    )


def measure(
    name: str, builders: Mapping[str, Callable[[Net, nn.Module], Step]], options: Options
) -> Row:
    """One network: checked against torch's layers in float64, then timed turn by turn."""
    net = NETS[name]
    plain, want = start(net), expected(net.network)
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
        bounds = limits(net, evenkeel.convert(plain))
        laps = turn_by_turn(sides | bounds, options.seconds * SLOWER, options.rounds)
    return Row(
        case=name,
        operation=TRAINING_STEP,
        network=net.network,
        shape=net.shape,
        layout=net.layout,
        dtype="float32",
        kernel=kernel_of(evenkeel.convert(plain), net.batch()[0]),
        rounds=len(laps.get(OURS, [])),
        megabytes=prod(net.shape) * 4 / 2**20,
        sides={side: _timed(side, laps, errors.get(side, {})) for side in laps},
        refused=refused,
    )


def limits(net: Net, model: nn.Module) -> dict[str, Side]:
    """What bounds a step on our layers from below; the names are those of suite ``ops``."""
    empty = passing(model)
    return {"copy": Copies(model, net.batch()[0]), "empty call": Step(net, empty, empty)}


def ours(net: Net, plain: nn.Module) -> Step:
    """Our layers, where the network has torch's."""
    model = evenkeel.convert(plain)
    return Step(net, model, model)


def eager(net: Net, plain: nn.Module) -> Step:
    """Torch's layers, in-place ReLU."""
    return Step(net, plain, plain)


def compiled(net: Net, plain: nn.Module) -> Step:
    """The same through torch.compile, for exactly this shape; the optimizer as on the other sides."""
    return Step(net, plain, whole(plain, fullgraph=False))


SIDES: dict[str, Callable[[Net, nn.Module], Step]] = {"torch": eager, "compile": compiled}
QUICK = ("conv20-nchw",)
SLOWER = 10  # a step takes so much longer than a layer that fewer seconds would give too few rounds


def _timed(name: str, laps: Laps, errors: Mapping[str, float]) -> Timed:
    own, first = laps[name], laps[OURS]
    if name == "copy":
        return Timed(ms=median(seconds_of(own)) * 1e3)
    forward, backward = ([lap.forward for lap in own], [lap.backward for lap in own])
    other = name not in (OURS, "empty call")
    return Timed(
        ms=median(seconds_of(own)) * 1e3,
        forward_ms=median(forward) * 1e3,
        backward_ms=median(backward) * 1e3,
        ratio=ratio(seconds_of(first), seconds_of(own)) if other else None,
        forward_ratio=ratio([lap.forward for lap in first], forward) if other else None,
        backward_ratio=ratio([lap.backward for lap in first], backward) if other else None,
        errors=errors,
    )
