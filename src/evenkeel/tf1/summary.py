"""``tf.summary``: values as Summary messages, and the event files that TensorBoard reads."""

from typing import Any

from evenkeel.tf1.api.framework import add_to_collections
from evenkeel.tf1.build import apply, convert, name_scope
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.events import FileWriter, FileWriterCache
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.proto import Event, SessionLog, Summary, SummaryMetadata, TaggedRunMetadata
from evenkeel.tf1.stacks import get_default_graph

__all__ = [
    "Event", "FileWriter", "FileWriterCache", "SessionLog", "Summary", "TaggedRunMetadata",
    "histogram", "image", "merge", "merge_all", "scalar", "tensor_summary", "text",
]  # fmt: skip


def _clean(name: str) -> str:
    """A name that a node may have."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-./_") else "_" for c in name).lstrip(
        "/"
    )


class _Scope:
    """The scope of a summary node and its tag; a family stands once before both."""

    def __init__(self, name: str, family: str | None, default: str | None, values: Any) -> None:
        clean, before = _clean(name), _clean(family) if family else None
        full = clean if before is None else f"{before}/{clean}"
        self._scope = name_scope(full, default, values)
        self._family = before

    def __enter__(self) -> tuple[str, str]:
        scope = self._scope.__enter__()
        inside = scope.rstrip("/")
        return (inside if self._family is None else f"{self._family}/{inside}"), scope

    def __exit__(self, *error: Any) -> None:
        self._scope.__exit__(*error)


def _collected(node: Any, collections: Any) -> Any:
    add_to_collections([GraphKeys.SUMMARIES] if collections is None else collections, node)
    return node


def scalar(name: str, tensor: Any, collections: Any = None, family: str | None = None) -> Any:
    """A node that gives one number as a summary.

    >>> import evenkeel.tf1 as tf
    >>> with tf.Graph().as_default(), tf.Session() as sess:
    ...     written = sess.run(scalar("loss", 0.25))
    ...     Summary.FromString(written).value[0].tag, Summary.FromString(written).value[0].simple_value
    ('loss', 0.25)
    """
    with _Scope(name, family, None, [tensor]) as (tag, scope):
        return _collected(apply("ScalarSummary", tag, tensor, name=scope), collections)


def histogram(name: str, values: Any, collections: Any = None, family: str | None = None) -> Any:
    """A node that gives the distribution of values as a summary."""
    with _Scope(name, family, "HistogramSummary", [values]) as (tag, scope):
        return _collected(apply("HistogramSummary", tag, values, name=scope), collections)


def image(
    name: str, tensor: Any, max_outputs: int = 3, collections: Any = None, family: str | None = None
) -> Any:
    """A node that gives images ``[N, height, width, 1, 3 or 4]`` as PNG; needs Pillow when it runs."""
    with _Scope(name, family, None, [tensor]) as (tag, scope):
        node = apply("ImageSummary", tag.lstrip("/"), tensor, max_images=max_outputs, name=scope)
        return _collected(node, collections)


def tensor_summary(
    name: str, tensor: Any, summary_description: Any = None, collections: Any = None,
    summary_metadata: Any = None, family: str | None = None, display_name: str | None = None,
) -> Any:  # fmt: skip
    """A node that gives a whole tensor as a summary."""
    metadata = SummaryMetadata() if summary_metadata is None else summary_metadata
    metadata = SummaryMetadata.FromString(metadata.SerializeToString())
    if display_name is not None:
        metadata.display_name = display_name
    if summary_description is not None:
        metadata.summary_description = summary_description
    with _Scope(name, family, None, [tensor]) as (tag, scope):
        node = apply("TensorSummaryV2", tag, tensor, metadata.SerializeToString(), name=scope)
        return _collected(node, collections)


def text(name: str, tensor: Any, collections: Any = None) -> Any:
    """A node that gives strings as a summary; ValueError for another type."""
    tensor = convert(tensor)
    if tensor.dtype.name != "string":
        raise ValueError(f"Expected tensor {tensor.name} to have dtype string, got {tensor.dtype}")
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    return tensor_summary(name, tensor, collections=collections, summary_metadata=metadata)


def merge(inputs: Any, collections: Any = None, name: str | None = None) -> Any:
    """A node that gives several summaries as one."""
    name = None if name is None else _clean(name)
    with name_scope(name, "Merge", list(inputs)):
        made = apply("MergeSummary", list(inputs), name=name)
    add_to_collections(collections or [], made)
    return made


def merge_all(
    key: str = GraphKeys.SUMMARIES, scope: str | None = None, name: str | None = None
) -> Any:
    """All summaries of the graph as one, or None where there are none."""
    found = get_default_graph().get_collection(key, scope)
    return merge(found, name=name) if found else None


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.summary.{name}", __all__)
