"""Convolutions and pooling."""

from typing import Any

from evenkeel.tf1 import build
from evenkeel.tf1.api import arrays
from evenkeel.tf1.build import apply, convert, name_scope

__all__ = [
    "atrous_conv2d", "avg_pool", "avg_pool2d", "avg_pool3d", "conv1d", "conv1d_transpose", "conv2d",
    "conv2d_backprop_input", "conv2d_transpose", "conv3d", "conv3d_transpose", "convolution",
    "depthwise_conv2d", "depthwise_conv2d_native", "max_pool", "max_pool2d", "max_pool3d", "pool",
    "separable_conv2d",
]  # fmt: skip


def sequence(value: Any, count: int, at: int, name: str) -> list[int]:
    """Strides or sizes for every axis, from one number, one for each image axis, or all.

    >>> sequence(2, 2, 3, "strides"), sequence([1, 2, 2, 1], 2, 3, "strides")
    ([1, 2, 2, 1], [1, 2, 2, 1])
    """
    listed = list(value) if isinstance(value, list | tuple) else [value]
    if len(listed) == count + 2:
        return [int(v) for v in listed]
    if len(listed) == 1:
        listed *= count
    if len(listed) != count:
        raise ValueError(
            f"{name} should be of length 1, {count} or {count + 2} but was {len(listed)}"
        )
    one = [1, *listed, 1] if at == count + 1 else [1, 1, *listed]
    return [int(v) for v in one]


def _axis(data_format: str | None) -> int:
    """Where the channels are among four axes."""
    return 1 if str(data_format or "NHWC").startswith("NC") else 3


def _padding(padding: Any, data_format: str | None) -> tuple[str, list[int] | None]:
    if not isinstance(padding, list | tuple):
        return str(padding).upper(), None
    pairs = list(padding)
    if len(pairs) != 4 or any(list(p) != [0, 0] for p in (pairs[0], pairs[_axis(data_format)])):
        raise ValueError(f"Explicit paddings must not pad batch or channels, got {padding}")
    return "EXPLICIT", [int(n) for pair in pairs for n in pair]


def conv2d(
    input: Any, filter: Any = None, strides: Any = None, padding: Any = None,
    use_cudnn_on_gpu: bool = True, data_format: Any = "NHWC", dilations: Any = (1, 1, 1, 1),
    name: Any = None, filters: Any = None,
) -> Any:  # fmt: skip
    """Images convolved with filters [height, width, inputs, outputs]."""
    kernel = filters if filter is None else filter
    if padding is None:
        raise ValueError("padding cannot be None")
    kind, explicit = _padding(padding, data_format)
    at = _axis(data_format)
    return apply(
        "Conv2D", input, kernel, strides=sequence(1 if strides is None else strides, 2, at, "strides"),
        padding=kind, explicit_paddings=explicit, use_cudnn_on_gpu=use_cudnn_on_gpu,
        data_format=data_format, dilations=sequence(dilations, 2, at, "dilations"), name=name,
    )  # fmt: skip


def conv3d(
    input: Any, filter: Any = None, strides: Any = None, padding: Any = None,
    data_format: str = "NDHWC", dilations: Any = (1, 1, 1, 1, 1), name: Any = None,
    filters: Any = None,
) -> Any:  # fmt: skip
    """Volumes convolved with filters [depth, height, width, inputs, outputs]."""
    kernel = filters if filter is None else filter
    return apply(
        "Conv3D", input, kernel, strides=list(strides), padding=padding, data_format=data_format,
        dilations=list(dilations), name=name,
    )  # fmt: skip


def conv1d(
    value: Any = None, filters: Any = None, stride: Any = None, padding: Any = None,
    use_cudnn_on_gpu: Any = None, data_format: Any = None, name: Any = None, input: Any = None,
    dilations: Any = None,
) -> Any:  # fmt: skip
    """Signals convolved with filters [width, inputs, outputs]: a convolution of images one high."""
    source = input if value is None else value
    first = data_format in ("NCW", "NCHW")
    with name_scope(name, "conv1d", [source, filters]) as scope:
        at, fmt = (2, "NCHW") if first else (1, "NHWC")
        strides = [1, *sequence(1 if stride is None else stride, 1, 1 if first else 2, "stride")]
        rates = [1, *sequence(1 if dilations is None else dilations, 1, 1 if first else 2, "dil")]
        if first:
            strides[1], rates[1] = 1, 1
        image = arrays.expand_dims(source, at)
        kernel = arrays.expand_dims(filters, 0)
        made = apply(
            "Conv2D", image, kernel, strides=strides, padding=padding, data_format=fmt,
            dilations=rates, use_cudnn_on_gpu=use_cudnn_on_gpu, name=scope,
        )  # fmt: skip
        return arrays.squeeze(made, [at])


