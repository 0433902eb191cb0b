"""Folded: what is left at the place of a batch-norm layer whose multiply-add went elsewhere."""

from typing import Any

from torch import Tensor, nn

from evenkeel.errors import BadShape
from evenkeel.kernels.activations import finish
from evenkeel.nn.tracing import is_traced, recorded
from evenkeel.views import check_like


class Folded(nn.Module):
    """The rest of a folded layer: its sum, its activation, and a look at the rank of its input.

    Math:    y = activation(x + residual)
    Shapes:  x of one of the ranks for which the layer's channels are the linear operation's; at
             others the layer normalized another axis, and nothing could be folded
    Dtypes:  y as x
    Raises:  BadShape for another rank

    ``fold`` makes it. ``mask`` and ``weights`` change nothing, as in the layer's inference.

    >>> Folded(activation="relu")(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def __init__(self, activation: str | None = None, ranks: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.activation, self.ranks = activation, ranks

    def forward(
        self,
        input: Tensor,
        *,
        residual: Tensor | None = None,
        mask: Any = None,
        weights: Any = None,
    ) -> Tensor:
        """Add ``residual`` and activate."""
        if is_traced(input):
            return recorded(self, input, residual=residual)
        if self.ranks and input.ndim not in self.ranks:
            raise BadShape(
                "this batch-norm layer was folded for input of another rank",
                got=f"x of shape {list(input.shape)}",
                do=f"give rank {' or '.join(map(str, self.ranks))}, or keep the model unfolded",
            )
        if residual is not None:
            check_like(residual, input, "residual")
            return finish(input + residual, None, self.activation)
        # In place where the activation can: nothing else reads what the linear operation gave.
        return finish(input, None, self.activation)

    def extra_repr(self) -> str:
        """What it does."""
        parts = {"activation": self.activation, "ranks": self.ranks}
        return ", ".join(f"{name}={value!r}" for name, value in parts.items() if value)
