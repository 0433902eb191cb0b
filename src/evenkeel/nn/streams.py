"""StreamBatchNorm: several populations, each with running statistics of its own."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from torch import Tensor, nn

from evenkeel.errors import BadOption
from evenkeel.nn.batch_norm import BatchNorm
from evenkeel.nn.tracing import is_traced, recorded

_current: ContextVar[int | None] = ContextVar("stream", default=None)


@contextmanager
def stream(index: int) -> Iterator[None]:
    """Inside, every StreamBatchNorm uses its layer for the population ``index``.

    Holds for this thread, and for what runs in its context; blocks nest, the innermost holds.

    >>> layer = StreamBatchNorm(BatchNorm(3), streams=2)
    >>> with stream(1):
    ...     _ = layer(torch.randn(8, 3))
    >>> [int(part.num_batches_tracked) for part in layer.streams]
    [0, 1]
    """
    token = _current.set(index)
    try:
        yield
    finally:
        _current.reset(token)


class StreamBatchNorm(nn.Module):
    """One batch-norm layer for each of several populations: real and fake images, domains, views.

    Math:    that of the layer ``streams[index]``, with ``index`` from the ``stream`` block around the
             call. Weight and bias are shared by all; with ``own_affine`` each has its own
    Shapes:  as the layer's
    Dtypes:  as the layer's
    Raises:  as the layer; BadOption for a call outside of any ``stream`` block, or for a population
             that is not there
    Source:  Xie et al. 2020, arXiv:1911.09665 (auxiliary batch norm); Chang et al. 2019,
             arXiv:1906.03950 (domain-specific batch norm: ``own_affine``)

    The first is ``layer`` itself, the others begin as its copies. Each is a plain layer, so that
    ``recalibrate``, ``freeze`` and a state_dict treat every population for itself.

    >>> layer = StreamBatchNorm(BatchNorm(3), streams=2)
    >>> layer.streams[0].weight is layer.streams[1].weight
    True
    """

    def __init__(self, layer: nn.Module, streams: int, *, own_affine: bool = False) -> None:
        super().__init__()
        if not isinstance(layer, BatchNorm):
            raise BadOption(
                "streams are made of one of evenkeel's batch-norm layers",
                got=type(layer).__name__,
                do="give a BatchNorm2d, or ek.convert(model, to='streams', streams=2)",
            )
        if isinstance(streams, bool) or not isinstance(streams, int) or streams < 1:
            raise BadOption("streams counts populations", got=streams, do="give 1 or more")
        others = [copy.deepcopy(layer) for _ in range(streams - 1)]
        self.streams = nn.ModuleList([layer, *others])
        self.own_affine = own_affine
        if not own_affine:
            for other in others:
                other.weight, other.bias = layer.weight, layer.bias
        self.train(layer.training)

    def forward(self, input: Tensor, **options: Tensor | None) -> Tensor:
        """Normalize by the layer of the current population; ``options`` as that layer takes them."""
        if is_traced(input):
            return recorded(self, input, **options)
        return cast(Tensor, self.streams[self.index](input, **options))

    @property
    def index(self) -> int:
        """The current population."""
        chosen = _current.get()
        if type(chosen) is int and 0 <= chosen < len(self.streams):
            return chosen
        raise BadOption(
            "this layer keeps several populations apart and was not told which this is",
            got="no stream" if chosen is None else f"stream {chosen!r} of {len(self.streams)}",
            do=f"call the model inside `with ek.stream(k):`, k from 0 to {len(self.streams) - 1}",
        )

    def extra_repr(self) -> str:
        """Whether weight and bias are shared."""
        return f"own_affine={self.own_affine}"

    def __dir__(self) -> list[str]:
        """Without what has no answer outside of a ``stream`` block; torch.jit.trace asks for all."""
        names: Any = super().__dir__()  # type: ignore[no-untyped-call]
        return [name for name in names if name != "index"]
