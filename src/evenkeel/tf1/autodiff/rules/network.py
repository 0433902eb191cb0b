"""Gradients of the operations of neural networks."""

from typing import Any, NamedTuple

from evenkeel.tf1.api.arrays import expand_dims, shape, shape_n
from evenkeel.tf1.api.reductions import reduce_sum
from evenkeel.tf1.build import apply
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.ops.table import GRADIENTS

rule = GRADIENTS.add


def copied(op: Operation, *names: str) -> dict[str, Any]:
    """These attributes of a node."""
    return {name: op.attrs[name] for name in names}


# ---- activations

for _kind in ("Relu", "Relu6", "Elu", "Selu"):

    def _of_output(op: Operation, grad: Any, kind: str = f"{_kind}Grad") -> list[Any]:
        return [apply(kind, grad, op.outputs[0])]

    rule(_kind)(_of_output)


@rule("Softsign")
def softsign(op: Operation, grad: Any) -> list[Any]:
    """1 / (1 + |x|)²."""
    return [apply("SoftsignGrad", grad, op.inputs[0])]


@rule("Softplus")
def softplus(op: Operation, grad: Any) -> list[Any]:
    """The sigmoid."""
    return [grad * apply("Sigmoid", op.inputs[0])]


@rule("LeakyRelu")
def leaky_relu(op: Operation, grad: Any) -> list[Any]:
    """1, or alpha below 0."""
    return [apply("LeakyReluGrad", grad, op.inputs[0], alpha=op.attrs["alpha"])]


@rule("ReluGrad")
def relu_twice(op: Operation, grad: Any) -> list[Any]:
    """The same mask."""
    x = op.inputs[1]
    return [apply("ReluGrad", grad, x), apply("ZerosLike", x)]


@rule("Softmax")
def softmax(op: Operation, grad: Any) -> list[Any]:
    """(g − Σ g y) y."""
    y = op.outputs[0]
    total = reduce_sum(grad * y, -1, keepdims=True)
    return [(grad - total) * y]


@rule("LogSoftmax")
def log_softmax(op: Operation, grad: Any) -> list[Any]:
    """G − Σ g e^y."""
    chances = apply("Exp", op.outputs[0])
    return [grad - reduce_sum(grad, -1, keepdims=True) * chances]


@rule("L2Loss")
def l2_loss(op: Operation, grad: Any) -> list[Any]:
    """X."""
    return [op.inputs[0] * grad]


# ---- losses


def _column(vector: Any, matrix: Any) -> Any:
    return expand_dims(vector, -1) * matrix


@rule("SoftmaxCrossEntropyWithLogits")
def softmax_cross_entropy(op: Operation, grad: Any, grad_of_grad: Any) -> list[Any]:
    """What the forward pass kept, times the gradient; minus the log-softmax to the labels."""
    logits, kept = op.inputs[0], op.outputs[1]
    made = _column(grad, kept)
    if _is_used(grad_of_grad):
        made += _of_softmax(logits, grad_of_grad)
    return [made, _column(grad, apply("Neg", apply("LogSoftmax", logits)))]


def _of_softmax(logits: Any, grad: Any) -> Any:
    chances = apply("Softmax", logits)
    total = reduce_sum(grad * chances, 1)
    return (grad - expand_dims(total, 1)) * chances


def _is_used(grad: Any) -> bool:
    return grad is not None and grad.op.type not in ("ZerosLike", "Zeros") and not _constant(grad)


def _constant(grad: Any) -> bool:
    from evenkeel.tf1.fold import constant_value

    known = constant_value(grad)
    return known is not None and not known.any()


@rule("SparseSoftmaxCrossEntropyWithLogits")
def sparse_softmax_cross_entropy(op: Operation, grad: Any, _unused: Any) -> list[Any]:
    """What the forward pass kept, times the gradient."""
    message = (
        "Currently there is no way to take the second derivative of "
        "sparse_softmax_cross_entropy_with_logits due to the fused implementation's interaction "
        "with tf.gradients()"
    )
    kept = apply("PreventGradient", op.outputs[1], message=message)
    return [_column(grad, kept), None]


# ---- convolutions

_CONV = ("strides", "padding", "data_format", "dilations")
_CONV2D = (*_CONV, "explicit_paddings", "use_cudnn_on_gpu")


class _Convolution(NamedTuple):
    """A convolution's node types, and the attributes that its gradients copy."""

    kind: str
    by_input: str
    by_filter: str
    attrs: tuple[str, ...]


_TWO = _Convolution("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", _CONV2D)
_THREE = _Convolution("Conv3D", "Conv3DBackpropInputV2", "Conv3DBackpropFilterV2", _CONV)


