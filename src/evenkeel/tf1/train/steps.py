"""The global step: the variable that counts the steps of training."""

from typing import Any

from evenkeel.tf1.api.variable_scopes import get_variable, variable_scope
from evenkeel.tf1.dtypes import int64
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.slot_creator import zeros_initializer


def get_global_step(graph: Any = None) -> Any:
    """The global step of a graph, or None."""
    graph = graph or get_default_graph()
    found = graph.get_collection(GraphKeys.GLOBAL_STEP)
    if len(found) == 1:
        step = found[0]
    elif not found:
        try:
            step = graph.get_tensor_by_name("global_step:0")
        except KeyError:
            return None
    else:
        return None
    assert_global_step(step)
    return step


def create_global_step(graph: Any = None) -> Any:
    """Make the global step; ValueError where there is one."""
    graph = graph or get_default_graph()
    if get_global_step(graph) is not None:
        raise ValueError('"global_step" already exists.')
    with graph.as_default(), graph.name_scope(None), variable_scope("", reuse=False):
        return get_variable(
            GraphKeys.GLOBAL_STEP, shape=[], dtype=int64, initializer=zeros_initializer,
            trainable=False, collections=[GraphKeys.GLOBAL_VARIABLES, GraphKeys.GLOBAL_STEP],
        )  # fmt: skip


def get_or_create_global_step(graph: Any = None) -> Any:
    """The global step, made where there is none."""
    graph = graph or get_default_graph()
    found = get_global_step(graph)
    return create_global_step(graph) if found is None else found


def global_step(sess: Any, global_step_tensor: Any) -> int:
    """The value of the global step in a session."""
    return int(sess.run(global_step_tensor))


def assert_global_step(global_step_tensor: Any) -> None:
    """TypeError unless it is an integer scalar."""
    if not global_step_tensor.dtype.base_dtype.is_integer:
        raise TypeError(
            f'Existing "global_step" does not have integer type: {global_step_tensor.dtype}'
        )
    shape = global_step_tensor.get_shape()
    if shape.ndims != 0 and shape.is_fully_defined():
        raise TypeError(f'Existing "global_step" is not scalar: {shape}')


READ = "global_step_read_op_cache"  # TensorFlow's name of the collection


def get_or_create_global_step_read(graph: Any = None) -> Any:
    """The tensor that hooks read the global step from, or None where there is no global step."""
    import evenkeel.tf1.overloads  # noqa: F401  # the operator below

    graph = graph or get_default_graph()
    found = graph.get_collection(READ)
    if len(found) > 1:
        raise RuntimeError(
            f"There are multiple items in collection {READ}. There should be only one."
        )
    if found:
        return found[0]
    step = get_global_step(graph)
    if step is None:
        return None
    scopes = graph.name_scope(None), graph.name_scope(f"{step.op.name}/")
    with graph.as_default(), scopes[0], scopes[1]:
        value = step.initialized_value() if hasattr(step, "initialized_value") else step
        graph.add_to_collection(READ, value + 0)
    return graph.get_collection(READ)[0]
