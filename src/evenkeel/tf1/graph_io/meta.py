"""Meta graphs: a graph with its collections, its saver and its signatures, out and in."""

import re
from typing import Any

from evenkeel.tf1.graph import Graph
from evenkeel.tf1.graph_io.branches import place_without_outputs
from evenkeel.tf1.graph_io.collection_defs import Restored, collection_to_proto
from evenkeel.tf1.graph_io.definitions import known, op_def_of
from evenkeel.tf1.graph_io.export import graph_def_of, strip_defaults
from evenkeel.tf1.graph_io.files import read_message, write_message
from evenkeel.tf1.graph_io.importing import import_graph_def
from evenkeel.tf1.graph_io.scopes import without
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.nodes import Operation
from evenkeel.tf1.proto import MetaGraphDef
from evenkeel.tf1.stacks import get_default_graph

VERSION, GIT = "1.15.5", "v1.15.4-39-g3db52be"  # what TensorFlow 1.15.5 writes
_GROUP = re.compile(r"^loc:@(.+)$")
_RESTORED_LAST = (GraphKeys.WHILE_CONTEXT, GraphKeys.COND_CONTEXT)


def export_meta_graph(
    filename: Any = None,
    meta_info_def: Any = None,
    graph_def: Any = None,
    saver_def: Any = None,
    collection_list: Any = None,
    as_text: bool = False,
    graph: Graph | None = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    save_debug_info: bool = False,
) -> Any:
    """The MetaGraphDef of a graph, as ``tf.train.export_meta_graph``; written where a file is named.

    ``collection_list`` chooses collections, ``export_scope`` the nodes of one scope, whose names then
    begin below it. ``save_debug_info`` (a file of Python stacks in TensorFlow) has no meaning here.

    >>> from evenkeel.tf1.build import constant
    >>> with Graph().as_default() as graph:
    ...     graph.add_to_collection("found", constant(1.0, name="one"))
    ...     export_meta_graph().collection_def["found"].node_list.value[0]
    'one:0'
    """
    chosen = graph or get_default_graph()
    made = MetaGraphDef()
    if meta_info_def is not None:
        made.meta_info_def.MergeFromString(meta_info_def.SerializeToString())
    _fill_graph(made, chosen, graph_def, export_scope, clear_devices)
    _fill_info(made, strip_default_attrs)
    keys = chosen.get_all_collection_keys() if collection_list is None else collection_list
    for key in keys:
        if clear_extraneous_savers and key == GraphKeys.SAVERS:
            continue
        message = collection_to_proto(chosen, key, chosen.get_collection(key), export_scope)
        if message is not None:
            made.collection_def[key].CopyFrom(message)
    if saver_def is not None:
        made.saver_def.MergeFromString(saver_def.SerializeToString())
    if clear_extraneous_savers:
        _drop_other_savers(made)
    if filename is not None:
        write_message(filename, made, as_text)
    return made


def _fill_graph(made: Any, graph: Graph, graph_def: Any, scope: str | None, clear: bool) -> None:
    source = graph_def_of(graph, add_shapes=True) if graph_def is None else graph_def
    made.graph_def.MergeFromString(source.SerializeToString())
    if scope:
        inside = [_below(node, scope) for node in made.graph_def.node]
        del made.graph_def.node[:]
        made.graph_def.node.extend(node for node in inside if node is not None)
    for node in made.graph_def.node if clear else ():
        node.device = ""


def _below(node: Any, scope: str) -> Any:
    """A node as the export of ``scope`` writes it; None for one outside."""
    name = without(node.name, scope)
    if name is None:
        return None
    node.name = name
    for index, text in enumerate(node.input):
        mark = "^" if text.startswith("^") else ""
        short = without(text.removeprefix("^"), scope)
        # What comes from outside must be bound again by whoever imports.
        node.input[index] = (
            f"{mark}$unbound_inputs_{text.removeprefix('^')}" if short is None else mark + short
        )
    if "_class" in node.attr:
        groups = node.attr["_class"].list
        inside = [without(_GROUP.sub(r"\1", s.decode()), scope) for s in groups.s]
        del groups.s[:]
        groups.s.extend(f"loc:@{g}".encode() for g in inside if g is not None)
    return node


