"""``tf.data.Options``: what TensorFlow's optimizer of pipelines may do."""

from dataclasses import dataclass, field
from typing import Any


class _Named:
    """Settings of fixed names, as TensorFlow's."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in type(self).__dataclass_fields__:  # type: ignore[attr-defined]  # a dataclass
            raise AttributeError(f"Cannot set the property {name} on {type(self).__name__}.")
        super().__setattr__(name, value)


@dataclass
class OptimizationOptions(_Named):
    """Which rewrites are allowed. Only ``shuffle_and_repeat_fusion`` changes an order.

    Everything else is a hint about speed, kept and without meaning here.
    """

    apply_default_optimizations: bool | None = None
    autotune: bool | None = None
    autotune_buffers: bool | None = None
    autotune_cpu_budget: int | None = None
    filter_fusion: bool | None = None
    hoist_random_uniform: bool | None = None
    map_and_batch_fusion: bool | None = None
    map_and_filter_fusion: bool | None = None
    map_fusion: bool | None = None
    map_parallelization: bool | None = None
    map_vectorization: Any = None
    noop_elimination: bool | None = None
    parallel_batch: bool | None = None
    shuffle_and_repeat_fusion: bool | None = None


@dataclass
class ThreadingOptions(_Named):
    """How many threads: hints, without meaning here."""

    max_intra_op_parallelism: int | None = None
    private_threadpool_size: int | None = None


@dataclass
class Options(_Named):
    """Options of a dataset, for ``Dataset.with_options``.

    >>> options = Options()
    >>> options.experimental_optimization.apply_default_optimizations = False
    >>> options.fuses
    False
    """

    experimental_deterministic: bool | None = None
    experimental_optimization: OptimizationOptions = field(default_factory=OptimizationOptions)
    experimental_threading: ThreadingOptions = field(default_factory=ThreadingOptions)
    experimental_distribute: Any = None
    experimental_slack: bool | None = None
    experimental_stats: Any = None
    experimental_stateful_whitelist: Any = None

    @property
    def fuses(self) -> bool:
        """Whether ``shuffle`` and the ``repeat`` after it are one operation."""
        asked = self.experimental_optimization
        chosen = asked.shuffle_and_repeat_fusion
        return asked.apply_default_optimizations is not False if chosen is None else chosen

    @property
    def autotunes(self) -> bool:
        """Whether TensorFlow would tune the pipeline while it runs (a node of the graph)."""
        return self.experimental_optimization.autotune is not False
