"""From a recorded run to what a rule needs to know of one layer's place in it."""

from collections.abc import Iterator

from torch import nn

from evenkeel.doctor.recording import Node, Recording
from evenkeel.doctor.trace import Flow
from evenkeel.doctor.watching import spec_of
from evenkeel.surgery.change import WAS
from evenkeel.surgery.linear import linear_kind
from evenkeel.surgery.sites import NORMS

# What hands values on as they are, for one channel at a time.
_PASSING = {
    *("Identity", "Flatten", "Unflatten", "flatten", "reshape", "view", "squeeze", "unsqueeze"),
    *("contiguous", "clone", "to", "float", "permute", "transpose", "detach", "type_as"),
}
_DROPOUTS = {
    *("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"),
    *("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout", "alpha_dropout"),
}
# A positive scale before these can as well be in what follows.
_RELUS = {"ReLU", "relu", "relu_", "LeakyReLU", "leaky_relu", "leaky_relu_", "PReLU", "prelu"}
_POOLS = {
    *("MaxPool1d", "MaxPool2d", "MaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d"),
    *("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "max_pool2d", "avg_pool2d"),
    *("adaptive_avg_pool2d", "mean"),
}
_ACTIVATIONS = {
    *_RELUS,
    *("SiLU", "GELU", "ELU", "Tanh", "Sigmoid", "Hardswish", "ReLU6", "Mish", "SELU", "Softplus"),
    *("silu", "gelu", "elu", "tanh", "sigmoid", "hardswish", "relu6", "mish", "selu", "hardtanh"),
    "SiLUActivation",
}
# What gives each example its own scale again, whatever came before.
_SCALING = {
    *("LayerNorm", "GroupNorm", "RMSNorm", "LocalResponseNorm", "layer_norm", "group_norm"),
    *("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "instance_norm", "rms_norm"),
}
_ENDS = {"Softmax", "LogSoftmax", "softmax", "log_softmax", "Sigmoid", "sigmoid", "argmax"}


def flow_of(recording: Recording, module: nn.Module) -> Flow | None:
    """Where ``module`` stands in the run; None where it did not run."""
    calls = recording.calls_of(module)
    if not calls:
        return None
    node = recording.nodes[calls[0]]
    before = _before(recording, node)
    source = recording.nodes[node.sources[0]] if node.sources else None
    after = _after(recording, calls[0])
    kind = after.kind if after is not None and after.kind in _ACTIVATIONS else ""
    alive = recording.reaches_output()
    axes = spec_of(module).axes(len(node.shape))
    return Flow(
        calls=len(calls),
        axis=axes[0] if len(axes) == 1 else None,
        before=before.kind if before else "",
        before_path=before.path if before else "",
        before_bias=_biases(before),
        input_axis=source.axis if source else None,
        flattened=source.flattened if source else 1,
        dropout=_dropout(recording, node),
        after=kind,
        scale_free=kind in _RELUS and _linear_after(recording, after),
        lost=_lost(recording, calls[0]),
        output=len(node.shape) == 2 and _is_output(recording, calls[0]),
        used=recording.blind or any(call in alive for call in calls),
        raw_channels_last=_raw_channels_last(before, node),
    )


def _before(recording: Recording, node: Node) -> Node | None:
    """The operation whose values the layer gets."""
    while node.sources:
        node = recording.nodes[node.sources[0]]
        if node.kind not in _PASSING and node.kind not in _DROPOUTS:
            return node
    return None


def _after(recording: Recording, call: int) -> Node | None:
    """The one operation that gets what the layer gives."""
    users = recording.nodes[call].users
    while len(users) == 1:
        node = recording.nodes[users[0]]
        if node.kind not in _PASSING:
            return node
        users = node.users
    return None


def _biases(before: Node | None) -> int:
    """The number of bias values of a linear operation."""
    if before is None or before.module is None or linear_kind(before.module) is None:
        return 0
    bias = before.module._parameters.get("bias")
    return 0 if bias is None else bias.numel()


def _dropout(recording: Recording, node: Node) -> str:
    """A dropout upstream, with no normalization between; its path, or its kind."""
    for up in _upstream(recording, node):
        if up.kind in _DROPOUTS and float(getattr(up.module, "p", 1.0)) > 0:
            return up.path or up.kind
    return ""


def _upstream(recording: Recording, node: Node) -> Iterator[Node]:
    seen: set[int] = set()
    waiting = list(node.sources)
    while waiting:
        index = waiting.pop()
        up = recording.nodes[index]
        if index in seen or isinstance(up.module, NORMS) or up.kind in _SCALING:
            continue
        seen.add(index)
        yield up
        waiting += up.sources


def _linear_after(recording: Recording, activation: Node | None) -> bool:
    """Whether only linear operations, through pooling, get what the activation gives."""
    waiting = list(activation.users) if activation else []
    if not waiting:
        return False
    while waiting:
        node = recording.nodes[waiting.pop()]
        if node.kind in _PASSING | _POOLS | _DROPOUTS:
            waiting += node.users
        elif node.module is None or linear_kind(node.module) is None:
            return False
    return True


def _lost(recording: Recording, call: int) -> str:
    """The path of an activation behind the layer that `convert` made an Identity."""
    behind = [recording.nodes[index] for index in recording.nodes[call].users]
    gone = (n.path for n in behind if type(n.module) is nn.Identity and WAS in vars(n.module))
    return next(gone, "")


def _is_output(recording: Recording, call: int) -> bool:
    """Whether the model's output is what the layer gives, or its softmax."""
    waiting = [call]
    while waiting:
        index = waiting.pop()
        if index in recording.outputs:
            return True
        waiting += [
            u for u in recording.nodes[index].users if recording.nodes[u].kind in _PASSING | _ENDS
        ]
    return False


def _raw_channels_last(before: Node | None, node: Node) -> bool:
    """Whether the layer gets the model's own input, and that looks like [N, H, W, colours]."""
    shape = node.shape
    square = len(shape) == 4 and shape[1] == shape[2] and shape[3] in (1, 3, 4)
    return square and before is not None and before.kind == "input"
