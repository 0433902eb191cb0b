"""``tf.contrib.slim.learning``: the train operation with clipped and multiplied gradients."""

from typing import Any

from evenkeel.tf1.contrib import training
from evenkeel.tf1.contrib.training import (
    add_gradients_summaries,
    clip_gradient_norms,
    multiply_gradients,
)
from evenkeel.tf1.train.optimizer import Optimizer

__all__ = [
    "add_gradients_summaries",
    "clip_gradient_norms",
    "create_train_op",
    "multiply_gradients",
]


def create_train_op(
    total_loss: Any, optimizer: Any, global_step: Any = 0, update_ops: Any = None,
    variables_to_train: Any = None, clip_gradient_norm: float = 0,
    summarize_gradients: bool = False, gate_gradients: int = Optimizer.GATE_OP,
    aggregation_method: Any = None, colocate_gradients_with_ops: bool = False,
    gradient_multipliers: Any = None, check_numerics: bool = True,
) -> Any:  # fmt: skip
    """A tensor of the loss that, computed, runs the update operations and takes a step."""

    def changed(grads: Any) -> Any:
        if gradient_multipliers:
            grads = multiply_gradients(grads, gradient_multipliers)
        return clip_gradient_norms(grads, clip_gradient_norm) if clip_gradient_norm > 0 else grads

    return training.create_train_op(
        total_loss, optimizer, global_step, update_ops, variables_to_train, changed,
        summarize_gradients, gate_gradients, aggregation_method, colocate_gradients_with_ops,
        check_numerics,
    )  # fmt: skip
