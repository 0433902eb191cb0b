"""``tf.contrib.training``: the node that updates, trains and gives the loss."""

from typing import Any

from evenkeel.tf1.api.math import check_numerics as checked
from evenkeel.tf1.build import apply, name_scope
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.control_ops import no_op, with_dependencies
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.nodes import IndexedSlices
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.optimizer import Optimizer
from evenkeel.tf1.train.steps import get_or_create_global_step

__all__ = [
    "add_gradients_summaries",
    "clip_gradient_norms",
    "create_train_op",
    "multiply_gradients",
]
_USE_GLOBAL_STEP = 0  # TensorFlow's mark for "the graph's own global step"


def create_train_op(
    total_loss: Any, optimizer: Any, global_step: Any = _USE_GLOBAL_STEP, update_ops: Any = None,
    variables_to_train: Any = None, transform_grads_fn: Any = None,
    summarize_gradients: bool = False, gate_gradients: int = Optimizer.GATE_OP,
    aggregation_method: Any = None, colocate_gradients_with_ops: bool = False,
    check_numerics: bool = True,
) -> Any:  # fmt: skip
    """A tensor of the loss that, computed, runs the update operations and takes a step.

    Without ``update_ops`` these are all of the collection UPDATE_OPS, and they run before the loss.
    """
    if global_step is _USE_GLOBAL_STEP:
        global_step = get_or_create_global_step()
    graph = get_default_graph()
    known = graph.get_collection(GraphKeys.UPDATE_OPS)
    updates = list(dict.fromkeys(known if update_ops is None else update_ops))
    if updates:
        with graph.control_dependencies(updates):
            barrier = no_op(name="update_barrier")
        total_loss = with_dependencies([barrier], total_loss)
    variables = variables_to_train or graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)
    grads = optimizer.compute_gradients(
        total_loss, variables, gate_gradients=gate_gradients,
        aggregation_method=aggregation_method,
        colocate_gradients_with_ops=colocate_gradients_with_ops,
    )  # fmt: skip
    if transform_grads_fn:
        grads = transform_grads_fn(grads)
    if summarize_gradients:
        with name_scope("summarize_grads"):
            add_gradients_summaries(grads)
    step = optimizer.apply_gradients(grads, global_step=global_step)
    with name_scope("train_op"):
        if check_numerics:
            total_loss = checked(total_loss, "LossTensor is inf or nan")
        train_op = with_dependencies([step], total_loss)
    listed = graph.get_collection_ref(GraphKeys.TRAIN_OP)
    if train_op not in listed:
        listed.append(train_op)
    return train_op


def add_gradients_summaries(grads_and_vars: Any) -> list[Any]:
    """Histograms of gradients and their norms."""
    from evenkeel.tf1.api.clipping import global_norm
    from evenkeel.tf1.summary import histogram, scalar

    made = []
    for grad, var in grads_and_vars:
        if grad is not None:
            values = grad.values if isinstance(grad, IndexedSlices) else grad
            made.append(histogram(f"{var.op.name}_gradient", values))
            made.append(scalar(f"{var.op.name}_gradient_norm", global_norm([values])))
    return made


def clip_gradient_norms(gradients_to_variables: Any, max_norm: float) -> list[Any]:
    """Each gradient with a norm of at most ``max_norm``."""
    from evenkeel.tf1.api.clipping import clip_by_norm

    return [
        (None if grad is None else clip_by_norm(grad, max_norm), var)
        for grad, var in gradients_to_variables
    ]


def multiply_gradients(grads_and_vars: Any, gradient_multipliers: dict[Any, Any]) -> list[Any]:
    """Gradients times the factors given for their variables, by variable or by name."""
    if not gradient_multipliers:
        raise ValueError("gradient_multipliers is empty.")
    made = []
    for grad, var in grads_and_vars:
        factor = gradient_multipliers.get(var, gradient_multipliers.get(var.op.name))
        if factor is not None:
            if grad is None:
                raise ValueError("Requested multiple of `None` gradient.")
            grad = _times(grad, factor)
        made.append((grad, var))
    return made


def _times(grad: Any, factor: Any) -> Any:
    if isinstance(grad, IndexedSlices):
        return IndexedSlices(apply("Mul", grad.values, factor), grad.indices, grad.dense_shape)
    return apply("Mul", grad, factor)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.contrib.training.{name}", __all__)
