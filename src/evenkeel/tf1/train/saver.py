"""``tf.train.Saver``: the nodes that save and restore variables, and the checkpoints that are kept."""

import os
import time
from pathlib import Path
from typing import Any

from evenkeel.tf1 import errors
from evenkeel.tf1.api.constants import placeholder_with_default
from evenkeel.tf1.api.control import group
from evenkeel.tf1.build import apply, name_scope
from evenkeel.tf1.control_ops import with_dependencies
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.checkpoints import (
    checkpoint_exists,
    get_checkpoint_mtimes,
    remove_checkpoint,
    update_checkpoint_state,
)
from evenkeel.tf1.train.steps import global_step as step_in

FOREVER = 10000.0  # hours: TensorFlow's way to keep no checkpoint for good


def named(var_list: Any) -> dict[str, Any]:
    """Variables by the name they have in a checkpoint, sorted."""
    if isinstance(var_list, dict):
        return dict(sorted(var_list.items()))
    found: dict[str, Any] = {}
    for var in var_list:
        if not hasattr(var, "_ref"):
            raise TypeError(f"Variable to save is not a Variable: {var}")
        name = var.op.name
        if name in found and found[name] is not var:
            raise ValueError(f"At least two variables have the same name: {name}")
        found[name] = var
    return dict(sorted(found.items()))


