"""``tf.train.Scaffold``: the operations that a training session needs around the model."""

from collections.abc import Callable
from typing import Any

from evenkeel.tf1 import logging
from evenkeel.tf1.api import state
from evenkeel.tf1.build import apply, constant, name_scope
from evenkeel.tf1.control_ops import group, no_op
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph

_PARTS = (
    "init_op", "init_feed_dict", "init_fn", "ready_op", "ready_for_local_init_op", "local_init_op",
    "summary_op", "saver",
)  # fmt: skip


class Scaffold:
    """Initialization, readiness, summaries and a saver: what is not given is made by ``finalize``."""

    def __init__(
        self, init_op: Any = None, init_feed_dict: Any = None, init_fn: Any = None,
        ready_op: Any = None, ready_for_local_init_op: Any = None, local_init_op: Any = None,
        summary_op: Any = None, saver: Any = None, copy_from_scaffold: "Scaffold | None" = None,
    ) -> None:  # fmt: skip
        given = (
            init_op, init_feed_dict, init_fn, ready_op, ready_for_local_init_op, local_init_op,
            summary_op, saver,
        )  # fmt: skip
        self._parts = dict(zip(_PARTS, given, strict=True))
        if copy_from_scaffold is not None:
            if not isinstance(copy_from_scaffold, Scaffold):
                raise TypeError("copy_from_scaffold is not a Scaffold instance.")
            for name, theirs in copy_from_scaffold._parts.items():
                if self._parts[name] is None:
                    self._parts[name] = theirs

    def finalize(self) -> "Scaffold":
        """Make what is missing, and close the graph."""
        self._fill("init_op", GraphKeys.INIT_OP, _initialization)
        self._fill("ready_op", GraphKeys.READY_OP, _uninitialized)
        self._fill(
            "ready_for_local_init_op", GraphKeys.READY_FOR_LOCAL_INIT_OP, _global_uninitialized
        )
        self._fill("local_init_op", GraphKeys.LOCAL_INIT_OP, Scaffold.default_local_init_op)
        self._fill("summary_op", GraphKeys.SUMMARY_OP, _summaries)
        if self._parts["saver"] is None:
            self._parts["saver"] = saver_or_default()
        self._parts["saver"].build()
        get_default_graph().finalize()
        logging.info("Graph was finalized.")
        return self

    def _fill(self, name: str, key: str, make: Callable[[], Any]) -> None:
        if self._parts[name] is None:
            self._parts[name] = Scaffold.get_or_default(name, key, make)

    @staticmethod
    def get_or_default(
        arg_name: str, collection_key: str, default_constructor: Callable[[], Any]
    ) -> Any:
        """The one item of a collection, made where there is none."""
        graph = get_default_graph()
        found = graph.get_collection(collection_key)
        if len(found) > 1:
            raise RuntimeError(
                f'More than one item in the collection "{collection_key}". Please indicate which one '
                f"to use by passing it to the tf.Scaffold constructor as:  tf.Scaffold({arg_name}="
                "item to use)"
            )
        if found:
            return found[0]
        made = default_constructor()
        if made is not None:
            graph.add_to_collection(collection_key, made)
        return made

    @staticmethod
    def default_local_init_op() -> Any:
        """One operation that initializes local variables and tables."""
        tables = get_default_graph().get_collection(GraphKeys.TABLE_INITIALIZERS)
        local = state.local_variables_initializer()
        name = "init_all_tables"
        table_init = group(*tables, name=name) if tables else no_op(name=name)
        return group(local, table_init, no_op(name="init"))

    @property
    def init_fn(self) -> Any:
        """The function of a session that initializes, or None."""
        chosen = self._parts["init_fn"]
        return None if chosen is None else lambda session: chosen(self, session)

    def __getattr__(self, name: str) -> Any:
        if name in _PARTS:
            return self._parts[name]
        raise AttributeError(name)


def _initialization() -> Any:
    return group(state.global_variables_initializer(), no_op(name="init"))


def _without_resources(names: Any) -> Any:
    """These names, and those of resources that are not ready: there are none here."""
    with name_scope("report_uninitialized_resources"), get_default_graph().device("/cpu:0"):
        none = constant([], "string")
    return apply("ConcatV2", [names, none], 0, name="concat")


def _uninitialized() -> Any:
    return _without_resources(state.report_uninitialized_variables())


def _global_uninitialized() -> Any:
    return _without_resources(state.report_uninitialized_variables(state.global_variables()))


def _summaries() -> Any:
    from evenkeel.tf1.summary import merge_all

    return merge_all()


def saver_or_default() -> Any:
    """The saver of the graph's collection, made where there is none."""
    from evenkeel.tf1.train.saver import Saver

    graph = get_default_graph()
    found = graph.get_collection(GraphKeys.SAVERS)
    if len(found) > 1:
        raise RuntimeError(
            f"More than one item in collection {GraphKeys.SAVERS}. Please indicate which one to use "
            "by passing it to the constructor."
        )
    if not found:
        found = [Saver(sharded=True, allow_empty=True)]
        graph.add_to_collection(GraphKeys.SAVERS, found[0])
    return found[0]
