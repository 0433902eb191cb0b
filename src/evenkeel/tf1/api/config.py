"""What sessions are configured with: accepted and kept, since there is one device and one process."""

from typing import Any

__all__ = [
    "ConfigProto",
    "GPUOptions",
    "GraphOptions",
    "OptimizerOptions",
    "RunMetadata",
    "RunOptions",
]


class Options:
    """Named settings; one that was never set is a group of settings itself.

    >>> config = ConfigProto(allow_soft_placement=True)
    >>> config.gpu_options.allow_growth = True
    >>> config.allow_soft_placement, config.gpu_options.allow_growth
    (True, True)
    """

    NO_TRACE, SOFTWARE_TRACE, HARDWARE_TRACE, FULL_TRACE = 0, 1, 2, 3

    def __init__(self, **settings: Any) -> None:
        self.__dict__.update(settings)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.__dict__[name] = Options()
        return self.__dict__[name]


class ConfigProto(Options):
    """Settings of a session."""


class GPUOptions(Options):
    """Settings of GPUs."""


class GraphOptions(Options):
    """Settings of graphs."""


class OptimizerOptions(Options):
    """Settings of graph optimizers."""


class RunOptions(Options):
    """Settings of one run."""


class RunMetadata(Options):
    """What a run says of itself: nothing."""
