"""Convolutions with holes, as TensorFlow 1.15 makes them: space to batch, a convolution, and back."""

from typing import Any

from evenkeel.tf1.build import apply


def dilated(plan: Any, image: Any, kernel: Any) -> Any:
    """The convolution ``plan`` with its dilation, on an image of known size."""
    first = plan.data_format.startswith("NC")
    if plan.count == 2:
        rates = [1, 1, *plan.dilations] if first else [1, *plan.dilations, 1]
        return apply(
            "Conv2D", image, kernel, strides=[1, 1, 1, 1], padding=plan.padding.upper(),
            data_format=plan.data_format, dilations=rates, name=plan.name,
        )  # fmt: skip
    if plan.count == 1:
        from evenkeel.tf1.nn.convolutions import conv1d

        return conv1d(image, kernel, 1, plan.padding.upper(), data_format=plan.data_format,
                      dilations=plan.dilations[0], name=plan.name)  # fmt: skip
    rates = [1, 1, *plan.dilations] if first else [1, *plan.dilations, 1]
    return apply("Conv3D", image, kernel, strides=[1] * 5, padding=plan.padding.upper(),
                 data_format=plan.data_format, dilations=rates, name=plan.name)  # fmt: skip
