"""What is ported: a graph and the values of its variables, wherever they come from."""

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from evenkeel.checkpoint import open_checkpoint
from evenkeel.errors import BadData, BadOption, UnknownName
from evenkeel.port.program import graph_of_program
from evenkeel.port.reading import PASSING, SWITCHES
from evenkeel.tf1 import graph_io
from evenkeel.tf1.errors import OpError
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.proto import GraphDef, MetaGraphDef
from evenkeel.tf1.saved_model.constants import VARIABLES_DIRECTORY, VARIABLES_FILENAME
from evenkeel.tf1.saved_model.loading import contains_saved_model, meta_graph_of_tags
from evenkeel.tf1.stacks import get_default_graph

SERVING = "serve"  # the tag of models that are to be served
AVERAGE = "/ExponentialMovingAverage"
FROZEN = (".pb", ".pbtxt")
# What takes the result of a network: losses, metrics, probabilities.
_ENDS = frozenset(
    ("SoftmaxCrossEntropyWithLogits", "SparseSoftmaxCrossEntropyWithLogits", "ArgMax", "InTopK",
     "InTopKV2", "TopKV2", "Softmax")
)  # fmt: skip


def _is_computed(op: Operation) -> bool:
    dtype = op.outputs[0].dtype  # of a reference: an assignment's
    return dtype.is_floating and not dtype.is_ref and op.type not in PASSING | SWITCHES


@dataclass(frozen=True)
class Source:
    """A graph, the values of its variables by name, and names that people use for its tensors."""

    graph: Graph
    values: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, Tensor] = field(default_factory=dict)
    title: str = "a TensorFlow graph"

    def tensor(self, name: str) -> Tensor:
        """A tensor by the name of its node (``dense/BiasAdd``) or of the program's variable.

        Raises:  UnknownName for a name that is neither
        """
        if name in self.names:
            return self.names[name]
        node, _, index = name.partition(":")
        op = self.graph.operations.get(node)
        number = int(index) if index.isdigit() else 0
        if op is not None and number < len(op.outputs) and (not index or index.isdigit()):
            return op.outputs[number]
        known = [*self.names, *(n for n, o in self.graph.operations.items() if o.outputs)]
        near = get_close_matches(name, known, n=4, cutoff=0.4) or self.ends()
        raise UnknownName(
            f"the graph has no tensor called {name!r}",
            got=f"{len(self.graph.operations)} nodes; known: {', '.join(self.names) or 'none'}",
            do=f"try {' or '.join(near)}" if near else "give the name of a node or of a variable",
        )

    def ends(self) -> list[str]:
        """Names of tensors that look like a network's result, the likeliest first."""
        found: dict[str, None] = {}
        for op in self.graph.operations.values():
            if op.type in _ENDS:
                found[op.inputs[0].op.name] = None
        if not found:
            ends = [o for o in self.graph.operations.values() if o.outputs and not o._consumed]
            found = dict.fromkeys(o.name for o in ends if o.inputs and _is_computed(o))
        return list(found)[:4]


def open_source(
    path: str | Path,
    arguments: Sequence[str] = (),
    *,
    checkpoint: str | Path | None = None,
    output: str | None = None,
    averages: bool = False,
    tags: Sequence[str] | None = None,
) -> Source:
    """A program, meta graph, frozen graph, SavedModel, or checkpoint with its meta graph beside it.

    ``arguments`` are a program's own; ``tags`` choose in a SavedModel, by default "serve".

    Raises:  BadOption for what is none of these, a program that fails before it has a graph, or
             options of another kind of source; BadData for a file that is damaged
    """
    file = Path(path)
    is_saved = file.is_dir() and contains_saved_model(file)
    _check_taken("arguments", arguments, file.suffix == ".py", "a program (.py)")
    _check_taken("tags", tags, is_saved, "a SavedModel")
    _check_taken("a checkpoint", checkpoint, not is_saved, "a graph without values of its own")
    if file.suffix == ".py":
        return from_program(
            file, arguments, checkpoint=checkpoint, output=output, averages=averages
        )
    if file.suffix in FROZEN:
        return _with_values(from_frozen(file), checkpoint, averages)
    if is_saved:
        return from_saved_model(file, tags or (SERVING,), averages=averages)
    meta = file if file.suffix == ".meta" else Path(f"{file}.meta")
    if meta.is_file():
        prefix = checkpoint or str(meta).removesuffix(".meta")
        return from_meta(meta, prefix, averages=averages)
    raise BadOption(
        "there is no graph to port",
        got=f"{path}, which is no program, .meta, .pb or SavedModel, and has no .meta beside it",
        do="give the program that builds the graph: evenkeel port program.py --checkpoint PREFIX",
    )


