"""Writing a saved model: a folder with its meta graphs, one set of variables, its assets."""

import shutil
from pathlib import Path
from typing import Any

from evenkeel.tf1.api.control import group
from evenkeel.tf1.graph_io.files import write_message
from evenkeel.tf1.graph_io.meta import export_meta_graph
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.proto import AnyMessage, AssetFileDef, MetaGraphDef, SavedModel
from evenkeel.tf1.saved_model import constants as words
from evenkeel.tf1.saved_model.signatures import build_signature_def, build_tensor_info
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.system_errors import as_tensorflow
from evenkeel.tf1.train.saver import Saver


class SavedModelBuilder:
    """Gathers meta graphs, and writes them as one saved model.

    Raises: AssertionError where the folder has files already, and where the meta graph with the
    variables is not the first, as TensorFlow's.
    """

    def __init__(self, export_dir: Any) -> None:
        self._folder = Path(str(export_dir))
        self._saved = SavedModel(saved_model_schema_version=words.SAVED_MODEL_SCHEMA_VERSION)
        if self._folder.is_dir() and any(self._folder.iterdir()):
            raise AssertionError(
                "Export directory already exists, and isn't empty. Please choose a different export "
                f"directory, or delete all the contents of the specified directory: {export_dir}"
            )
        with as_tensorflow(export_dir):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._has_variables = False

    def add_meta_graph_and_variables(
        self, sess: Any, tags: Any, signature_def_map: Any = None, assets_collection: Any = None,
        legacy_init_op: Any = None, clear_devices: bool = False, main_op: Any = None,
        strip_default_attrs: bool = False, saver: Any = None, *, assets_list: Any = None,
    ) -> None:  # fmt: skip
        """The session's graph and the values of its variables."""
        if self._has_variables:
            raise AssertionError(
                "Graph state including variables and assets has already been saved. Please invoke "
                "`add_meta_graph()` instead."
            )
        with sess.graph.as_default():
            keeper = self._prepared(
                tags, signature_def_map, assets_list or assets_collection,
                main_op or legacy_init_op, clear_devices, strip_default_attrs, saver,
            )  # fmt: skip
            target = self._folder / words.VARIABLES_DIRECTORY / words.VARIABLES_FILENAME
            target.parent.mkdir(exist_ok=True)
            keeper.save(sess, str(target), write_meta_graph=False, write_state=False)
        self._has_variables = True

    def add_meta_graph(
        self, tags: Any, signature_def_map: Any = None, assets_collection: Any = None,
        legacy_init_op: Any = None, clear_devices: bool = False, main_op: Any = None,
        strip_default_attrs: bool = False, saver: Any = None, *, assets_list: Any = None,
    ) -> None:  # fmt: skip
        """The default graph, which shares the variables of the first."""
        if not self._has_variables:
            raise AssertionError(
                "Graph state including variables and assets has not been saved yet. Please invoke "
                "`add_meta_graph_and_variables()` first."
            )
        self._prepared(
            tags, signature_def_map, assets_list or assets_collection, main_op or legacy_init_op,
            clear_devices, strip_default_attrs, saver,
        )  # fmt: skip

    def _prepared(
        self, tags: Any, signatures: Any, assets: Any, main_op: Any, clear: bool, strip: bool,
        saver: Any,
    ) -> Any:  # fmt: skip
        """Add the default graph; its saver."""
        if main_op is not None and not isinstance(main_op, Operation):
            raise TypeError(f"main_op needs to be an Operation: {main_op!r}")
        graph = get_default_graph()
        keeper = saver or Saver(allow_empty=True)
        self._add_assets(graph, assets or [])
        if main_op is not None:
            graph.add_to_collection(words.MAIN_OP_KEY, main_op)
        info = MetaGraphDef.MetaInfoDef(tags=list(tags))
        empty = getattr(keeper, "_is_empty", False)
        made = export_meta_graph(
            meta_info_def=info, saver_def=None if empty else keeper.as_saver_def(),
            clear_devices=clear, strip_default_attrs=strip,
        )  # fmt: skip
        for name, signature in (signatures or {}).items():
            _check(name, signature)
            made.signature_def[name].CopyFrom(signature)
        if main_op is not None:
            said = build_signature_def(outputs={words.INIT_OP_SIGNATURE_KEY: _named(main_op)})
            made.signature_def[words.INIT_OP_SIGNATURE_KEY].CopyFrom(said)
        self._saved.meta_graphs.append(made)
        return keeper

    def _add_assets(self, graph: Any, assets: list[Any]) -> None:
        graph.clear_collection(words.ASSETS_KEY)
        folder = self._folder / words.ASSETS_DIRECTORY
        for tensor in assets:
            source = Path(tensor.op.attrs["value"].item().decode())
            with as_tensorflow(source):
                folder.mkdir(exist_ok=True)
                shutil.copyfile(source, folder / source.name)
            said = AssetFileDef(filename=source.name, tensor_info=build_tensor_info(tensor))
            kept = AnyMessage()
            kept.Pack(said)
            graph.add_to_collection(words.ASSETS_KEY, kept)

    def save(self, as_text: bool = False) -> Any:
        """Write the file of meta graphs; its path."""
        name = words.SAVED_MODEL_FILENAME_PBTXT if as_text else words.SAVED_MODEL_FILENAME_PB
        return write_message(self._folder / name, self._saved, as_text).encode()


def _named(op: Operation) -> Any:
    from evenkeel.tf1.proto import TensorInfo

    return TensorInfo(name=op.name)


def _check(name: str, signature: Any) -> None:
    for infos in (signature.inputs, signature.outputs):
        for key, info in infos.items():
            if info.WhichOneof("encoding") is None or not info.dtype:
                raise AssertionError(
                    f"Invalid `TensorInfo` in the signature {name!r}: {key!r} names no typed tensor"
                )


def simple_save(
    session: Any, export_dir: Any, inputs: Any, outputs: Any, legacy_init_op: Any = None
) -> None:
    """Save a session's graph with one signature, for prediction, under the tag ``serve``."""
    from evenkeel.tf1.saved_model.signatures import predict_signature_def

    with session.graph.as_default():
        signature = predict_signature_def(inputs, outputs)
    builder = SavedModelBuilder(export_dir)
    builder.add_meta_graph_and_variables(
        session,
        [words.SERVING],
        {words.DEFAULT_SERVING_SIGNATURE_DEF_KEY: signature},
        assets_list=get_default_graph().get_collection(GraphKeys.ASSET_FILEPATHS),
        main_op=legacy_init_op,
        clear_devices=True,
    )
    builder.save()


def main_op() -> Operation:
    """A node that initializes variables and tables."""
    from evenkeel.tf1 import catalogue

    names = ("global_variables_initializer", "local_variables_initializer", "tables_initializer")
    return group(*[catalogue.look_up(name)() for name in names])


def main_op_with_restore(restore_op_name: str) -> Operation:
    """``main_op`` after the variables were restored."""
    with get_default_graph().control_dependencies([main_op()]):
        restored = get_default_graph().get_operation_by_name(restore_op_name)
        return group(restored)
