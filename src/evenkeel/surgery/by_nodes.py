"""Layer by layer in one pass: a graph run node by node, each node on all batches before the next.

What waits for a later node is kept, for all batches; so each layer has its statistics before anything
runs that sees its output, and nothing runs twice.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.fx import Interpreter, Node
from torch.fx.node import map_arg
from torch.utils._pytree import tree_leaves

from evenkeel.surgery.gathering import Gathering
from evenkeel.surgery.neighbours import readings
from evenkeel.surgery.reading import Reading
from evenkeel.surgery.sites import Site, is_bound


class TooMuch(Exception):
    """The values that wait take more memory than they may."""


def whole_graph(model: nn.Module, chosen: Iterable[Site]) -> Reading | None:
    """The graph of the whole model in which every layer is one call; None where it has none."""
    if is_bound(model):
        return None
    opened = dict(readings(model).opened)
    reading = opened.get("")
    if reading is None or reading.own_tensors:
        return None
    parts = [part for node in reading.graph.nodes if (part := reading.module(node)) is not None]
    calls = Counter(id(inner) for part in parts for inner in part.modules())
    direct = {id(part) for part in parts}
    once = all(calls[id(site.module)] == 1 and id(site.module) in direct for site in chosen)
    return reading if once else None


class ByNodes:
    """One run of ``reading``'s graph on all batches, node by node."""

    def __init__(
        self, reading: Reading, chosen: tuple[Site, ...], gathering: Gathering, memory: int
    ) -> None:
        self._reading, self._gathering, self._memory = reading, gathering, memory
        self._sites = {id(site.module): site for site in chosen}
        self._interpreter = Interpreter(reading.root, graph=reading.graph)
        self._values: list[dict[Node, Any]] = []
        self._bytes = 0

    def take(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        """Keep the arguments of one batch.

        Raises:  TooMuch, TypeError when the forward does not take them
        """
        places = [node for node in self._reading.graph.nodes if node.op == "placeholder"]
        given = dict(zip(places, args, strict=False))
        given |= {node: options[str(node.target)] for node in places[len(args) :]}
        self._values.append({})
        for node, value in given.items():
            self._put(self._values[-1], node, value)

    def run(self) -> None:
        """Run every node on every batch."""
        last = _last_uses(self._reading)
        for node in self._reading.graph.nodes:
            if node.op in ("placeholder", "output"):
                continue
            site = self._sites.get(id(self._reading.module(node)))
            if site is not None:
                self._measure(site, node)
                self._gathering.finish()
                self._gathering.settle(site)
            self._run(node, last[node])

    def _measure(self, site: Site, node: Node) -> None:
        for number, values in enumerate(self._values, 1):
            self._gathering.begin(number)
            args: Any = map_arg(node.args, values.__getitem__)
            options: Any = map_arg(node.kwargs, values.__getitem__)
            mask = options.get("mask")
            spread = options.get("weights") if mask is None else mask
            self._gathering.add(site, args[0] if args else options["input"], spread)

    def _run(self, node: Node, done: list[Node]) -> None:
        for values in self._values:
            self._interpreter.env = values
            value = self._interpreter.run_node(node)
            for past in done:
                self._bytes -= _size(values.pop(past))
            if node.users:
                self._put(values, node, value)

    def _put(self, values: dict[Node, Any], node: Node, value: Any) -> None:
        values[node] = value
        self._bytes += _size(value)
        if self._bytes > self._memory:
            raise TooMuch


def _last_uses(reading: Reading) -> dict[Node, list[Node]]:
    """For each node those whose value nothing needs any more once it has run."""
    last: dict[Node, Node] = {}
    for node in reading.graph.nodes:
        for used in node.all_input_nodes:
            last[used] = node
    done: dict[Node, list[Node]] = {node: [] for node in reading.graph.nodes}
    for used, node in last.items():
        if node.op != "output":
            done[node].append(used)
    return done


def _size(value: Any) -> int:
    leaves = [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
    return sum(leaf.numel() * leaf.element_size() for leaf in leaves)
