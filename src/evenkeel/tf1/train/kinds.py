"""The optimizers whose step is one node: which slots, which numbers, which node."""

from typing import Any

from evenkeel.tf1.api.math import cast
from evenkeel.tf1.build import apply, convert
from evenkeel.tf1.nodes import IndexedSlices
from evenkeel.tf1.train.optimizer import Optimizer


class OneNode(Optimizer):
    """A step is one node of type ``Apply<node>``; slots and numbers come in the node's own order."""

    _node = ""
    _slot_names: tuple[str, ...] = ()
    _before: tuple[str, ...] = ()  # numbers before the gradient
    _after: tuple[str, ...] = ()  # numbers behind the gradient (and its indices)
    _flags: tuple[str, ...] = ()

    def _numbers(self) -> dict[str, Any]:
        """Names and values of the hyperparameters, in the order in which TensorFlow makes them."""
        raise NotImplementedError

    def _prepare(self) -> None:
        self._tensors = {
            name: convert(self._call_if_callable(value), name=name)
            for name, value in self._numbers().items()
        }

    def _of(self, names: tuple[str, ...], var: Any) -> list[Any]:
        return [cast(self._tensors[n], var.dtype.base_dtype) for n in names]

    def _attrs(self) -> dict[str, Any]:
        return {flag: getattr(self, f"_{flag}") for flag in ("use_locking", *self._flags)}

    def _refs(self, var: Any) -> list[Any]:
        return [var, *(self.get_slot(var, name) for name in self._slot_names)]

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        inputs = [*self._refs(var), *self._of(self._before, var), grad, *self._of(self._after, var)]
        return apply(f"Apply{self._node}", *inputs, **self._attrs()).op

    def _apply_sparse(self, grad: IndexedSlices, var: Any) -> Any:
        inputs = [*self._refs(var), *self._of(self._before, var), grad.values, grad.indices]
        inputs += self._of(self._after, var)
        return apply(f"SparseApply{self._node}", *inputs, **self._attrs()).op


class GradientDescentOptimizer(OneNode):
    """Var − learning_rate · grad."""

    _node, _before = "GradientDescent", ("learning_rate",)

    def __init__(
        self, learning_rate: Any, use_locking: bool = False, name: str = "GradientDescent"
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate

    def _numbers(self) -> dict[str, Any]:
        return {"learning_rate": self._learning_rate}

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Any) -> Any:
        rate = cast(self._tensors["learning_rate"], var.dtype.base_dtype)
        delta = IndexedSlices(grad.values * rate, grad.indices, grad.dense_shape)
        return var.scatter_sub(delta, use_locking=self._use_locking)


class MomentumOptimizer(OneNode):
    """Accum = momentum · accum + grad; var − learning_rate · accum."""

    _node, _slot_names = "Momentum", ("momentum",)
    _before, _after, _flags = ("learning_rate",), ("momentum",), ("use_nesterov",)

    def __init__(
        self, learning_rate: Any, momentum: Any, use_locking: bool = False,
        name: str = "Momentum", use_nesterov: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._learning_rate, self._momentum = learning_rate, momentum
        self._use_nesterov = use_nesterov

    def _create_slots(self, var_list: list[Any]) -> None:
        for var in var_list:
            self._zeros_slot(var, "momentum", self._name)

    def _numbers(self) -> dict[str, Any]:
        return {"learning_rate": self._learning_rate, "momentum": self._momentum}


class RMSPropOptimizer(OneNode):
    """Steps of grad over the root of the running mean of its square."""

    _before = ("learning_rate", "decay", "momentum", "epsilon")

    def __init__(
        self, learning_rate: Any, decay: Any = 0.9, momentum: Any = 0.0, epsilon: Any = 1e-10,
        use_locking: bool = False, centered: bool = False, name: str = "RMSProp",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._learning_rate, self._decay = learning_rate, decay
        self._momentum, self._epsilon, self._centered = momentum, epsilon, centered
        self._node = "CenteredRMSProp" if centered else "RMSProp"
        self._slot_names = ("mg", "rms", "momentum") if centered else ("rms", "momentum")

    def _create_slots(self, var_list: list[Any]) -> None:
        from evenkeel.tf1.train.slot_creator import ones_initializer

        for var in var_list:
            kind = var.dtype.base_dtype
            self._get_or_make_slot_with_initializer(
                var, ones_initializer, var.get_shape(), kind, "rms", self._name
            )
            if self._centered:
                self._zeros_slot(var, "mg", self._name)
            self._zeros_slot(var, "momentum", self._name)

    def _numbers(self) -> dict[str, Any]:
        return {
            "learning_rate": self._learning_rate, "decay": self._decay,
            "momentum": self._momentum, "epsilon": self._epsilon,
        }  # fmt: skip


class AdagradOptimizer(OneNode):
    """Steps of grad over the root of the sum of its squares."""

    _node, _slot_names, _before = "Adagrad", ("accumulator",), ("learning_rate",)

    def __init__(
        self, learning_rate: Any, initial_accumulator_value: float = 0.1,
        use_locking: bool = False, name: str = "Adagrad",
    ) -> None:  # fmt: skip
        _positive(initial_accumulator_value)
        super().__init__(use_locking, name)
        self._learning_rate, self._initial = learning_rate, initial_accumulator_value

    def _create_slots(self, var_list: list[Any]) -> None:
        from evenkeel.tf1.train.slot_creator import constant_initializer

        for var in var_list:
            self._get_or_make_slot_with_initializer(
                var, constant_initializer(self._initial), var.get_shape(), var.dtype.base_dtype,
                "accumulator", self._name,
            )  # fmt: skip

    def _numbers(self) -> dict[str, Any]:
        return {"learning_rate": self._learning_rate}


class AdadeltaOptimizer(OneNode):
    """Steps of grad times the ratio of the root mean squares of steps and gradients."""

    _node, _slot_names = "Adadelta", ("accum", "accum_update")
    _before = ("lr", "rho", "epsilon")

    def __init__(
        self, learning_rate: Any = 0.001, rho: Any = 0.95, epsilon: Any = 1e-8,
        use_locking: bool = False, name: str = "Adadelta",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._lr, self._rho, self._epsilon = learning_rate, rho, epsilon

    def _create_slots(self, var_list: list[Any]) -> None:
        for var in var_list:
            self._zeros_slot(var, "accum", self._name)
            self._zeros_slot(var, "accum_update", self._name)

    def _numbers(self) -> dict[str, Any]:
        return {"lr": self._lr, "rho": self._rho, "epsilon": self._epsilon}


def _positive(value: float) -> None:
    if value <= 0.0:
        raise ValueError(f"initial_accumulator_value must be positive: {value}")