def convolution(
    input: Any, filter: Any = None, padding: Any = "VALID", strides: Any = None,
    dilation_rate: Any = None, name: Any = None, data_format: Any = None, filters: Any = None,
    dilations: Any = None,
) -> Any:  # fmt: skip
    """A convolution of one to three dimensions."""
    kernel = filters if filter is None else filter
    rates = dilations if dilation_rate is None else dilation_rate
    with name_scope(name, "convolution", [input, kernel]) as scope:
        source, weights = convert(input, name="input"), convert(kernel, name="filter")
        count = len(weights.shape) - 2
        plan = Convolution(
            count, padding, _each(strides, count), _each(rates, count), data_format, scope
        )
        return plan(source, weights)


def _each(value: Any, count: int) -> list[int]:
    return [1] * count if value is None else [int(v) for v in value]


_FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


class Convolution:
    """A convolution as layers prepare it: its dilation is a node of its own, made beforehand."""

    def __init__(
        self, count: int, padding: str, strides: list[int], dilations: list[int],
        data_format: str | None, name: str | None,
    ) -> None:  # fmt: skip
        if any(s > 1 for s in strides) and any(d > 1 for d in dilations):
            raise ValueError("strides > 1 not supported in conjunction with dilation_rate > 1")
        self.count, self.padding, self.strides = count, padding, strides
        self.dilations, self.name = dilations, name
        self.data_format = data_format or _FORMATS[count][0]
        if data_format is not None:
            build.constant(dilations, "int32", name="dilation_rate")

    def __call__(self, image: Any, kernel: Any) -> Any:
        """The convolution of an image."""
        first = self.data_format.startswith("NC")
        if any(d > 1 for d in self.dilations):
            from evenkeel.tf1.nn.dilated import dilated

            return dilated(self, image, kernel)
        return self.plain(image, kernel, self.padding, self.name, first)

    def plain(self, image: Any, kernel: Any, padding: str, name: Any, first: bool) -> Any:
        """The convolution without dilation."""
        if self.count == 1:
            return conv1d(image, kernel, self.strides[0], padding.upper(),
                          data_format=self.data_format, name=name)  # fmt: skip
        steps = [1, 1, *self.strides] if first else [1, *self.strides, 1]
        run = conv2d if self.count == 2 else conv3d
        return run(image, kernel, steps, padding.upper(), data_format=self.data_format, name=name)


def atrous_conv2d(value: Any, filters: Any, rate: int, padding: str, name: Any = None) -> Any:
    """A convolution with holes in its filters."""
    return convolution(value, filters, padding, dilation_rate=[rate, rate], name=name)


def conv2d_transpose(
    value: Any = None, filter: Any = None, output_shape: Any = None, strides: Any = None,
    padding: str = "SAME", data_format: str = "NHWC", name: Any = None, input: Any = None,
    filters: Any = None, dilations: Any = None,
) -> Any:  # fmt: skip
    """The gradient of a convolution by its input: filters [height, width, outputs, inputs]."""
    source, kernel = (input if value is None else value), (filters if filter is None else filter)
    at = _axis(data_format)
    with name_scope(name, "conv2d_transpose", [source, kernel, output_shape]) as scope:
        return apply(
            "Conv2DBackpropInput", convert(output_shape, "int32", name="input_sizes"), kernel, source,
            strides=sequence(strides, 2, at, "strides"), padding=padding, data_format=data_format,
            dilations=sequence(1 if dilations is None else dilations, 2, at, "dilations"), name=scope,
        )  # fmt: skip


def conv2d_backprop_input(
    input_sizes: Any, filter: Any = None, out_backprop: Any = None, strides: Any = None,
    padding: Any = None, use_cudnn_on_gpu: bool = True, data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1), name: Any = None, filters: Any = None,
) -> Any:  # fmt: skip
    """The gradient of a convolution by its input."""
    kind, explicit = _padding(padding, data_format)
    return apply(
        "Conv2DBackpropInput", input_sizes, filters if filter is None else filter, out_backprop,
        strides=list(strides), padding=kind, explicit_paddings=explicit, data_format=data_format,
        use_cudnn_on_gpu=use_cudnn_on_gpu, dilations=list(dilations), name=name,
    )  # fmt: skip


def conv3d_transpose(
    value: Any = None, filter: Any = None, output_shape: Any = None, strides: Any = None,
    padding: str = "SAME", data_format: str = "NDHWC", name: Any = None, input: Any = None,
    filters: Any = None, dilations: Any = None,
) -> Any:  # fmt: skip
    """The gradient of a convolution of volumes by its input."""
    source, kernel = (input if value is None else value), (filters if filter is None else filter)
    with name_scope(name, "conv3d_transpose", [source, kernel, output_shape]) as scope:
        return apply(
            "Conv3DBackpropInputV2", convert(output_shape, name="output_shape"), kernel, source,
            strides=list(strides), padding=padding, data_format=data_format, name=scope,
        )  # fmt: skip


