"""Event files: what ``tf.summary.FileWriter`` writes and TensorBoard and ``tf.train`` read."""

import os
import socket
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

from evenkeel.tf1.proto import Event, SessionLog, Summary, TaggedRunMetadata
from evenkeel.tf1.records import framed, reading, records
from evenkeel.tf1.system_errors import as_tensorflow

_serial = count()


class FileWriter:
    """Writes events into a file of a folder; every ``max_queue`` events, or ``flush_secs``, it flushes.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, FileWriter(folder) as writer:
    ...     writer.add_summary(Summary(value=[Summary.Value(tag="a", simple_value=0.5)]), 7)
    ...     writer.flush()
    ...     [(e.step, e.summary.value[0].tag) for e in summary_iterator(writer.path) if e.summary.value]
    [(7, 'a')]
    """

    def __init__(
        self, logdir: Any, graph: Any = None, max_queue: int = 10, flush_secs: float = 120,
        graph_def: Any = None, filename_suffix: str | None = None, session: Any = None,
    ) -> None:  # fmt: skip
        self._folder: str = os.fspath(logdir)
        self._max_queue, self._flush_secs = max_queue, flush_secs
        self._suffix, self._lock = filename_suffix or "", Lock()
        self._tags: set[str] = set()  # whose metadata were written: TensorBoard reads them once
        self._open()
        if graph is not None or graph_def is not None:
            self.add_graph(graph=graph, graph_def=graph_def)
            self.add_meta_graph(_meta_graph(graph, graph_def))

    def _open(self) -> None:
        with as_tensorflow(self._folder):
            Path(self._folder).mkdir(parents=True, exist_ok=True)
        stem = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
        path = Path(self._folder) / f"{stem}{self._suffix}"
        while path.exists():  # another writer of this second
            path = path.with_name(f"{stem}.{next(_serial)}{self._suffix}")
        self.path = str(path)
        with as_tensorflow(path):
            self._file, self._waiting, self._flushed = path.open("ab"), 0, time.monotonic()
        self.add_event(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self.flush()

    def get_logdir(self) -> str:
        """The folder."""
        return self._folder

    def add_event(self, event: Any) -> None:
        """Write one event; nothing after ``close``."""
        with self._lock:
            if self._file.closed:
                return
            self._file.write(framed(event.SerializeToString()))
            self._waiting += 1
            late = time.monotonic() - self._flushed > self._flush_secs
            if late or self._waiting > self._max_queue:
                self._flush()

    def _add(self, step: Any, **what: Any) -> None:
        number = None if step is None else int(step)
        self.add_event(Event(wall_time=time.time(), step=number, **what))

    def add_summary(self, summary: Any, global_step: Any = None) -> None:
        """Write one summary: a message, or the bytes that a session gave."""
        made = Summary()
        made.ParseFromString(summary if isinstance(summary, bytes) else summary.SerializeToString())
        for value in made.value:
            if value.HasField("metadata"):
                if value.tag in self._tags:
                    value.ClearField("metadata")
                self._tags.add(value.tag)
        self._add(global_step, summary=made)

    def add_session_log(self, session_log: Any, global_step: Any = None) -> None:
        """Write that a session started, stopped or saved."""
        log = SessionLog.FromString(session_log.SerializeToString())
        self._add(global_step, session_log=log)

    def add_graph(self, graph: Any = None, global_step: Any = None, graph_def: Any = None) -> None:
        """Write a graph."""
        if graph is not None and graph_def is not None:
            raise ValueError("Please pass only graph, or graph_def (deprecated), but not both.")
        given = graph_def if graph is None else graph
        if hasattr(given, "as_graph_def"):
            given = given.as_graph_def(add_shapes=True)
        if not hasattr(given, "SerializeToString"):
            raise TypeError(
                "The passed graph must be an instance of `Graph` or the deprecated `GraphDef`"
            )
        self._add(global_step, graph_def=given.SerializeToString())

    def add_meta_graph(self, meta_graph_def: Any, global_step: Any = None) -> None:
        """Write a meta graph."""
        self._add(global_step, meta_graph_def=meta_graph_def.SerializeToString())

    def add_run_metadata(self, run_metadata: Any, tag: str, global_step: Any = None) -> None:
        """Write what a run said of itself; ValueError for a tag that was used."""
        if tag in self._tags:
            raise ValueError("The provided tag was already used for this event type")
        self._tags.add(tag)
        message = getattr(run_metadata, "SerializeToString", bytes)()
        self._add(global_step, tagged_run_metadata=TaggedRunMetadata(tag=tag, run_metadata=message))

    def _flush(self) -> None:
        self._file.flush()
        self._waiting, self._flushed = 0, time.monotonic()

    def flush(self) -> None:
        """Bring everything to the file."""
        with self._lock:
            if not self._file.closed:
                self._flush()

    def close(self) -> None:
        """Flush, and write no more until ``reopen``."""
        with self._lock:
            self._file.close()

    def reopen(self) -> None:
        """Write again after ``close``, into a file of its own."""
        if self._file.closed:
            self._open()

    def __enter__(self) -> "FileWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


def _meta_graph(graph: Any, graph_def: Any) -> Any:
    from evenkeel.tf1.graph_io import export_meta_graph  # which most writers never need

    if hasattr(graph, "as_graph_def"):
        return export_meta_graph(graph=graph)
    return export_meta_graph(graph_def=graph if graph_def is None else graph_def)


class FileWriterCache:
    """One writer a folder, for everyone in the process."""

    _writers: ClassVar[dict[str, FileWriter]] = {}
    _lock: ClassVar[Any] = Lock()

    @staticmethod
    def get(logdir: Any) -> FileWriter:
        """The writer of a folder, made where there is none."""
        folder = os.fspath(logdir)
        with FileWriterCache._lock:
            if folder not in FileWriterCache._writers:
                FileWriterCache._writers[folder] = FileWriter(folder)
            return FileWriterCache._writers[folder]

    @staticmethod
    def clear() -> None:
        """Close all writers."""
        with FileWriterCache._lock:
            for writer in FileWriterCache._writers.values():
                writer.close()
            FileWriterCache._writers.clear()


def summary_iterator(path: Any) -> Iterator[Any]:
    """The events of a file, ``tf.train.summary_iterator``."""
    with reading(path, "") as file:
        for record in records(file):
            yield Event.FromString(record)
