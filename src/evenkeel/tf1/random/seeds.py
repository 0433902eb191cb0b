"""Which seeds an operation gets from the graph's seed and its own."""

from operator import index

DEFAULT_GRAPH_SEED = 87654321
LIMIT = 2**31 - 1  # seeds are counted modulo this, so that they fit an int32


def op_seeds(
    graph_seed: int | None, op_seed: int | None, last_id: int
) -> tuple[int, int] | tuple[None, None]:
    """The attributes ``seed`` and ``seed2`` of a random operation.

    Math:    (graph_seed, op_seed) modulo 2^31 − 1; a missing op_seed is ``last_id``, the number of
             operations created in the graph so far; a missing graph_seed is 87654321. (0, 0) becomes
             (0, 2^31 − 1), because the operations read (0, 0) as "unpredictable".
    Raises:  TypeError for a seed that is no integer
    Source:  tf.get_seed of TensorFlow 1.15

    Where both seeds are missing the answer is (None, None): no two runs are the same.

    >>> op_seeds(42, None, 17), op_seeds(None, 9, 17), op_seeds(0, 0, 17)
    ((42, 17), (87654321, 9), (0, 2147483647))
    """
    if graph_seed is None and op_seed is None:
        return None, None
    first = DEFAULT_GRAPH_SEED if graph_seed is None else index(graph_seed)
    second = last_id if op_seed is None else index(op_seed)
    seeds = first % LIMIT, second % LIMIT
    return (0, LIMIT) if seeds == (0, 0) else seeds
