"""``tf.train.Saver``: saves and restores variables, and keeps the last few checkpoints."""

import os
import time
from pathlib import Path
from typing import Any

from evenkeel.checkpoint.objects import object_keys
from evenkeel.tf1 import errors, logging
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.ops.saving import opened
from evenkeel.tf1.proto import SaverDef
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.checkpoints import (
    checkpoint_exists,
    get_checkpoint_mtimes,
    remove_checkpoint,
    state_of,
)
from evenkeel.tf1.train.saveables import saveables_of
from evenkeel.tf1.train.saver_builder import FOREVER, BaseSaverBuilder, BulkSaverBuilder
from evenkeel.tf1.train.steps import global_step as step_in

_NAMES = ("filename_tensor_name", "save_tensor_name", "restore_op_name")


class Saver:
    """Saves variables as TensorFlow's checkpoints, keeps the last few, and restores them.

    ``restore_sequentially`` changes nothing, as in TensorFlow: one node restores one after the other.

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
        write_version: int = SaverDef.V2, pad_step_number: bool = False,
        save_relative_paths: bool = False, filename: str | None = None,
    ) -> None:  # fmt: skip
        if defer_build and var_list:
            raise ValueError(
                "If `var_list` is provided then build cannot be deferred. Either set "
                "defer_build=False or var_list=None."
            )
        self.saver_def, self._name = saver_def, name
        self._var_list, self._allow_empty = var_list, allow_empty
        self._builder, self._write_version = builder, write_version
        self._options: dict[str, Any] = {
            "reshape": reshape, "sharded": sharded, "max_to_keep": max_to_keep, "name": name,
            "keep_checkpoint_every_n_hours": keep_checkpoint_every_n_hours,
            "restore_sequentially": restore_sequentially, "filename": filename,
        }  # fmt: skip
        self._sharded = sharded
        self._pad, self._relative = pad_step_number, save_relative_paths
        self._last: list[tuple[str, float]] = []
        self._by_keys: dict[str, Saver] = {}  # for checkpoints of objects
        self._built, self._is_empty = False, False
        if not defer_build:
            self.build()
        if self.saver_def is not None:
            self._check_def()
            self._write_version = self.saver_def.version

    # ---- the nodes

    def build(self) -> None:
        """Make the nodes, once; or find those that a ``saver_def`` names."""
        if self._built:
            return
        self._built = True
        if self.saver_def is None:
            self._make()
        elif self._name:
            for field in _NAMES:
                setattr(self.saver_def, field, f"{self._name}/{getattr(self.saver_def, field)}")
        if self.saver_def is None:
            return
        self._check_def()
        self._keep_next = time.time() + self.saver_def.keep_checkpoint_every_n_hours * 3600

    def _make(self) -> None:
        if self._var_list is None:
            graph = get_default_graph()
            self._var_list = graph.get_collection(GraphKeys.GLOBAL_VARIABLES)
            self._var_list += graph.get_collection(GraphKeys.SAVEABLE_OBJECTS)
        self._is_empty = not self._var_list
        if self._is_empty and not self._allow_empty:
            raise ValueError("No variables to save")
        if not self._is_empty:
            builder = self._builder or BulkSaverBuilder(self._write_version)
            self.saver_def = builder.build(self._var_list, **self._options)

    def _check_def(self) -> None:
        name = getattr(getattr(self.saver_def, "DESCRIPTOR", None), "full_name", "")
        if name != SaverDef.DESCRIPTOR.full_name:
            raise ValueError(f"saver_def must be a saver_pb2.SaverDef: {self.saver_def}")
        for field in _NAMES[1:]:
            if not getattr(self.saver_def, field):
                raise ValueError(f"saver_def must specify the {field}: {self.saver_def}")

    # ---- saving and restoring

    def save(
        self, sess: Any, save_path: Any, global_step: Any = None,
        latest_filename: str | None = None, meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True, write_state: bool = True, strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> str | None:  # fmt: skip
        """Save the variables of a session, and its graph; the name of the checkpoint."""
        if not self._built:
            raise RuntimeError("`build()` should be called before save if defer_build==True")
        if self._write_version != SaverDef.V2:
            logging.warning("TensorFlow's V1 checkpoint format has been deprecated; V2 is better.")
        latest, save_path = latest_filename or "checkpoint", os.fspath(save_path)
        _check_names(save_path, latest, self._sharded or global_step is not None)
        numbered = self._numbered(sess, save_path, global_step)
        if not hasattr(sess, "run") or not hasattr(sess, "graph"):
            raise TypeError(f"'sess' must be a Session; {sess}")
        made = None if self._is_empty else self._write(sess, numbered, save_path)
        if made is not None and write_state:
            self._remember(made, save_path, latest, meta_graph_suffix)
        if write_meta_graph:
            with sess.graph.as_default():
                self.export_meta_graph(
                    f"{numbered}.{meta_graph_suffix}", strip_default_attrs=strip_default_attrs,
                    save_debug_info=save_debug_info,
                )  # fmt: skip
        return made

    def _write(self, sess: Any, numbered: str, save_path: str) -> str:
        names = self.saver_def
        try:
            path = sess.run(names.save_tensor_name, {names.filename_tensor_name: numbered})
        except (errors.FailedPreconditionError, errors.NotFoundError):
            folder = os.path.dirname(save_path)  # noqa: PTH120  # "" stays "", as in the paths written
            if folder and not Path(folder).is_dir():
                raise ValueError(
                    f"Parent directory of {save_path} doesn't exist, can't save."
                ) from None
            raise
        return os.fsdecode(path)

    def _numbered(self, sess: Any, save_path: str, global_step: Any) -> str:
        if global_step is None:
            return save_path
        is_number = hasattr(global_step, "__index__") and not hasattr(global_step, "graph")
        number = int(global_step) if is_number else step_in(sess, global_step)
        return f"{save_path}-{number:08d}" if self._pad else f"{save_path}-{number}"

    def _remember(self, path: str, save_path: str, latest: str, suffix: str) -> None:
        """List a checkpoint in the file ``checkpoint``, and only then delete what is too much."""
        gone = []
        if self.saver_def.max_to_keep:
            self._last = [entry for entry in self._last if entry[0] != path]
            self._last.append((path, time.time()))
            if len(self._last) > self.saver_def.max_to_keep:
                gone.append(self._last.pop(0))
        folder = os.path.dirname(save_path)  # noqa: PTH120  # "." is not "" in the file
        state_of(folder, path, self.last_checkpoints, latest, relative=self._relative)
        for old, written in gone:
            if written > self._keep_next:
                self._keep_next += self.saver_def.keep_checkpoint_every_n_hours * 3600
            else:
                remove_checkpoint(old, self.saver_def.version, suffix)

    def restore(self, sess: Any, save_path: Any) -> None:
        """Give the variables of a session the values of a checkpoint, of version 1 or 2."""
        if self._is_empty:
            return
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        path, names = os.fspath(save_path), self.saver_def
        if not checkpoint_exists(path):
            raise ValueError(f"The passed save_path is not a valid checkpoint: {path}")
        logging.info("Restoring parameters from %s", path)
        try:
            sess.run(names.restore_op_name, {names.filename_tensor_name: path})
        except errors.NotFoundError as error:
            if not self._restore_objects(sess, path):
                problem = "a Variable name or other graph key that is missing"
                raise _explained(error, problem) from error
        except errors.InvalidArgumentError as error:
            problem = "a mismatch between the current graph and the graph"
            raise _explained(error, problem) from error

    def _restore_objects(self, sess: Any, path: str) -> bool:
        """Restore from a checkpoint of objects, which has keys of its own; False for any other."""
        keys = object_keys(opened(path))
        if not keys or self._var_list is None:
            return False
        found = saveables_of(self._var_list)
        absent = sorted(s.name for s in found if s.name not in keys)
        if absent:
            raise errors.NotFoundError(
                None, None, f"Existing variables not in the checkpoint: {', '.join(absent)}"
            )
        logging.warning("Restoring an object-based checkpoint using a name-based saver.")
        if path not in self._by_keys:
            with sess.graph.as_default():
                self._by_keys[path] = Saver({keys[s.name]: s.op for s in found})
        self._by_keys[path].restore(sess, path)
        return True

    # ---- as messages

    def export_meta_graph(
        self, filename: str | None = None, collection_list: Any = None, as_text: bool = False,
        export_scope: str | None = None, clear_devices: bool = False,
        clear_extraneous_savers: bool = False, strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> Any:  # fmt: skip
        """The default graph with its collections and this saver as a MetaGraphDef; written if named."""
        from evenkeel.tf1.graph_io import export_meta_graph

        return export_meta_graph(
            filename=filename, saver_def=self.saver_def, collection_list=collection_list,
            as_text=as_text, export_scope=export_scope, clear_devices=clear_devices,
            clear_extraneous_savers=clear_extraneous_savers,
            strip_default_attrs=strip_default_attrs, save_debug_info=save_debug_info,
        )  # fmt: skip

    def as_saver_def(self) -> Any:
        """The SaverDef: the names of its nodes, and its options."""
        return self.saver_def

    def to_proto(self, export_scope: str | None = None) -> Any:
        """The SaverDef as it is inside a scope; None for a saver outside of it."""
        if export_scope is None:
            return self.saver_def
        names = {field: getattr(self.saver_def, field) for field in _NAMES}
        if not all(name.startswith(export_scope) for name in names.values()):
            return None
        made = SaverDef()
        made.CopyFrom(self.saver_def)
        for field, name in names.items():
            setattr(made, field, name.removeprefix(f"{export_scope}/"))
        return made

    @staticmethod
    def from_proto(saver_def: Any, import_scope: str | None = None) -> "Saver":
        """The saver whose nodes a SaverDef names."""
        return Saver(saver_def=saver_def, name=import_scope)

    # ---- what is kept

    @property
    def last_checkpoints(self) -> list[str]:
        """The checkpoints that are kept, the oldest first."""
        return [path for path, _ in self._last]

    def set_last_checkpoints_with_time(self, last_checkpoints_with_time: Any) -> None:
        """Take over a list of checkpoints and when each was written."""
        self._last = [tuple(entry) for entry in last_checkpoints_with_time]

    def set_last_checkpoints(self, last_checkpoints: Any) -> None:
        """Take over a list of checkpoints, none of which is then ever deleted."""
        self._last = [(path, float("inf")) for path in last_checkpoints]

    def recover_last_checkpoints(self, checkpoint_paths: Any) -> None:
        """Take over those of a list of checkpoints that are there."""
        there = [path for path in checkpoint_paths if checkpoint_exists(path)]
        self._last = list(zip(there, get_checkpoint_mtimes(there), strict=True))


def _explained(error: errors.OpError, what: str) -> errors.OpError:
    return type(error)(
        error.node_def,
        error.op,
        f"Restoring from checkpoint failed. This is most likely due to {what} from the checkpoint. "
        "Please ensure that you have not altered the graph expected based on the checkpoint. Original "
        f"error:\n\n{error.message}",
    )


def _check_names(save_path: str, latest: str, distinct: bool) -> None:
    if os.path.split(latest)[0]:
        raise ValueError("'latest_filename' must not contain path components")
    if Path(save_path).name == latest and not distinct:
        raise ValueError(
            f"'latest_filename' collides with 'save_path': '{latest}' and '{save_path}'"
        )


__all__ = ["BaseSaverBuilder", "BulkSaverBuilder", "Saver"]
