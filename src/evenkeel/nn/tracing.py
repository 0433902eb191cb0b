"""How a layer stands in a torch.fx graph: as one call of the layer itself."""

from torch import Tensor, nn
from torch.fx import Proxy

from evenkeel.errors import BadOption


def is_traced(x: Tensor) -> bool:
    """Whether torch.fx is recording and ``x`` stands for a tensor to come."""
    return isinstance(x, Proxy)


def recorded(layer: nn.Module, x: Tensor, **others: Tensor | None) -> Tensor:
    """The call of ``layer`` as a node of the graph that is being recorded.

    A graph of the operators inside would keep the mode that the layer had then, whatever ``train()``
    and ``eval()`` say later. torch's tracer stops at torch's own layers for that reason, and at
    nobody else's.

    Raises:  BadOption when the layer alone is being traced: a graph cannot call itself

    >>> layer = nn.BatchNorm2d(3)
    >>> torch.fx.symbolic_trace(nn.Sequential(layer)).get_submodule("0") is layer
    True
    """
    tracer = x.tracer  # type: ignore[attr-defined]  # is_traced said it is a Proxy
    path = tracer.path_of_module(layer)
    if not path:
        raise BadOption(
            "torch.fx cannot trace a batch-norm layer by itself",
            got=f"symbolic_trace({type(layer).__name__})",
            do="trace the model that holds it, or torch.nn.Sequential(layer)",
        )
    given = {name: value for name, value in others.items() if value is not None}
    node: Tensor = tracer.create_proxy("call_module", path, (x,), given)
    return node
