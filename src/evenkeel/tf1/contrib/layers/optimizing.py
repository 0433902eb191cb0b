"""``tf.contrib.layers.optimize_loss``: an optimizer by its name, its class or a function."""

from typing import Any

from evenkeel.tf1.api.framework import get_collection
from evenkeel.tf1.api.state import trainable_variables
from evenkeel.tf1.api.variable_scopes import variable_scope
from evenkeel.tf1.build import constant
from evenkeel.tf1.catalogue import look_up
from evenkeel.tf1.control_ops import with_dependencies
from evenkeel.tf1.keys import GraphKeys

OPTIMIZER_SUMMARIES = ["learning_rate", "loss", "gradients", "gradient_norm"]
_NAMES = {
    "Adagrad": "AdagradOptimizer", "Adam": "AdamOptimizer", "Ftrl": "FtrlOptimizer",
    "Momentum": "MomentumOptimizer", "RMSProp": "RMSPropOptimizer",
    "SGD": "GradientDescentOptimizer",
}  # fmt: skip
OPTIMIZER_CLS_NAMES = dict(_NAMES)


def optimize_loss(
    loss: Any, global_step: Any, learning_rate: Any, optimizer: Any,
    gradient_noise_scale: Any = None, gradient_multipliers: Any = None, clip_gradients: Any = None,
    learning_rate_decay_fn: Any = None, update_ops: Any = None, variables: Any = None,
    name: Any = None, summaries: Any = None, colocate_gradients_with_ops: bool = False,
    increment_global_step: bool = True,
) -> Any:  # fmt: skip
    """The loss, as a tensor that is known once the gradients have been applied."""
    if gradient_noise_scale is not None:
        raise NotImplementedError("optimize_loss adds no noise to gradients here")
    with variable_scope(name, "OptimizeLoss", [loss, global_step]):
        updates = get_collection(GraphKeys.UPDATE_OPS) if update_ops is None else list(update_ops)
        if updates:
            loss = with_dependencies(list(dict.fromkeys(updates)), loss)
        step = look_up("train").get_global_step() if global_step is None else global_step
        chosen = _optimizer(optimizer, _rate(learning_rate, learning_rate_decay_fn, step))
        wanted = trainable_variables() if variables is None else variables
        grads = chosen.compute_gradients(
            loss, wanted, colocate_gradients_with_ops=colocate_gradients_with_ops
        )
        grads = _changed(grads, gradient_multipliers, clip_gradients)
        counted = step if increment_global_step else None
        applied = chosen.apply_gradients(grads, global_step=counted, name="train")
        return with_dependencies([applied], loss)


def _rate(rate: Any, decay: Any, step: Any) -> Any:
    if rate is None:
        return None
    if isinstance(rate, int | float):
        if rate < 0.0:
            raise ValueError(f"Invalid learning_rate {rate}.")
        rate = constant(float(rate), name="learning_rate")
    return rate if decay is None else decay(rate, step)


def _optimizer(given: Any, rate: Any) -> Any:
    if isinstance(given, str):
        if given not in _NAMES:
            raise ValueError(
                f"Optimizer name should be one of [{', '.join(_NAMES)}], you provided {given}."
            )
        kind = getattr(look_up("train"), _NAMES[given])
        return kind(rate, momentum=0.9) if given == "Momentum" else kind(rate)
    if isinstance(given, type):
        return given(rate)
    if hasattr(given, "compute_gradients"):
        return given
    return given(rate) if rate is not None else given()


def _changed(grads: Any, multipliers: Any, clip: Any) -> Any:
    if multipliers:
        grads = [
            (g * multipliers.get(v, multipliers.get(v.name, 1.0)), v) if g is not None else (g, v)
            for g, v in grads
        ]
    if isinstance(clip, int | float):
        kept, where = zip(*grads, strict=True)
        clipped, _ = look_up("clip_by_global_norm")(list(kept), clip)
        return list(zip(clipped, where, strict=True))
    return clip(grads) if callable(clip) else grads
