"""Dropout: in a branch that only training takes, or with a rate that is 0 in inference."""

from evenkeel.port.reading import Reading
from evenkeel.port.rules.arithmetic import tidy
from evenkeel.port.steps import Call, Value
from evenkeel.port.tracing import Tracing, pattern, rule
from evenkeel.tf1.nodes import Operation, Tensor

_UNIFORM = ("RandomUniform",)
_NO_RATE = "# rate: it is fed; --train-feed gives its value in training"


@rule("Merge")
def in_branch(tracing: Tracing, op: Operation) -> Value | None:
    """Training drops, inference hands on."""
    training = tracing.training
    if training is None:
        return None
    found = _match(training, training.through(op.outputs[0]).op)
    kept = tracing.reading.behind(op.outputs[0])
    if found is None or kept is None:
        return None
    dropped, scale, noise = found
    if training.outside(dropped) is not tracing.reading.outside(kept):
        return None
    return _layer(tracing, op, tracing.value(kept), training, scale, noise)


@pattern("Mul")
def by_rate(tracing: Tracing, op: Operation) -> Value | None:
    """The rate itself is fed: nothing is dropped where it is 0."""
    reading = tracing.reading
    found = _match(reading, op)
    if found is None:
        return None
    dropped, scale, noise = found
    if abs(_kept(reading, scale) - 1) > 1e-6:
        raise tracing.refuse(op, f"dropout is active in inference; {_cure(reading, scale)}")
    return _layer(tracing, op, tracing.value(dropped), tracing.training or reading, scale, noise)


def _layer(
    tracing: Tracing, op: Operation, x: Value, training: Reading, scale: Tensor, noise: Tensor
) -> Value:
    rate = tidy(round(1 - _kept(training, scale), 6))
    name = "nn.Dropout"
    shape = tuple(training.of(noise).shape)
    whole = tuple(x.shape)
    if shape[1:] != whole[1:]:
        if len(shape) != 4 or shape[1:3] != (1, 1) or shape[3] != whole[3]:
            raise tracing.refuse(op, f"its noise has shape {shape}")
        name, x = "nn.Dropout2d", tracing.channels_first(x)
    call = Call(name, {"rate": rate}, ("rate",))
    notes = () if rate else (_NO_RATE,)
    return tracing.layer("dropout", x, tracing.like(x), call, notes=notes)


def _match(reading: Reading, op: Operation) -> tuple[Tensor, Tensor, Tensor] | None:
    """(what is dropped, the product that scales it, the noise) of scale · x · mask."""
    if op.type != "Mul":
        return None
    for scaled, mask in (reading.inputs(op), reading.inputs(op)[::-1]):
        noise = _noise(reading, mask)
        if noise is not None and scaled.op.type in ("Mul", "RealDiv"):
            return scaled.op.inputs[0], scaled, noise
    return None


def _cure(reading: Reading, scaled: Tensor) -> str:
    rate = reading.origins(scaled.op.inputs[1])
    if any(tensor.op.type.startswith("Placeholder") for tensor in rate):
        return "feed keep_prob=1.0 (--feed)"
    return "this graph is for training alone: port the exported SavedModel, or a graph of inference"


def _noise(reading: Reading, mask: Tensor) -> Tensor | None:
    if mask.op.type not in ("Cast", "Floor"):
        return None
    compared = reading.inputs(mask.op)[0]
    if compared.op.type not in ("GreaterEqual", "Add", "AddV2"):
        return None
    for tensor in reading.inputs(compared.op):
        for part in (tensor, *reading.inputs(tensor.op)):
            found = [part, *reading.inputs(part.op)]
            hit = next((t for t in found if t.op.type in _UNIFORM), None)
            if hit is not None:
                return hit
    return None


def _kept(reading: Reading, scaled: Tensor) -> float:
    """The share that is kept: x / kept, or x · (1 / kept)."""
    number = float(reading.of(scaled.op.inputs[1]))
    return number if scaled.op.type == "RealDiv" else 1 / number
