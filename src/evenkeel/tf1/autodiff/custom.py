"""``tf.custom_gradient``: a function that says itself what its gradient is."""

import functools
from collections.abc import Callable
from typing import Any

from evenkeel.tf1.autodiff.registry import RegisterGradient
from evenkeel.tf1.build import apply, convert
from evenkeel.tf1.stacks import get_default_graph

_count = [0]  # what makes the names of registered gradients different


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """``f`` returns its result and a function of the result's gradient that gives its arguments'.

    >>> import evenkeel.tf1 as tf
    >>> @tf.custom_gradient
    ... def twice(x):
    ...     return x * 2.0, lambda dy: dy * 10.0
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     x = tf.constant(1.0)
    ...     sess.run(tf.gradients(twice(x), x))
    [np.float32(10.0)]
    """

    @functools.wraps(f)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        _count[0] += 1
        inputs = [convert(a) for a in args]
        result, gradient = f(*inputs, **kwargs)
        many = isinstance(result, list | tuple)
        outputs = [convert(r) for r in (result if many else [result])]
        name = f"CustomGradient-{_count[0]}"
        _register(name, gradient, len(outputs))
        with get_default_graph().gradient_override_map({"IdentityN": name}):
            made = apply("IdentityN", [*outputs, *inputs])
        return type(result)(made[: len(outputs)]) if many else made[0]

    return decorated


def _register(name: str, gradient: Callable[..., Any], count: int) -> None:
    @RegisterGradient(name)
    def rule(_op: Any, *grads: Any) -> list[Any]:
        found = gradient(*grads[:count])
        listed = list(found) if isinstance(found, list | tuple) else [found]
        return [None] * count + listed