class Saver:
    """Saves variables as TensorFlow's checkpoints, keeps the last few, and restores them.

    >>> import evenkeel.tf1 as tf, tempfile
    >>> with tf.Graph().as_default(), tf.Session() as sess, tempfile.TemporaryDirectory() as folder:
    ...     w = tf.Variable([1.0, 2.0], name="w")
    ...     saver = tf.train.Saver()
    ...     _ = sess.run(tf.global_variables_initializer())
    ...     path = saver.save(sess, folder + "/model", global_step=3)
    ...     _ = sess.run(w.assign([0.0, 0.0]))
    ...     saver.restore(sess, path)
    ...     print(path.endswith("model-3"), sess.run(w))
    True [1. 2.]
    """

    def __init__(
        self, var_list: Any = None, reshape: bool = False, sharded: bool = False,
        max_to_keep: int | None = 5, keep_checkpoint_every_n_hours: float = FOREVER,
        name: str | None = None, restore_sequentially: bool = False, saver_def: Any = None,
        builder: Any = None, defer_build: bool = False, allow_empty: bool = False,
        write_version: Any = None, pad_step_number: bool = False,
        save_relative_paths: bool = False, filename: str | None = None,
    ) -> None:  # fmt: skip
        if defer_build and var_list:
            raise ValueError(
                "If `var_list` is provided then build cannot be deferred. Either set "
                "defer_build=False or var_list=None."
            )
        self._var_list, self._reshape, self._name = var_list, reshape, name
        self._sequential, self._allow_empty = restore_sequentially, allow_empty
        self._pad, self._relative = pad_step_number, save_relative_paths
        self._filename = filename or "model"
        self._max_to_keep = max_to_keep or 0
        self._every = keep_checkpoint_every_n_hours
        self._keep_next = time.time() + self._every * 3600
        self._last: list[tuple[str, float]] = []
        self._built = False
        if not defer_build:
            self.build()

    # ---- the nodes

    def build(self) -> None:
        """Make the nodes, once."""
        if self._built:
            return
        self._built = True
        graph = get_default_graph()
        if self._var_list is None:
            self._var_list = graph.get_collection(GraphKeys.GLOBAL_VARIABLES)
            self._var_list += graph.get_collection(GraphKeys.SAVEABLE_OBJECTS)
        variables = named(self._var_list)
        self._is_empty = not variables
        if self._is_empty:
            if self._allow_empty:
                return
            raise ValueError("No variables to save")
        with name_scope(self._name, "save", [v.op for v in variables.values()]):
            name = placeholder_with_default(self._filename, shape=(), name="filename")
            self._prefix = placeholder_with_default(name, shape=(), name="Const")
            self._save: Tensor = self._saving(variables)
            self._restore: Operation = self._restoring(variables)

    def _saving(self, variables: dict[str, Any]) -> Tensor:
        names, slices = list(variables), [""] * len(variables)
        tensors = [v._ref() if hasattr(v, "_ref") else v for v in variables.values()]
        saved = apply("SaveV2", self._prefix, names, slices, tensors)
        return with_dependencies([saved], self._prefix)  # type: ignore[no-any-return]

    def _restoring(self, variables: dict[str, Any]) -> Operation:
        graph = get_default_graph()
        kinds = [v.dtype.base_dtype for v in variables.values()]
        names, slices = list(variables), [""] * len(variables)
        with graph.device("/cpu:0"):
            values = apply("RestoreV2", self._prefix, names, slices, dtypes=kinds)
        done: list[Any] = []
        for variable, value in zip(variables.values(), values, strict=True):
            shape = variable.get_shape()
            if self._reshape:
                value = apply("Reshape", value, shape.as_list())
            before = done[-1:] if self._sequential else []
            with graph.control_dependencies(before) if before else graph.device(None):
                checks = not self._reshape and shape.is_fully_defined()
                done.append(apply("Assign", variable._ref(), value, validate_shape=checks))
        return group(*done, name="restore_all")

    # ---- saving and restoring

    def save(
        self, sess: Any, save_path: str, global_step: Any = None,
        latest_filename: str | None = None, meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True, write_state: bool = True, strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> str | None:  # fmt: skip
        """Save the variables of a session; the name of the checkpoint."""
        self._check_built()
        latest = latest_filename or "checkpoint"
        save_path = os.fspath(save_path)
        _check_names(save_path, latest)
        if self._is_empty:
            return None
        try:
            path = sess.run(
                self._save, {self._prefix: self._numbered(sess, save_path, global_step)}
            )
        except (errors.FailedPreconditionError, errors.NotFoundError):
            folder = os.path.dirname(save_path)  # noqa: PTH120  # "" stays "", as in the paths written
            if folder and not Path(folder).is_dir():
                raise ValueError(
                    f"Parent directory of {save_path} doesn't exist, can't save."
                ) from None
            raise
        made: str = path.decode() if isinstance(path, bytes) else path
        if write_state:
            self._remember(made, latest, meta_graph_suffix)
        return made

    def _numbered(self, sess: Any, save_path: str, global_step: Any) -> str:
        if global_step is None:
            return save_path
        is_number = isinstance(global_step, int) or not hasattr(global_step, "graph")
        number = int(global_step) if is_number else step_in(sess, global_step)
        return f"{save_path}-{number:08d}" if self._pad else f"{save_path}-{number}"

    def _remember(self, path: str, latest: str, suffix: str) -> None:
        if self._max_to_keep > 0:
            self._last = [entry for entry in self._last if entry[0] != path]
            self._last.append((path, time.time()))
            kept, gone = self._last[-self._max_to_keep :], self._last[: -self._max_to_keep]
            self._last = kept
        else:
            gone = []
        folder = os.path.dirname(path)  # noqa: PTH120  # "." is not "" in the file
        update_checkpoint_state(folder, path, self.last_checkpoints, latest)
        for old, written in gone:
            if written > self._keep_next:
                self._keep_next += self._every * 3600
            else:
                remove_checkpoint(old, meta_graph_suffix=suffix)

    def restore(self, sess: Any, save_path: str | None) -> None:
        """Give the variables of a session the values of a checkpoint."""
        self._check_built()
        if self._is_empty:
            return
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        if not checkpoint_exists(os.fspath(save_path)):
            raise ValueError(f"The passed save_path is not a valid checkpoint: {save_path}")
        sess.run(self._restore, {self._prefix: os.fspath(save_path)})

    def _check_built(self) -> None:
        if not self._built:
            raise RuntimeError("`build()` should be called before save if defer_build==True")

    # ---- what is kept

    @property
    def last_checkpoints(self) -> list[str]:
        """The checkpoints that are kept, the oldest first."""
        return [path for path, _ in self._last]

    def set_last_checkpoints_with_time(self, last_checkpoints_with_time: Any) -> None:
        """Take over a list of checkpoints and when each was written."""
        self._last = [tuple(entry) for entry in last_checkpoints_with_time]

    def set_last_checkpoints(self, last_checkpoints: Any) -> None:
        """Take over a list of checkpoints, as if written at no known time."""
        self._last = [(path, float("inf")) for path in last_checkpoints]

    def recover_last_checkpoints(self, checkpoint_paths: Any) -> None:
        """Take over those of a list of checkpoints that are there."""
        there = [path for path in checkpoint_paths if checkpoint_exists(path)]
        self._last = list(zip(there, get_checkpoint_mtimes(there), strict=True))


def _check_names(save_path: str, latest: str) -> None:
    if os.path.split(latest)[0]:
        raise ValueError("'latest_filename' must not contain path components")
    if Path(save_path).name == latest:
        raise ValueError(
            f"'latest_filename' collides with 'save_path': '{latest}' and '{save_path}'"
        )
