"""The optimizers with L1 and L2 penalties of their own: Ftrl, the proximal ones, dual averaging."""

from typing import Any

from evenkeel.tf1.api.math import cast
from evenkeel.tf1.build import apply, constant, convert
from evenkeel.tf1.nodes import IndexedSlices
from evenkeel.tf1.train.kinds import OneNode, _positive
from evenkeel.tf1.train.slot_creator import colocated

_L1, _L2 = "l1_regularization_strength", "l2_regularization_strength"


class FtrlOptimizer(OneNode):
    """Follow the regularized leader."""

    _slot_names = ("accum", "linear")

    def __init__(
        self, learning_rate: Any, learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1, l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0, use_locking: bool = False, name: str = "Ftrl",
        accum_name: str | None = None, linear_name: str | None = None,
        l2_shrinkage_regularization_strength: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        if initial_accumulator_value < 0.0:
            raise ValueError(
                f"initial_accumulator_value {initial_accumulator_value} needs to be positive or zero"
            )
        if learning_rate_power > 0.0:
            raise ValueError(
                f"learning_rate_power {learning_rate_power} needs to be negative or zero"
            )
        self._learning_rate, self._power = learning_rate, learning_rate_power
        self._initial = initial_accumulator_value
        self._l1, self._l2 = l1_regularization_strength, l2_regularization_strength
        self._shrinkage = l2_shrinkage_regularization_strength
        self._accum_name, self._linear_name = accum_name, linear_name
        shrinks = self._shrinkage > 0
        self._node = "FtrlV2" if shrinks else "Ftrl"
        extra = ("l2_shrinkage_regularization_strength",) if shrinks else ()
        self._after = ("learning_rate", _L1, _L2, *extra, "learning_rate_power")

    def _create_slots(self, var_list: list[Any]) -> None:
        for var in var_list:
            with colocated(var):
                start = constant(self._initial, var.dtype.base_dtype, var.get_shape())
                self._get_or_make_slot(var, start, "accum", self._accum_name or self._name)
                self._zeros_slot(var, "linear", self._linear_name or self._name)

    def _numbers(self) -> dict[str, Any]:
        found = {"learning_rate": self._learning_rate, _L1: self._l1, _L2: self._l2}
        found["l2_shrinkage_regularization_strength"] = self._shrinkage
        return found | {"learning_rate_power": self._power}


class ProximalGradientDescentOptimizer(OneNode):
    """Gradient descent, then the pull of L1 and L2."""

    _node, _before = "ProximalGradientDescent", ("learning_rate", _L1, _L2)

    def __init__(
        self, learning_rate: Any, l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0, use_locking: bool = False,
        name: str = "ProximalGradientDescent",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._l1, self._l2 = l1_regularization_strength, l2_regularization_strength

    def _numbers(self) -> dict[str, Any]:
        return {"learning_rate": self._learning_rate, _L1: self._l1, _L2: self._l2}


class ProximalAdagradOptimizer(ProximalGradientDescentOptimizer):
    """Adagrad, then the pull of L1 and L2."""

    _node, _slot_names = "ProximalAdagrad", ("accumulator",)

    def __init__(
        self, learning_rate: Any, initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0, l2_regularization_strength: float = 0.0,
        use_locking: bool = False, name: str = "ProximalAdagrad",
    ) -> None:  # fmt: skip
        _positive(initial_accumulator_value)
        super().__init__(
            learning_rate, l1_regularization_strength, l2_regularization_strength, use_locking, name
        )
        self._initial = initial_accumulator_value

    def _create_slots(self, var_list: list[Any]) -> None:
        for var in var_list:
            with colocated(var):
                start = constant(self._initial, var.dtype.base_dtype, var.get_shape())
            self._get_or_make_slot(var, start, "accumulator", self._name)


class AdagradDAOptimizer(OneNode):
    """Adagrad with dual averaging."""

    _node = "AdagradDA"
    _slot_names = ("gradient_accumulator", "gradient_squared_accumulator")

    def __init__(
        self, learning_rate: Any, global_step: Any, initial_gradient_squared_accumulator_value:
        float = 0.1, l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0, use_locking: bool = False,
        name: str = "AdagradDA",
    ) -> None:  # fmt: skip
        _positive(initial_gradient_squared_accumulator_value)
        super().__init__(use_locking, name)
        self._learning_rate, self._global_step = learning_rate, global_step
        self._initial = initial_gradient_squared_accumulator_value
        self._l1, self._l2 = l1_regularization_strength, l2_regularization_strength

    def _create_slots(self, var_list: list[Any]) -> None:
        for var in var_list:
            kind, shape = var.dtype.base_dtype, var.get_shape()
            with colocated(var):
                nothing = constant(0.0, kind, shape)
                start = constant(self._initial, kind, shape)
            self._get_or_make_slot(var, nothing, "gradient_accumulator", self._name)
            self._get_or_make_slot(var, start, "gradient_squared_accumulator", self._name)

    def _prepare(self) -> None:
        self._rate = convert(self._learning_rate, name="learning_rate")
        with colocated(self._rate):
            self._step = apply("Identity", self._global_step) + 1

    def _inputs(self, var: Any, *gradient: Any) -> list[Any]:
        kind = var.dtype.base_dtype
        step = apply("Identity", self._step)
        numbers = [cast(value, kind) for value in (self._rate, self._l1, self._l2)]
        return [*self._refs(var), *gradient, *numbers, step]

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        made = apply("ApplyAdagradDA", *self._inputs(var, grad), use_locking=self._use_locking)
        return made.op

    def _apply_sparse(self, grad: IndexedSlices, var: Any) -> Any:
        inputs = self._inputs(var, grad.values, grad.indices)
        return apply("SparseApplyAdagradDA", *inputs, use_locking=self._use_locking).op