def conv1d_transpose(
    input: Any, filters: Any, output_shape: Any, strides: Any, padding: str = "SAME",
    data_format: str = "NWC", dilations: Any = None, name: Any = None,
) -> Any:  # fmt: skip
    """The gradient of a convolution of signals by its input."""
    first = data_format.startswith("NC")
    with name_scope(name, "conv1d_transpose", [input, filters, output_shape]) as scope:
        at = 2 if first else 1
        steps = sequence(strides, 1, 1 if first else 2, "strides")
        wide = arrays.concat([output_shape[:at], [1], output_shape[at:]], 0)
        made = apply(
            "Conv2DBackpropInput", convert(wide, "int32"), arrays.expand_dims(filters, 0),
            arrays.expand_dims(input, at), strides=[*steps[:at], 1, *steps[at:]], padding=padding,
            data_format="NCHW" if first else "NHWC", name=scope,
        )  # fmt: skip
        return arrays.squeeze(made, [at])


def depthwise_conv2d(
    input: Any, filter: Any = None, strides: Any = None, padding: Any = None, rate: Any = None,
    name: Any = None, data_format: Any = None, dilations: Any = None, filters: Any = None,
) -> Any:  # fmt: skip
    """Each channel convolved with filters of its own."""
    kernel, rates = (filters if filter is None else filter), (dilations if rate is None else rate)
    with name_scope(name, "depthwise", [input, kernel]) as scope:
        source, weights = convert(input, name="tensor_in"), convert(kernel, name="filter_in")
        _announce(weights, rates)
        return depthwise_conv2d_native(
            source, weights, strides, padding, data_format, [1, *_each(rates, 2), 1], scope
        )


def _announce(kernel: Any, rates: Any) -> None:
    """The nodes that TensorFlow makes before it sees that there is nothing to dilate."""
    arrays.shape(kernel)
    build.constant(_each(rates, 2), "int32", name="dilation_rate")


def depthwise_conv2d_native(
    input: Any, filter: Any = None, strides: Any = None, padding: Any = None,
    data_format: Any = None, dilations: Any = None, name: Any = None, filters: Any = None,
) -> Any:  # fmt: skip
    """Each channel convolved with filters of its own, as one node."""
    return apply(
        "DepthwiseConv2dNative", input, filters if filter is None else filter,
        strides=list(strides), padding=padding, data_format=data_format,
        dilations=None if dilations is None else list(dilations), name=name,
    )  # fmt: skip


def separable_conv2d(
    input: Any, depthwise_filter: Any = None, pointwise_filter: Any = None, strides: Any = None,
    padding: Any = None, rate: Any = None, name: Any = None, data_format: Any = None,
    dilations: Any = None,
) -> Any:  # fmt: skip
    """A depthwise convolution, and one of 1 × 1 over its channels."""
    rates = dilations if rate is None else rate
    values = [input, depthwise_filter, pointwise_filter]
    with name_scope(name, "separable_conv2d", values) as scope:
        source = convert(input, name="tensor_in")
        depthwise = convert(depthwise_filter, name="depthwise_filter")
        pointwise = convert(pointwise_filter, name="pointwise_filter")
        _announce(depthwise, rates)
        middle = depthwise_conv2d_native(
            source, depthwise, strides, padding, data_format, [1, *_each(rates, 2), 1], "depthwise"
        )
        return conv2d(
            middle, pointwise, [1, 1, 1, 1], "VALID", data_format=data_format or "NHWC", name=scope
        )


def _pooling(kind: str, rank: int, default: str) -> Any:
    def pooling(
        value: Any = None, ksize: Any = None, strides: Any = None, padding: Any = None,
        data_format: Any = "NHWC" if rank == 2 else "NDHWC", name: Any = None, input: Any = None,
    ) -> Any:  # fmt: skip
        source = input if value is None else value
        at = (1 if str(data_format).startswith("NC") else rank + 1) if data_format else rank + 1
        with name_scope(name, default, [source]) as scope:
            return apply(
                kind, convert(source, name="value" if kind == "AvgPool" else "input"),
                ksize=sequence(ksize, rank, at, "ksize"),
                strides=sequence(strides, rank, at, "strides"), padding=padding,
                data_format=data_format, name=scope,
            )  # fmt: skip

    pooling.__doc__ = f"{kind} of windows."
    return pooling


max_pool, avg_pool = _pooling("MaxPool", 2, "MaxPool"), _pooling("AvgPool", 2, "AvgPool")
max_pool3d, avg_pool3d = (
    _pooling("MaxPool3D", 3, "MaxPool3D"),
    _pooling("AvgPool3D", 3, "AvgPool3D"),
)
max_pool2d, avg_pool2d = max_pool, avg_pool


def pool(
    input: Any, window_shape: Any, pooling_type: str, padding: str, dilation_rate: Any = None,
    strides: Any = None, name: Any = None, data_format: Any = None,
) -> Any:  # fmt: skip
    """Pooling by its name, MAX or AVG."""
    rank = len(window_shape)
    table = {("MAX", 2): max_pool, ("AVG", 2): avg_pool,
             ("MAX", 3): max_pool3d, ("AVG", 3): avg_pool3d}  # fmt: skip
    run = table[pooling_type.upper(), rank]
    return run(
        input, list(window_shape), [1] * rank if strides is None else list(strides),
        padding, data_format or _FORMATS[rank][0], name,
    )  # fmt: skip
