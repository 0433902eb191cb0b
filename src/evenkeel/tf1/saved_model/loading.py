"""Reading a saved model into a session."""

from pathlib import Path
from typing import Any

from evenkeel.tf1.graph_io.files import parsed, read_message
from evenkeel.tf1.graph_io.meta import import_meta_graph
from evenkeel.tf1.graph_io.scopes import under
from evenkeel.tf1.proto import AssetFileDef, SavedModel
from evenkeel.tf1.saved_model import constants as words


def contains_saved_model(export_dir: Any) -> bool:
    """Whether a folder has the file of a saved model."""
    return _file(export_dir) is not None


maybe_saved_model_directory = contains_saved_model


def _file(export_dir: Any) -> Path | None:
    for name in (words.SAVED_MODEL_FILENAME_PB, words.SAVED_MODEL_FILENAME_PBTXT):
        file = Path(str(export_dir)) / name
        if file.is_file():
            return file
    return None


def read_saved_model(export_dir: Any) -> Any:
    """The SavedModel message of a folder."""
    file = _file(export_dir)
    if file is None:
        names = f"{words.SAVED_MODEL_FILENAME_PBTXT}|{words.SAVED_MODEL_FILENAME_PB}"
        raise OSError(f"SavedModel file does not exist at: {export_dir}/{{{names}}}")
    return read_message(file, SavedModel)


def meta_graph_of_tags(export_dir: Any, tags: Any) -> Any:
    """The meta graph of a saved model that has exactly these tags."""
    saved = read_saved_model(export_dir)
    for message in saved.meta_graphs:
        if set(message.meta_info_def.tags) == set(tags):
            return message
    there = "; ".join(str(sorted(m.meta_info_def.tags)) for m in saved.meta_graphs)
    raise RuntimeError(
        f"MetaGraphDef associated with tags {', '.join(map(repr, tags))} could not be found in "
        f"SavedModel. It has: {there or 'none'}."
    )


def load(
    sess: Any, tags: Any, export_dir: Any, import_scope: str | None = None, **saver_kwargs: Any
) -> Any:
    """Import the meta graph with these tags, restore its variables, run its main op; the message."""
    message = meta_graph_of_tags(export_dir, [tags] if isinstance(tags, str) else list(tags))
    with sess.graph.as_default():
        saver = import_meta_graph(message, import_scope=import_scope, **saver_kwargs)
        target = Path(str(export_dir)) / words.VARIABLES_DIRECTORY / words.VARIABLES_FILENAME
        if saver is not None and target.with_name(target.name + ".index").is_file():
            saver.restore(sess, str(target))
        main = _main_op(message, sess.graph, import_scope)
        if main is not None:
            sess.run(main, _assets(message, sess.graph, export_dir, import_scope))
    return message


def _assets(message: Any, graph: Any, export_dir: Any, scope: str | None) -> dict[Any, str]:
    """What to feed for the names of asset files."""
    feeds: dict[Any, str] = {}
    if words.ASSETS_KEY not in message.collection_def:
        return feeds
    for item in message.collection_def[words.ASSETS_KEY].any_list.value:
        said = parsed(item.value, AssetFileDef, "an asset of the saved model")
        # An asset is a file of the saved model: its name leads nowhere else.
        path = Path(str(export_dir)) / words.ASSETS_DIRECTORY / Path(said.filename).name
        feeds[graph.get_tensor_by_name(under(said.tensor_info.name, scope))] = str(path)
    return feeds


def _main_op(message: Any, graph: Any, scope: str | None) -> Any:
    if words.INIT_OP_SIGNATURE_KEY in message.signature_def:
        outputs = message.signature_def[words.INIT_OP_SIGNATURE_KEY].outputs
        name = outputs[words.INIT_OP_SIGNATURE_KEY].name
        return graph.as_graph_element(under(name, scope))
    for key in (words.MAIN_OP_KEY, words.LEGACY_INIT_OP_KEY):
        if key in message.collection_def:
            names = message.collection_def[key].node_list.value
            if len(names) != 1:
                raise RuntimeError(
                    f"Expected exactly one SavedModel init op, found {len(names)}: {key}"
                )
            return graph.as_graph_element(under(names[0], scope))
    return None
