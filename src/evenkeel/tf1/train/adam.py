"""Adam: running means of gradients and their squares, corrected for their start at zero."""

from typing import Any

from evenkeel.tf1.api.control import group
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.state import assign, assign_sub, scatter_add
from evenkeel.tf1.build import apply, convert
from evenkeel.tf1.nodes import IndexedSlices
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.optimizer import Optimizer


class AdamOptimizer(Optimizer):
    """Var − learning_rate · √(1 − beta2ᵗ) / (1 − beta1ᵗ) · m / (√v + epsilon)."""

    def __init__(
        self, learning_rate: Any = 0.001, beta1: Any = 0.9, beta2: Any = 0.999,
        epsilon: Any = 1e-8, use_locking: bool = False, name: str = "Adam",
    ) -> None:  # fmt: skip
        super().__init__(use_locking, name)
        self._lr, self._beta1, self._beta2, self._epsilon = learning_rate, beta1, beta2, epsilon

    def _get_beta_accumulators(self) -> tuple[Any, Any]:
        graph = get_default_graph()
        names = ("beta1_power", "beta2_power")
        first, second = (self._get_non_slot_variable(n, graph) for n in names)
        return first, second

    def _create_slots(self, var_list: list[Any]) -> None:
        first = min(var_list, key=lambda v: v.name)
        self._create_non_slot_variable(self._call_if_callable(self._beta1), "beta1_power", first)
        self._create_non_slot_variable(self._call_if_callable(self._beta2), "beta2_power", first)
        for var in var_list:
            self._zeros_slot(var, "m", self._name)
            self._zeros_slot(var, "v", self._name)

    def _prepare(self) -> None:
        self._lr_t = convert(self._call_if_callable(self._lr), name="learning_rate")
        self._beta1_t = convert(self._call_if_callable(self._beta1), name="beta1")
        self._beta2_t = convert(self._call_if_callable(self._beta2), name="beta2")
        self._epsilon_t = convert(self._call_if_callable(self._epsilon), name="epsilon")

    def _numbers(self, var: Any) -> list[Any]:
        powers = self._get_beta_accumulators()
        given = (*powers, self._lr_t, self._beta1_t, self._beta2_t, self._epsilon_t)
        return [cast(value, var.dtype.base_dtype) for value in given]

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        slots = [self.get_slot(var, "m"), self.get_slot(var, "v")]
        inputs = [var, *slots, *self._numbers(var), grad]
        return apply("ApplyAdam", *inputs, use_locking=self._use_locking).op

    def _apply_sparse(self, grad: IndexedSlices, var: Any) -> Any:
        power1, power2, lr, beta1, beta2, epsilon = self._numbers(var)
        rate = lr * apply("Sqrt", 1 - power2) / (1 - power1)
        scaled = grad.values * (1 - beta1)
        m = self._decayed(self.get_slot(var, "m"), beta1, grad.indices, scaled)
        squares = (grad.values * grad.values) * (1 - beta2)
        v = self._decayed(self.get_slot(var, "v"), beta2, grad.indices, squares)
        root = apply("Sqrt", v)
        step = rate * m / (root + epsilon)
        return group(assign_sub(var, step, use_locking=self._use_locking), m, v)

    def _decayed(self, slot: Any, beta: Any, rows: Any, values: Any) -> Any:
        kept = assign(slot, slot * beta, use_locking=self._use_locking)
        with get_default_graph().control_dependencies([kept]):
            return scatter_add(slot, rows, values, use_locking=self._use_locking)

    def _finish(self, update_ops: list[Any], name_scope: str) -> Any:
        graph, locked = get_default_graph(), self._use_locking
        power1, power2 = self._get_beta_accumulators()
        with graph.control_dependencies(update_ops), graph.colocate_with(power1):
            first = power1.assign(power1 * self._beta1_t, use_locking=locked)
            second = power2.assign(power2 * self._beta2_t, use_locking=locked)
        return group(*update_ops, first, second, name=name_scope)
