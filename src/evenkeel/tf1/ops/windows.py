"""Windows over images: padding as TensorFlow counts it, and views in torch's order of axes."""

from typing import Any

from evenkeel.tf1.infer import ShapeConflict
from evenkeel.tf1.ops.rules import equal_sizes
from evenkeel.tf1.shapes import TensorShape, unknown_shape


def is_channels_first(data_format: str) -> bool:
    """Whether channels follow the batch: NCHW and its like."""
    return data_format.startswith("NC")


def to_torch(x: Any, data_format: str) -> Any:
    """A view with the channels on axis 1."""
    return x if is_channels_first(data_format) else x.movedim(-1, 1)


def from_torch(x: Any, data_format: str) -> Any:
    """The same values with the channels where ``data_format`` has them."""
    return x if is_channels_first(data_format) else x.movedim(1, -1)


def spatial(values: Any, data_format: str) -> list[Any]:
    """The entries of a list by axis that belong to the image's own axes."""
    return list(values[2:] if is_channels_first(data_format) else values[1:-1])


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """How many zeros go before and behind: as few as make ⌈size / stride⌉ outputs.

    >>> same_padding(28, 3, 2), same_padding(28, 3, 1)
    ((0, 1), (1, 1))
    """
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def paddings(
    sizes: Any, kernels: Any, strides: Any, dilations: Any, padding: str, explicit: Any, fmt: str
) -> list[tuple[int, int]]:
    """Zeros before and behind, for each axis of the image."""
    if padding == "VALID":
        return [(0, 0) for _ in sizes]
    if padding == "EXPLICIT":
        pairs = list(zip(explicit[::2], explicit[1::2], strict=True))
        return [(int(a), int(b)) for a, b in spatial(pairs, fmt)]
    return [same_padding(*axis) for axis in zip(sizes, kernels, strides, dilations, strict=True)]


def flat_pad(pads: list[tuple[int, int]]) -> list[int]:
    """The form that ``torch.nn.functional.pad`` takes: the last axis first."""
    return [side for pair in reversed(pads) for side in pair]


def window_outputs(
    sizes: Any, kernels: Any, strides: Any, dilations: Any, padding: str, explicit: Any, fmt: str
) -> list[int | None]:
    """How many outputs each axis has; None where its size is unknown."""
    found: list[int | None] = []
    for axis, size in enumerate(sizes):
        kernel, stride, dilation = kernels[axis], strides[axis], dilations[axis]
        if size is None or kernel is None:
            found.append(None)
        elif padding == "SAME":
            found.append(-(-size // stride))
        else:
            more = (
                sum(spatial(list(zip(explicit[::2], explicit[1::2], strict=True)), fmt)[axis])
                if padding == "EXPLICIT"
                else 0
            )
            reach = (kernel - 1) * dilation + 1
            outputs = (size + more - reach) // stride + 1
            if outputs < 1 and size + more - reach < 0:
                raise ShapeConflict(
                    f"Negative dimension size caused by subtracting {reach} from {size + more}"
                )
            found.append(outputs)
    return found


def ranked(shape: TensorShape, rank: int) -> tuple[int | None, ...]:
    """The sizes of a shape that must have this rank; all unknown where the rank is."""
    if shape.ndims is None:
        return (None,) * rank
    if shape.ndims != rank:
        raise ShapeConflict(f"Shape must be rank {rank} but is rank {shape.ndims}")
    return tuple(shape.sizes)


def convolved(node: Any, depthwise: bool = False) -> list[TensorShape]:
    """The shape of a convolution: batch, outputs of the windows, filters."""
    kernel = node.inputs[1].shape
    rank = 5 if node.type == "Conv3D" else 4
    sizes, filters = ranked(node.inputs[0].shape, rank), ranked(kernel, rank)
    fmt, attrs = node.attrs["data_format"], node.attrs
    channels = sizes[1] if is_channels_first(fmt) else sizes[-1]
    if depthwise:
        equal_sizes(channels, filters[-2])
    elif channels is not None and filters[-2] and channels % filters[-2]:
        raise ShapeConflict(
            f"Depth of input ({channels}) is not a multiple of input depth of filter ({filters[-2]})"
        )
    made = None
    if not depthwise:
        made = filters[-1]
    elif filters[-1] is not None and filters[-2] is not None:
        made = filters[-1] * filters[-2]
    outputs = window_outputs(
        spatial(sizes, fmt), filters[:-2], spatial(attrs["strides"], fmt),
        spatial(attrs["dilations"], fmt), attrs["padding"], attrs.get("explicit_paddings"), fmt,
    )  # fmt: skip
    return [arranged(sizes[0], outputs, made, fmt)]


def pooled(node: Any) -> list[TensorShape]:
    """The shape of pooling: batch, outputs of the windows, the channels."""
    rank = 5 if node.type.endswith("3D") else 4
    fmt, attrs = node.attrs["data_format"], node.attrs
    if node.inputs[0].shape.ndims is None:
        return [unknown_shape(rank)]
    sizes = ranked(node.inputs[0].shape, rank)
    outputs = window_outputs(
        spatial(sizes, fmt), spatial(attrs["ksize"], fmt), spatial(attrs["strides"], fmt),
        [1] * (rank - 2), attrs["padding"], None, fmt,
    )  # fmt: skip
    return [arranged(sizes[0], outputs, sizes[1 if is_channels_first(fmt) else -1], fmt)]


def arranged(batch: Any, image: Any, channels: Any, data_format: str) -> TensorShape:
    """Batch, image and channels in the order of ``data_format``."""
    if is_channels_first(data_format):
        return TensorShape([batch, channels, *image])
    return TensorShape([batch, *image, channels])