def _enter_convolution(types: _Convolution) -> None:
    @rule(types.kind)
    def convolution(op: Operation, grad: Any) -> list[Any]:
        """Convolutions with the other operand."""
        x, w = op.inputs
        attrs = copied(op, *types.attrs)
        sx, sw = shape_n([x, w])
        first = apply(types.by_input, sx, w, grad, **attrs)
        return [first, apply(types.by_filter, x, sw, grad, **attrs)]

    @rule(types.by_input)
    def transposed(op: Operation, grad: Any) -> list[Any]:
        """The gradients of a transposed convolution."""
        w, y = op.inputs[1], op.inputs[2]
        attrs = copied(op, *types.attrs)
        to_w = apply(types.by_filter, grad, shape(w), y, **attrs)
        return [None, to_w, apply(types.kind, grad, w, **attrs)]


for _types in (_TWO, _THREE):
    _enter_convolution(_types)


@rule("Conv2DBackpropFilter")
def conv2d_filter(op: Operation, grad: Any) -> list[Any]:
    """The gradients of the gradient by the filter."""
    x, y = op.inputs[0], op.inputs[2]
    attrs = copied(op, *_CONV2D)
    first = apply("Conv2DBackpropInput", shape(x), grad, y, **attrs)
    return [first, None, apply("Conv2D", x, grad, **attrs)]


@rule("DepthwiseConv2dNative")
def depthwise(op: Operation, grad: Any) -> list[Any]:
    """Convolutions with the other operand, channel by channel."""
    x, w = op.inputs
    attrs = copied(op, *_CONV)
    first = apply("DepthwiseConv2dNativeBackpropInput", shape(x), w, grad, **attrs)
    second = apply("DepthwiseConv2dNativeBackpropFilter", x, shape(w), grad, **attrs)
    return [first, second]


@rule("BiasAdd")
def bias_add(op: Operation, grad: Any) -> list[Any]:
    """The gradient, and its sum for each channel."""
    return [grad, apply("BiasAddGrad", grad, **copied(op, "data_format"))]


@rule("BiasAddV1")
def bias_add_v1(op: Operation, grad: Any) -> list[Any]:
    """The gradient, and its sum for each channel."""
    axes = list(range(grad.shape.ndims - 1))
    return [grad, reduce_sum(grad, axes)]


# ---- pooling

_POOL = ("ksize", "strides", "padding", "data_format")


@rule("MaxPool")
def max_pool(op: Operation, grad: Any) -> list[Any]:
    """The gradient where the largest value was."""
    attrs = copied(op, *_POOL)
    return [apply("MaxPoolGrad", op.inputs[0], op.outputs[0], grad, **attrs)]


@rule("AvgPool")
def avg_pool(op: Operation, grad: Any) -> list[Any]:
    """The gradient spread over the window."""
    return [apply("AvgPoolGrad", shape(op.inputs[0]), grad, **copied(op, *_POOL))]


@rule("MaxPool3D")
def max_pool_3d(op: Operation, grad: Any) -> list[Any]:
    """The gradient where the largest value was."""
    attrs = copied(op, *_POOL)
    return [apply("MaxPool3DGrad", op.inputs[0], op.outputs[0], grad, **attrs)]


@rule("AvgPool3D")
def avg_pool_3d(op: Operation, grad: Any) -> list[Any]:
    """The gradient spread over the window."""
    return [apply("AvgPool3DGrad", shape(op.inputs[0]), grad, **copied(op, *_POOL))]


# ---- normalization


@rule("LRN")
def lrn(op: Operation, grad: Any) -> list[Any]:
    """The gradient of local response normalization."""
    attrs = copied(op, "depth_radius", "bias", "alpha", "beta")
    return [apply("LRNGrad", grad, op.inputs[0], op.outputs[0], **attrs)]


# ---- images


@rule("ResizeBilinear")
def resize_bilinear(op: Operation, grad: Any) -> list[Any]:
    """The weights of the pixels."""
    attrs = copied(op, "align_corners", "half_pixel_centers")
    return [apply("ResizeBilinearGrad", grad, op.inputs[0], **attrs), None]


@rule("ResizeNearestNeighbor")
def resize_nearest(op: Operation, grad: Any) -> list[Any]:
    """The sum over the copies of a pixel."""
    x = op.inputs[0]
    sizes: Any = x.shape[1:3]
    sizes = sizes.as_list() if sizes.is_fully_defined() else shape(x)[1:3]
    attrs = copied(op, "align_corners", "half_pixel_centers")
    return [apply("ResizeNearestNeighborGrad", grad, sizes, **attrs), None]
