"""``tf.train``'s functions of meta graphs, and the message of a saver."""

from evenkeel.tf1.graph_io import export_meta_graph, import_meta_graph, write_graph
from evenkeel.tf1.proto import SaverDef

__all__ = ["SaverDef", "export_meta_graph", "import_meta_graph", "write_graph"]
