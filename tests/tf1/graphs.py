"""The graphs of `tf115_graphs.json.gz`, and how a graph of ours differs from one."""

import gzip
import json
from pathlib import Path
from typing import Any

from tf1.snippet import described


def expected(shared: Path, name: str) -> list[dict[str, Any]]:
    """The operations of a recorded graph, such as `conv_nn: forward`."""
    with gzip.open(shared / "oracle" / "tf115_graphs.json.gz", "rt") as file:
        rows: list[dict[str, Any]] = json.load(file)[name]["operations"]
    return rows


def differences(graph: Any, rows: list[dict[str, Any]]) -> list[str]:
    """Every node that is missing, extra, different or out of order; empty for the same graph."""
    ours = described(graph)
    by_name = {row["name"]: row for row in ours}
    names = {row["name"] for row in rows}
    found = [
        f"{r['name']}: {r} but {by_name.get(r['name'])}"
        for r in rows
        if by_name.get(r["name"]) != r
    ]
    found += [f"extra: {row}" for row in ours if row["name"] not in names]
    if not found and [r["name"] for r in ours] != [r["name"] for r in rows]:
        found.append("the same nodes in another order")
    return found