def _fill_info(made: Any, strip: bool) -> None:
    info = made.meta_info_def
    info.tensorflow_version, info.tensorflow_git_version = VERSION, GIT
    if strip:
        strip_defaults(made.graph_def)
        info.stripped_default_attrs = True
    if not info.HasField("stripped_op_list"):
        nodes = [*made.graph_def.node]
        nodes += [n for f in made.graph_def.library.function for n in f.node_def]
        rows = [known(kind, {}) for kind in sorted({node.op for node in nodes})]
        info.stripped_op_list.op.extend(op_def_of(row) for row in rows if row is not None)


def _drop_other_savers(made: Any) -> None:
    """Leave out the nodes that save and restore, but those of the saver that goes along."""
    keep = made.saver_def.restore_op_name.rpartition("/")[0]
    kinds = ("SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename")
    scopes = {n.name.rpartition("/")[0] for n in made.graph_def.node if n.op in kinds} - {keep, ""}
    left = [n for n in made.graph_def.node if n.name.rpartition("/")[0] not in scopes]
    del made.graph_def.node[:]
    made.graph_def.node.extend(left)


def import_meta_graph(
    meta_graph_or_file: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    input_map: Any = None,
    return_elements: Any = None,
    **kwargs: Any,
) -> Any:
    """Add a meta graph to the default graph; its saver, or None where it has no variables.

    With ``return_elements`` the saver and those elements. Other keywords go to the Saver.
    """
    from evenkeel.tf1.train.saver import Saver

    message = meta_graph_of(meta_graph_or_file)
    elements = restore_graph(message, clear_devices, import_scope, input_map, return_elements)
    saver = None
    if message.HasField("saver_def"):
        saver = Saver(saver_def=message.saver_def, name=import_scope, **kwargs)
    elif get_default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES, import_scope):
        saver = Saver(**kwargs)
    return saver if return_elements is None else (saver, elements)


def meta_graph_of(meta_graph_or_file: Any) -> Any:
    """The MetaGraphDef that is given, or that a file holds."""
    if getattr(getattr(meta_graph_or_file, "DESCRIPTOR", None), "full_name", "") == "":
        return read_message(meta_graph_or_file, MetaGraphDef)
    if isinstance(meta_graph_or_file, MetaGraphDef):
        return meta_graph_or_file
    return MetaGraphDef.FromString(meta_graph_or_file.SerializeToString())


def restore_graph(
    message: Any,
    clear_devices: bool = False,
    import_scope: str | None = None,
    input_map: Any = None,
    return_elements: Any = None,
) -> Any:
    """The nodes and collections of a meta graph, in the default graph."""
    graph = get_default_graph()
    graph_def = message.graph_def
    if clear_devices:
        graph_def = type(graph_def).FromString(graph_def.SerializeToString())
        for node in graph_def.node:
            node.device = ""
    info = message.meta_info_def
    types = info.stripped_op_list if info.HasField("stripped_op_list") else None
    before = len(graph.operations)
    name = graph.unique_name(import_scope, mark_as_used=False) if import_scope else ""
    found = import_graph_def(
        graph_def, input_map, return_elements, name=name, producer_op_list=types
    )
    _restore_collections(graph, message, name, graph.get_operations()[before:])
    return found


def _restore_collections(graph: Graph, message: Any, scope: str, fresh: list[Operation]) -> None:
    restored = Restored(graph, scope or None)
    keys = sorted(message.collection_def, key=lambda k: (k in _RESTORED_LAST, k))
    for key in keys:
        restored.add(key, message.collection_def[key])
    if any(key in message.collection_def for key in _RESTORED_LAST):
        place_without_outputs(fresh)
