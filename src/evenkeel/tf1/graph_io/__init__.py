"""Graphs in and out: GraphDefs, meta graphs, their files.

``tensors``, ``attributes`` and ``definitions`` turn one message each into plain values and back;
``nodes_in``, ``loops`` and ``importing`` make a graph of a GraphDef, ``export`` a GraphDef of a graph;
``collection_defs``, ``variable_defs``, ``branches`` and ``meta`` do the same for all of a meta graph.
"""

from evenkeel.tf1.graph_io.export import graph_def_of, node_def_of, versions
from evenkeel.tf1.graph_io.files import read_message, write_graph, write_message
from evenkeel.tf1.graph_io.importing import import_graph_def
from evenkeel.tf1.graph_io.meta import export_meta_graph, import_meta_graph
from evenkeel.tf1.graph_io.tensors import make_ndarray, make_tensor_proto

__all__ = [
    "export_meta_graph", "graph_def_of", "import_graph_def", "import_meta_graph", "make_ndarray",
    "make_tensor_proto", "node_def_of", "read_message", "versions", "write_graph", "write_message",
]  # fmt: skip
