"""Moving averages: single updates, and ``ExponentialMovingAverage``, which keeps them."""

from typing import Any

from evenkeel.tf1.api.control import group
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.state import assign_add, assign_sub
from evenkeel.tf1.api.variable_scopes import get_variable, variable_scope
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train import slot_creator
from evenkeel.tf1.variables import Variable, init_scope


def assign_moving_average(
    variable: Any, value: Any, decay: Any, zero_debias: bool = True, name: str | None = None
) -> Any:
    """Variable · decay + value · (1 − decay); corrected for a start at zero with ``zero_debias``.

    Math:    variable − (variable − value) · (1 − decay)
    Source:  TensorFlow 1.15; the correction keeps ``biased`` and ``local_step`` beside the variable
    """
    with name_scope(name, "AssignMovingAvg", [variable, value, decay]) as scope:
        keep = convert(1.0 - decay, name="decay")
        if keep.dtype != variable.dtype.base_dtype:
            keep = cast(keep, variable.dtype.base_dtype)
        with get_default_graph().colocate_with(variable):
            if zero_debias:
                return _zero_debias(variable, value, keep, scope)
            return assign_sub(variable, (variable - value) * keep, name=scope)


def _zero_debias(variable: Any, value: Any, keep: Any, scope: str) -> Any:
    kind, place = variable.dtype.base_dtype, variable.op.name
    with variable_scope(place, auxiliary_name_scope=False), init_scope():
        biased = _own("biased", variable.get_shape(), kind)
        step = _own("local_step", [], kind)
    moved = assign_sub(biased, (biased - value) * keep)
    counted = assign_add(step, 1)
    bias = 1 - apply("Pow", 1.0 - keep, counted)
    return variable.assign(moved / bias, name=scope)


def _own(name: str, shape: Any, dtype: Any) -> Any:
    zeros = slot_creator.zeros_initializer
    return get_variable(name, shape=shape, dtype=dtype, initializer=zeros, trainable=False)


def weighted_moving_average(
    value: Any, decay: Any, weight: Any, truediv: bool = True, collections: Any = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The moving average of value · weight over that of weight."""
    keys = [GraphKeys.GLOBAL_VARIABLES] if collections is None else collections
    with variable_scope(name, "WeightedMovingAvg", [value, weight, decay]) as scope:
        values, weights = (
            get_variable(
                kind, shape=value.get_shape(), dtype=value.dtype, trainable=False,
                initializer=slot_creator.zeros_initializer, collections=keys,
            )
            for kind in ("value_x_weight", "weight")
        )  # fmt: skip
        over = assign_moving_average(values, value * weight, decay, zero_debias=False)
        under = assign_moving_average(weights, weight, decay, zero_debias=False)
        from evenkeel.tf1.api.math import div
        from evenkeel.tf1.api.math import truediv as true_division

        chosen = true_division if truediv else div
        return chosen(over, under, name=scope.name)


class ExponentialMovingAverage:
    """Averages of variables and tensors that move by a share of the difference at every step.

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     w = tf.Variable(1.0)
    ...     ema = tf.train.ExponentialMovingAverage(0.5)
    ...     step = ema.apply([w])
    ...     _ = sess.run(tf.global_variables_initializer())
    ...     _ = sess.run(w.assign(3.0))
    ...     _ = sess.run(step)
    ...     sess.run(ema.average(w))
    np.float32(2.0)
    """

    def __init__(
        self, decay: Any, num_updates: Any = None, zero_debias: bool = False,
        name: str = "ExponentialMovingAverage",
    ) -> None:  # fmt: skip
        self._decay, self._num_updates = decay, num_updates
        self._zero_debias, self._name = zero_debias, name
        self._averages: dict[Any, Any] = {}

    @property
    def name(self) -> str:
        """The end of the names of the averages."""
        return self._name

    def apply(self, var_list: Any = None) -> Any:
        """The node that moves the averages of ``var_list``; of all trainable variables without one."""
        graph = get_default_graph()
        if var_list is None:
            var_list = graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)
        zero_debias_of = set()
        for var in var_list:
            if self._average_of(var):
                zero_debias_of.add(var)
        with name_scope(None, self._name) as scope:
            decay = self._rate()
            updates = []
            for var in var_list:
                average = self._averages[var]
                debias = self._zero_debias and var in zero_debias_of
                updates.append(assign_moving_average(average, var, decay, zero_debias=debias))
            return group(*updates, name=scope)

    def _average_of(self, var: Any) -> bool:
        """Make the average; whether it starts from zero."""
        if not var.dtype.base_dtype.is_floating:
            raise TypeError(f"The variables must be half, float, or double: {var.name}")
        if var in self._averages:
            raise ValueError(f"Moving average already computed for: {var.name}")
        graph, is_variable = get_default_graph(), isinstance(var, Variable)
        with init_scope():
            if is_variable:
                made = slot_creator.create_slot(var, var.initialized_value(), self._name)
                graph.add_to_collection(GraphKeys.MOVING_AVERAGE_VARIABLES, var)
            else:
                made = slot_creator.create_zeros_slot(var, self._name)
        self._averages[var] = made
        return not is_variable

    def _rate(self) -> Any:
        decay = convert(self._decay, name="decay")
        if self._num_updates is None:
            return decay
        count = cast(self._num_updates, "float32", name="num_updates")
        return apply("Minimum", decay, (1.0 + count) / (10.0 + count))

    def average(self, var: Any) -> Any:
        """The average of a variable or tensor, or None."""
        return self._averages.get(var)

    def average_name(self, var: Any) -> str:
        """The name of the average, also where it was not made."""
        if var in self._averages:
            return str(self._averages[var].op.name)
        return get_default_graph().unique_name(f"{var.op.name}/{self._name}", mark_as_used=False)

    def variables_to_restore(self, moving_avg_variables: Any = None) -> dict[str, Any]:
        """By name in a checkpoint: each variable under the name of its average where it has one."""
        graph, found = get_default_graph(), {}
        if moving_avg_variables is None:
            moving_avg_variables = graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)
            moving_avg_variables += graph.get_collection(GraphKeys.MOVING_AVERAGE_VARIABLES)
        averaged = set(moving_avg_variables)
        for var in sorted(averaged, key=lambda v: str(v.name)):
            found[self.average_name(var)] = var
        names = {v.op.name for v in averaged}
        for var in graph.get_collection(GraphKeys.GLOBAL_VARIABLES):
            if var.op.name not in names and var.op.name not in found:
                found[var.op.name] = var
        return found
