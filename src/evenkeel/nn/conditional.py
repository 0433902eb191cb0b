"""ConditionalBatchNorm: scale and shift by each example's class, domain or style."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

import torch
from torch import Tensor, nn

from evenkeel.errors import BadOption
from evenkeel.kernels.activations import finish
from evenkeel.nn.batch_norm import BatchNorm
from evenkeel.nn.steps import without_learnt
from evenkeel.nn.tracing import is_traced, recorded
from evenkeel.views import check_like

Conditions = int | Tensor
_current: ContextVar[Conditions | None] = ContextVar("condition", default=None)


@contextmanager
def condition(conditions: Conditions) -> Iterator[None]:
    """Inside, every ConditionalBatchNorm scales and shifts for these conditions.

    Shapes:  one number for the whole batch, or a tensor [N] of one for each example

    Holds for this thread, and for what runs in its context; blocks nest, the innermost holds.

    >>> layer = ConditionalBatchNorm(BatchNorm(3), conditions=10)
    >>> with condition(torch.tensor([7, 1, 1, 0])):
    ...     layer(torch.randn(4, 3)).shape
    torch.Size([4, 3])
    """
    token = _current.set(conditions)
    try:
        yield
    finally:
        _current.reset(token)


class ConditionalBatchNorm(nn.Module):
    """Batch normalization whose weight and bias are looked up for each example.

    Math:    y = activation(weight[k] · (x − m) / √(v + eps) + bias[k] + residual), k the example's
             condition from the ``condition`` block around the call; m, v, and how the running
             statistics move, as in the layer: one population
    Shapes:  x as the layer's, [N, C, *] with the examples first; weight, bias [conditions, C]
    Dtypes:  y as x
    Raises:  as the layer; BadOption for a call outside of any ``condition`` block, for conditions that
             are not there, or not one for each example
    Source:  Dumoulin et al. 2017, arXiv:1610.07629; de Vries et al. 2017, arXiv:1707.00683

    Every row begins as weight and bias of ``layer``, of which ``norm`` keeps statistics and rule.

    >>> ConditionalBatchNorm(BatchNorm(3), conditions=10).weight.shape
    torch.Size([10, 3])
    """

    def __init__(self, layer: nn.Module, conditions: int) -> None:
        super().__init__()
        layer = _checked(layer, conditions)
        like = torch.ones(layer.spec.channels)
        for parameter in layer.parameters(recurse=False):
            like = torch.ones_like(parameter)
        self.given = tuple(n for n in ("weight", "bias") if layer._parameters.get(n) is not None)
        for name, value in (("weight", like), ("bias", torch.zeros_like(like))):
            start = layer._parameters.get(name)
            rows = (value if start is None else start).detach().repeat(conditions, 1)
            self.register_parameter(name, nn.Parameter(rows))
        self.activation = layer.spec.activation
        self.norm = _bare(layer)
        self.train(layer.training)

    weight: nn.Parameter
    bias: nn.Parameter
    activation: str | None

    def forward(
        self,
        input: Tensor,
        *,
        residual: Tensor | None = None,
        mask: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Normalize ``input``, then scale and shift each example for its condition."""
        if is_traced(input):
            return recorded(self, input, residual=residual, mask=mask, weights=weights)
        rows = self._rows(input)
        options = {"mask": mask, "weights": weights}
        y = self.norm(input, **{name: v for name, v in options.items() if v is not None})
        axis = self.norm.spec.axes(input.ndim)[0] if isinstance(self.norm, BatchNorm) else 1
        shape = [1] * input.ndim
        shape[0], shape[axis] = len(rows), self.weight.shape[1]
        weight, bias = self.weight[rows].view(shape), self.bias[rows].view(shape)
        y = torch.addcmul(bias, y, weight).to(input.dtype)
        if residual is not None:
            check_like(residual, y, "residual")
        return finish(y, residual, self.activation)

    def extra_repr(self) -> str:
        """The number of conditions, and what follows."""
        parts = [f"conditions={len(self.weight)}"]
        parts += [f"activation={self.activation!r}"] if self.activation else []
        return ", ".join(parts)

    def _rows(self, x: Tensor) -> Tensor:
        """The row of weight and bias for each example; one row for all of them."""
        chosen, count = _current.get(), len(self.weight)
        given = torch.as_tensor([] if chosen is None else chosen, device=self.weight.device)
        whole = not given.is_floating_point() and given.dtype != torch.bool
        if whole and given.shape in ((), x.shape[:1]) and given.numel():
            rows = given.reshape(-1).long()
            if torch.compiler.is_compiling() or bool(((rows >= 0) & (rows < count)).all()):
                return rows
        raise BadOption(
            "this layer has a scale and shift for each condition and was not told which to use",
            got="no condition"
            if chosen is None
            else f"conditions {chosen!r} for {len(x)} examples",
            do=f"call the model inside `with ek.condition(labels):`, labels [N] of 0 to {count - 1}",
        )


def _checked(layer: nn.Module, conditions: int) -> BatchNorm:
    if not isinstance(layer, BatchNorm) or len(layer.spec.channels) > 1:
        raise BadOption(
            "conditions are for one of evenkeel's batch-norm layers with one channel axis",
            got=repr(layer),
            do="give a BatchNorm2d, or ek.convert(model, to='conditional', conditions=10)",
        )
    if isinstance(conditions, bool) or not isinstance(conditions, int) or conditions < 1:
        raise BadOption("conditions counts rows", got=conditions, do="give 1 or more")
    return layer


def _bare(layer: BatchNorm) -> BatchNorm:
    """``layer`` over the same statistics, without scale, shift, activation and hooks."""
    bare = type(layer).__new__(type(layer))
    nn.Module.__init__(bare)
    own = without_learnt(vars(layer))
    vars(bare).update({name: value for name, value in own.items() if name not in vars(bare)})
    vars(bare).update(spec=replace(layer.spec, activation=None), affine=False)
    vars(bare)["_parameters"] = {"weight": None, "bias": None}
    vars(bare)["_buffers"] = dict(layer._buffers)
    return bare
