"""``tf.summary``: scalars and histograms, and the event files that TensorBoard reads."""

import os
import socket
import struct
import time
from pathlib import Path
from typing import Any

from evenkeel.checkpoint.checksum import masked
from evenkeel.checkpoint.wire import write_varint
from evenkeel.tf1.build import apply, name_scope
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.ops.summaries import block, double
from evenkeel.tf1.stacks import get_default_graph

__all__ = ["FileWriter", "histogram", "merge", "merge_all", "scalar"]


def _node(kind: str, name: str, values: Any, collections: Any, family: str | None) -> Any:
    clean = "".join(c if c.isalnum() or c in "-./_" else "_" for c in name).lstrip("/")
    prefix = f"{family}/" if family else ""
    with name_scope(f"{prefix}{clean}", values=[values]) as scope:
        tag = prefix + scope.rstrip("/")
        made = apply(kind, tag, values, name=scope)
    for key in [GraphKeys.SUMMARIES] if collections is None else collections:
        get_default_graph().add_to_collection(key, made)
    return made


def scalar(name: str, tensor: Any, collections: Any = None, family: str | None = None) -> Any:
    """A node that gives one number as a summary."""
    return _node("ScalarSummary", name, tensor, collections, family)


def histogram(name: str, values: Any, collections: Any = None, family: str | None = None) -> Any:
    """A node that gives the distribution of values as a summary."""
    return _node("HistogramSummary", name, values, collections, family)


def merge(inputs: Any, collections: Any = None, name: str | None = None) -> Any:
    """A node that gives several summaries as one."""
    made = apply("MergeSummary", list(inputs), name=name)
    for key in collections or []:
        get_default_graph().add_to_collection(key, made)
    return made


def merge_all(
    key: str = GraphKeys.SUMMARIES, scope: str | None = None, name: str | None = None
) -> Any:
    """All summaries of the graph as one, or None where there are none."""
    found = get_default_graph().get_collection(key, scope)
    return merge(found, name=name) if found else None


class FileWriter:
    """Writes summaries into an event file, which TensorBoard reads; graphs are left out."""

    def __init__(
        self, logdir: str, graph: Any = None, max_queue: int = 10, flush_secs: int = 120,
        graph_def: Any = None, filename_suffix: str | None = None, session: Any = None,
    ) -> None:  # fmt: skip
        self._folder = os.fspath(logdir)
        Path(logdir).mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
        self._path = Path(logdir) / f"{name}{filename_suffix or ''}"
        self._file = self._path.open("ab")
        self._record(block(3, b"brain.Event:2"))

    def get_logdir(self) -> str:
        """The folder."""
        return self._folder

    def _record(self, event: bytes) -> None:
        data = double(1, time.time()) + event
        length = struct.pack("<Q", len(data))
        sums = (struct.pack("<I", masked(part)) for part in (length, data))
        self._file.write(b"".join([length, next(sums), data, next(sums)]))

    def add_summary(self, summary: Any, global_step: Any = None) -> None:
        """Write one summary, as a session gave it."""
        data = summary if isinstance(summary, bytes) else summary.SerializeToString()
        step = b"" if global_step is None else write_varint(2 << 3) + write_varint(int(global_step))
        self._record(step + block(5, data))

    def add_graph(self, graph: Any, global_step: Any = None, graph_def: Any = None) -> None:
        """Accepted: graphs are not written."""

    def add_run_metadata(self, *_: Any) -> None:
        """Accepted: nothing is written."""

    def flush(self) -> None:
        """Bring everything to disk."""
        if not self._file.closed:
            self._file.flush()

    def close(self) -> None:
        """Flush, and write no more."""
        self._file.close()

    def reopen(self) -> None:
        """Write again after ``close``."""
        if self._file.closed:
            self._file = self._path.open("ab")

    def __enter__(self) -> "FileWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.summary.{name}", __all__)
