"""``tf.train.Optimizer``: gradients of a loss by variables, and their application, node for node."""

from typing import Any

from evenkeel.tf1.api.arrays import shape
from evenkeel.tf1.api.control import group
from evenkeel.tf1.api.control import tuple as gated
from evenkeel.tf1.api.gradients import gradients
from evenkeel.tf1.api.indexing import unique
from evenkeel.tf1.api.segments import unsorted_segment_sum
from evenkeel.tf1.autodiff.backprop import listed
from evenkeel.tf1.build import convert, name_scope
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.nodes import IndexedSlices, Operation, Tensor
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train import slot_creator
from evenkeel.tf1.variables import Variable, init_scope


class Optimizer:
    """What all optimizers share; a kind says which slots it keeps and which node applies a gradient.

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     w = tf.Variable(3.0)
    ...     step = tf.train.GradientDescentOptimizer(0.5).minimize(w * w)
    ...     _ = sess.run(tf.global_variables_initializer())
    ...     _ = sess.run(step)
    ...     sess.run(w)
    np.float32(0.0)
    """

    GATE_NONE, GATE_OP, GATE_GRAPH = 0, 1, 2

    def __init__(self, use_locking: bool, name: str) -> None:
        if not name:
            raise ValueError("Must specify the optimizer name")
        self._use_locking, self._name = use_locking, name
        self._slots: dict[str, dict[Any, Any]] = {}
        self._non_slot_dict: dict[tuple[str, int], Any] = {}

    def get_name(self) -> str:
        """The name given, that of the kind unless told otherwise."""
        return self._name

    # ---- the two steps

    def minimize(
        self, loss: Any, global_step: Any = None, var_list: Any = None,
        gate_gradients: int = GATE_OP, aggregation_method: Any = None,
        colocate_gradients_with_ops: bool = False, name: str | None = None, grad_loss: Any = None,
    ) -> Operation:  # fmt: skip
        """The node that takes one step down the gradient of ``loss``."""
        pairs = self.compute_gradients(
            loss, var_list, gate_gradients, aggregation_method, colocate_gradients_with_ops,
            grad_loss,
        )  # fmt: skip
        if all(g is None for g, _ in pairs):
            raise ValueError(
                "No gradients provided for any variable, check your graph for ops that do not "
                f"support gradients, between variables {[str(v) for _, v in pairs]} and loss {loss}."
            )
        return self.apply_gradients(pairs, global_step=global_step, name=name)

    def compute_gradients(
        self, loss: Any, var_list: Any = None, gate_gradients: int = GATE_OP,
        aggregation_method: Any = None, colocate_gradients_with_ops: bool = False,
        grad_loss: Any = None,
    ) -> list[Any]:  # fmt: skip
        """Pairs of gradient and variable; None for the gradient where there is none."""
        loss = loss() if callable(loss) else loss
        if gate_gradients not in (0, 1, 2):
            raise ValueError(
                "gate_gradients must be one of: Optimizer.GATE_NONE, Optimizer.GATE_OP, "
                f"Optimizer.GATE_GRAPH.  Not {gate_gradients}"
            )
        if var_list is None:
            var_list = get_default_graph().get_collection(GraphKeys.TRAINABLE_VARIABLES)
        variables = listed(var_list)
        if not variables:
            raise ValueError("No variables to optimize.")
        found = gradients(
            loss, [_target(v) for v in variables], grad_ys=grad_loss,
            gate_gradients=gate_gradients == self.GATE_OP, aggregation_method=aggregation_method,
            colocate_gradients_with_ops=colocate_gradients_with_ops,
        )  # fmt: skip
        if gate_gradients == self.GATE_GRAPH:
            found = list(gated(found))
        return list(zip(found, variables, strict=True))

    def apply_gradients(
        self, grads_and_vars: Any, global_step: Any = None, name: str | None = None
    ) -> Operation:
        """The node that applies these gradients, and counts the step."""
        pairs = [(_gradient(g), v) for g, v in grads_and_vars]
        if not pairs:
            raise ValueError("No variables provided.")
        variables = [v for g, v in pairs if g is not None]
        if not variables:
            shown = [str(v) for _, v in pairs]
            raise ValueError(f"No gradients provided for any variable: {shown}.")
        with init_scope():
            self._create_slots(variables)
        with name_scope(name, self._name) as scope:
            self._prepare()
            updates = [self._updated(g, v) for g, v in pairs if g is not None]
            done = self._counted(updates, global_step, scope)
        op: Operation = done.op if isinstance(done, Tensor) else done
        steps = get_default_graph().get_collection_ref(GraphKeys.TRAIN_OP)
        if op not in steps:
            steps.append(op)
        return op

    def _updated(self, grad: Any, var: Any) -> Any:
        if isinstance(var, Tensor):
            raise NotImplementedError("Trying to update a Tensor ", var)
        graph = get_default_graph()
        with name_scope(f"update_{var.op.name}"), graph.colocate_with(var):
            if isinstance(grad, IndexedSlices):
                if getattr(var, "constraint", None) is not None:
                    raise RuntimeError("Cannot use a constraint function on a sparse variable.")
                return self._apply_sparse_duplicate_indices(grad, var)
            done = self._apply_dense(grad, var)
            if getattr(var, "constraint", None) is None:
                return done
            with graph.control_dependencies([done]):
                # TensorFlow's read shares the variable's memory and sees the step; ours must follow it.
                return var.assign(var.constraint(var.read_value()))

    def _counted(self, updates: list[Any], global_step: Any, scope: str) -> Any:
        if global_step is None:
            return self._finish(updates, scope)
        graph = get_default_graph()
        with (
            graph.control_dependencies([self._finish(updates, "update")]),
            graph.colocate_with(global_step),
        ):
            from evenkeel.tf1.api.state import assign_add

            return assign_add(global_step, 1, name=scope)

    # ---- what a kind says

    def _create_slots(self, var_list: list[Any]) -> None:
        """Make the slots; none unless a kind needs them."""

    def _prepare(self) -> None:
        """Make tensors of the hyperparameters."""

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        raise NotImplementedError

    def _apply_sparse(self, grad: IndexedSlices, var: Any) -> Any:
        raise NotImplementedError

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Any) -> Any:
        rows, places = unique(grad.indices)
        summed = unsorted_segment_sum(grad.values, places, shape(rows)[0])
        return self._apply_sparse(IndexedSlices(summed, rows, grad.dense_shape), var)

    def _finish(self, update_ops: list[Any], name_scope: str) -> Any:
        return group(*update_ops, name=name_scope)

    def _call_if_callable(self, param: Any) -> Any:
        return param() if callable(param) else param

    # ---- slots

    def get_slot(self, var: Any, name: str) -> Any:
        """The slot of this name beside a variable, or None."""
        return self._slots.get(name, {}).get(var)

    def get_slot_names(self) -> list[str]:
        """The names of the slots."""
        return sorted(self._slots)

    def variables(self) -> list[Any]:
        """The slots and whatever else the optimizer keeps."""
        graph = get_default_graph()
        found = [v for (_, key), v in self._non_slot_dict.items() if key == id(graph)]
        found += [v for slots in self._slots.values() for v in slots.values()]
        return sorted((v for v in found if v.graph is graph), key=lambda v: v.name)

    def _slot(self, slot_name: str, var: Any, make: Any) -> Any:
        slots = self._slots.setdefault(slot_name, {})
        if var not in slots:
            slots[var] = make()
        return slots[var]

    def _zeros_slot(self, var: Any, slot_name: str, op_name: str) -> Any:
        return self._slot(slot_name, var, lambda: slot_creator.create_zeros_slot(var, op_name))

    def _get_or_make_slot(self, var: Any, val: Any, slot_name: str, op_name: str) -> Any:
        return self._slot(slot_name, var, lambda: slot_creator.create_slot(var, val, op_name))

    def _get_or_make_slot_with_initializer(
        self, var: Any, initializer: Any, shape: Any, dtype: Any, slot_name: str, op_name: str
    ) -> Any:
        make = slot_creator.create_slot_with_initializer
        return self._slot(slot_name, var, lambda: make(var, initializer, shape, dtype, op_name))

    def _create_non_slot_variable(self, initial_value: Any, name: str, colocate_with: Any) -> Any:
        key = (name, id(colocate_with.graph))
        if key not in self._non_slot_dict:
            with slot_creator.colocated(colocate_with):
                self._non_slot_dict[key] = Variable(initial_value, name=name, trainable=False)
        return self._non_slot_dict[key]

    def _get_non_slot_variable(self, name: str, graph: Any) -> Any:
        return self._non_slot_dict.get((name, id(graph)))


def _target(variable: Any) -> Any:
    return variable._ref() if hasattr(variable, "_ref") else variable


def _gradient(grad: Any) -> Any:
    if grad is None or isinstance(grad, IndexedSlices):
        return grad
    try:
        return convert(grad)
    except TypeError:
        raise TypeError(
            f"Gradient must be convertible to a Tensor or IndexedSlices, or None: {grad}"
        ) from None
