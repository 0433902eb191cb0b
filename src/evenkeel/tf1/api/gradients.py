"""``tf.gradients`` and how programs register gradients of their own."""

from typing import Any

from evenkeel.tf1.autodiff.backprop import Options, gradients_of, listed
from evenkeel.tf1.autodiff.custom import custom_gradient
from evenkeel.tf1.autodiff.registry import NoGradient, NotDifferentiable, RegisterGradient
from evenkeel.tf1.build import name_scope

__all__ = [
    "AggregationMethod", "NoGradient", "NotDifferentiable", "RegisterGradient",
    "UnconnectedGradients", "custom_gradient", "gradients", "hessians",
]  # fmt: skip


class AggregationMethod:
    """How several gradients of one tensor are added; every way gives the same sum here."""

    ADD_N = 0
    DEFAULT = ADD_N
    EXPERIMENTAL_TREE = 1
    EXPERIMENTAL_ACCUMULATE_N = 2


class UnconnectedGradients:
    """What the gradient by an x is that no y depends on."""

    NONE = "none"
    ZERO = "zero"


def gradients(
    ys: Any, xs: Any, grad_ys: Any = None, name: str = "gradients",
    colocate_gradients_with_ops: bool = False, gate_gradients: bool = False,
    aggregation_method: Any = None, stop_gradients: Any = None,
    unconnected_gradients: str = UnconnectedGradients.NONE,
) -> list[Any]:  # fmt: skip
    """The derivative of the sum of the ys by each x.

    Math:    results[i] = Σ_j grad_ys[j] · ∂ys[j] / ∂xs[i]
    Shapes:  each result has the shape of its x
    Dtypes:  those of the xs
    Raises:  LookupError for a node whose type has no gradient
    Source:  TensorFlow 1.15, node for node

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     x = tf.constant(3.0)
    ...     sess.run(tf.gradients(x * x, x))
    [np.float32(6.0)]
    """
    zero = unconnected_gradients == UnconnectedGradients.ZERO
    options = Options(colocate_gradients_with_ops, bool(gate_gradients), zero)
    return gradients_of(ys, xs, grad_ys, name, stop_gradients, options)


def hessians(
    ys: Any, xs: Any, name: str = "hessians", colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False, aggregation_method: Any = None,
) -> list[Any]:  # fmt: skip
    """The second derivatives of the sum of the ys by each x, for xs of one known shape each."""
    from evenkeel.tf1.api.arrays import reshape, stack

    found = []
    with name_scope(name, "hessians", [*listed(ys), *listed(xs)]):
        for x in listed(xs):
            first = reshape(gradients(ys, x)[0], [-1])
            count = first.shape.as_list()[0]
            if count is None:
                raise ValueError("tf.hessians needs an x of known shape")
            rows = [gradients(first[i], x)[0] for i in range(count)]
            sizes = x.shape.as_list()
            found.append(reshape(stack(rows), [*sizes, *sizes]))
    return found
