"""Rows of tables: embeddings."""

from typing import Any

from evenkeel.tf1.build import apply, convert, name_scope

__all__ = ["embedding_lookup"]


def embedding_lookup(
    params: Any, ids: Any, partition_strategy: str = "mod", name: Any = None,
    validate_indices: bool = True, max_norm: Any = None,
) -> Any:  # fmt: skip
    """The rows of a table that the ids name."""
    tables = list(params) if isinstance(params, list | tuple) else [params]
    with name_scope(name, "embedding_lookup", [*tables, ids]) as scope:
        wanted = convert(ids, name="ids")
        if len(tables) == 1:
            table = tables[0]
            with table.graph.colocate_with(table.op):
                from evenkeel.tf1.api.indexing import gather

                rows = gather(table, wanted, name=None if max_norm is not None else scope)
                rows = rows if max_norm is None else clipped(rows, max_norm)
                return apply("Identity", rows)
    raise NotImplementedError(
        f"embedding_lookup takes one table here, not {len(tables)} ({partition_strategy})"
    )


def clipped(rows: Any, max_norm: float) -> Any:
    """Rows no longer than ``max_norm``."""
    from evenkeel.tf1.api.reductions import reduce_sum

    length = apply("Sqrt", reduce_sum(rows * rows, [-1], keepdims=True))
    return rows * (max_norm / apply("Maximum", length, max_norm))