def _check_taken(what: str, given: Any, is_taken: bool, kind: str) -> None:
    """Raise BadOption for what another kind of source takes."""
    if given and not is_taken:
        raise BadOption(f"only {kind} takes {what}", got=given, do="leave it out")


def from_program(
    path: str | Path,
    arguments: Sequence[str] = (),
    *,
    checkpoint: str | Path | None = None,
    output: str | None = None,
    averages: bool = False,
) -> Source:
    """The graph that a program builds before it first uses a session; nothing is trained.

    Raises:  BadOption where the program fails before that; BadData for a damaged checkpoint
    """
    graph, names = graph_of_program(path, arguments, output)
    return _with_values(Source(graph, {}, names, Path(path).name), checkpoint, averages)


def from_meta(
    path: str | Path, checkpoint: str | Path | None = None, *, averages: bool = False
) -> Source:
    """A meta graph, as a Saver writes it, and a checkpoint.

    Raises:  BadData for a damaged file
    """
    graph = Graph()
    with graph.as_default(), _reading(path):
        message = graph_io.read_message(path, MetaGraphDef)
        graph_io.import_graph_def(message.graph_def, name="")
    source = Source(graph, {}, _signed(message, graph), Path(path).name)
    return _with_values(source, checkpoint, averages)


def from_frozen(path: str | Path) -> Source:
    """A GraphDef whose variables are constants.

    Raises:  BadData for a damaged file
    """
    graph = Graph()
    with graph.as_default(), _reading(path):
        graph_io.import_graph_def(graph_io.read_message(path, GraphDef), name="")
    return Source(graph, title=Path(path).name)


def from_saved_model(
    folder: str | Path, tags: Sequence[str] = (SERVING,), *, averages: bool = False
) -> Source:
    """A SavedModel; its signatures' outputs go by their own names.

    Raises:  BadData for a damaged file, or one without these tags
    """
    graph = Graph()
    with graph.as_default(), _reading(folder):
        message = meta_graph_of_tags(folder, list(tags))
        graph_io.import_graph_def(message.graph_def, name="")
    prefix = Path(folder) / VARIABLES_DIRECTORY / VARIABLES_FILENAME
    has_values = Path(f"{prefix}.index").is_file()
    source = Source(graph, {}, _signed(message, graph), Path(folder).name)
    return _with_values(source, prefix if has_values else None, averages)


def _signed(message: Any, graph: Graph) -> dict[str, Tensor]:
    """The inputs and outputs that signatures name."""
    found = {}
    for signature in message.signature_def.values():
        for side in (signature.inputs, signature.outputs):
            for key, info in side.items():
                node, _, index = info.name.partition(":")
                op, number = graph.operations.get(node), int(index) if index.isdigit() else 0
                if op is not None and number < len(op.outputs):  # an Estimator signs a NoOp too
                    found[key] = op.outputs[number]
    return found


@contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    """Errors as those of a file; the nodes that are read come from it, not from a line of a program."""
    try:
        yield
        for op in get_default_graph().operations.values():
            op.origin = str(path)
    except (OpError, OSError, ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, BadData):
            raise
        raise BadData(
            "the graph cannot be read",
            got=f"{type(error).__name__}: {error}",
            do="give a .meta, .pb or SavedModel that TensorFlow 1 or evenkeel wrote",
            at=str(path),
        ) from error


def _with_values(source: Source, checkpoint: str | Path | None, averages: bool) -> Source:
    if checkpoint is None:
        return source
    name = f"{source.title} and {Path(checkpoint).name}"
    values = values_of(checkpoint, averages=averages)
    return Source(source.graph, values, source.names, name)


def values_of(checkpoint: str | Path, *, averages: bool = False) -> Mapping[str, Any]:
    """The tensors of a checkpoint; with ``averages``, moving averages in the place of weights.

    Raises:  BadData for one that is missing or damaged; BadOption where it has no averages
    """
    values = open_checkpoint(checkpoint)
    if not averages:
        return values
    shadows = {n.removesuffix(AVERAGE): values[n] for n in values if n.endswith(AVERAGE)}
    if not shadows:
        raise BadOption(
            "the checkpoint has no moving averages of weights",
            got=f"{len(values)} tensors, none called …{AVERAGE}",
            do="port without --averages",
        )
    return ChainMap(shadows, values)  # type: ignore[arg-type]  # it is only read
