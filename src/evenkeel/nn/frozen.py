"""FrozenBatchNorm: running statistics that no call to ``train()`` can thaw, and the way back."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from evenkeel.errors import BadOption, Misread, NoStatistics
from evenkeel.nn.batch_norm import BatchNorm
from evenkeel.nn.running import keep_exact
from evenkeel.nn.spec import DEFAULT_EPS, Spec
from evenkeel.nn.steps import infer, without_learnt
from evenkeel.nn.tracing import is_traced, recorded
from evenkeel.views import Axes


class FrozenBatchNorm(nn.Module):
    """Normalization by fixed statistics, in training mode as in inference mode.

    Math:    y = activation(weight · (x − running_mean) / √(running_var + eps) + bias + residual)
    Shapes:  as ``BatchNorm``; gradients reach x, and weight and bias where they require one
    Raises:  as ``BatchNorm``
    Source:  He et al. 2016 fine-tuning practice; detectron2's FrozenBatchNorm2d, which loses momentum
             and counters on the way back

    It is no subclass of torch's batch norm: tools that look for those (``convert_sync_batchnorm``,
    ``update_bn``) leave it alone, which is what frozen means. ``freeze`` makes one from any
    batch-norm layer and ``unfreeze`` gives that layer back: class, hyperparameters, hooks, flags and
    counters as they were, over the same parameters and buffers.

    >>> layer = BatchNorm(2, momentum=0.01)
    >>> frozen = FrozenBatchNorm.freeze(layer).train()
    >>> _ = frozen(torch.randn(8, 2))
    >>> frozen.unfreeze()
    BatchNorm(2, eps=1e-05, momentum=0.01, affine=True, track_running_stats=True)
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        num_features: int | tuple[int, ...],
        eps: float = DEFAULT_EPS,
        *,
        channel_axis: Axes = 1,
        activation: str | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        layer = BatchNorm(
            num_features,
            eps,
            channel_axis=channel_axis,
            activation=activation,
            device=device,
            dtype=dtype,
        )
        self._adopt(layer, layer.spec)

    @classmethod
    def freeze(cls, layer: nn.Module, *, train_affine: bool = False) -> "FrozenBatchNorm":
        """A frozen layer over the parameters and buffers of ``layer``, which it replaces.

        ``train_affine`` leaves weight and bias trainable; otherwise they stop requiring gradients
        until ``unfreeze``.
        Raises:  BadOption for a layer that is no batch norm, or has a forward of its own;
                 NoStatistics for one without running statistics
        """
        frozen = cls.__new__(cls)
        nn.Module.__init__(frozen)
        frozen._adopt(layer, _spec_of(layer))
        frozen._origin = (type(layer), _settings(layer))
        frozen._required = {n: p.requires_grad for n, p in layer.named_parameters(recurse=False)}
        for parameter in frozen.parameters(recurse=False):
            parameter.requires_grad_(train_affine and parameter.requires_grad)
        return frozen

    def unfreeze(self) -> nn.Module:
        """The layer that ``freeze`` was given, over this layer's parameters and buffers.

        Raises:  BadOption when this layer was built frozen and there is no layer to go back to
        """
        if self._origin is None:
            raise BadOption(
                "this layer was built frozen",
                got=repr(self),
                do="build a BatchNorm2d and load this layer's state_dict into it",
            )
        kind, settings = self._origin
        layer = kind.__new__(kind)
        layer.__dict__.update(settings)
        layer._parameters, layer._buffers = dict(self._parameters), dict(self._buffers)
        for name, required in self._required.items():
            getattr(layer, name).requires_grad_(required)
        return layer.train(self.training)

    def forward(
        self,
        input: Tensor,
        *,
        residual: Tensor | None = None,
        mask: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Normalize ``input`` by the fixed statistics, whatever the mode.

        ``mask`` and ``weights`` stand here for calls written for the layer that was frozen; they
        change nothing, as in its inference.
        """
        if is_traced(input):
            return recorded(self, input, residual=residual, mask=mask, weights=weights)
        vectors = self.running_mean, self.running_var, self.weight, self.bias
        return infer(self.spec, input, *vectors, residual, self.__dict__)

    @property
    def eps(self) -> float:
        """The number added to the variance."""
        if not self.spec.torch_inference:
            raise Misread(
                "a tool that knows only torch's class is reading this FrozenBatchNorm",
                got=f"eps of {self!r}",
                do=f"read layer.spec where you handle {self.spec.options()}",
            )
        return self.spec.eps

    def extra_repr(self) -> str:
        """Channels, eps, and what differs from torch."""
        channels = self.spec.channels[0] if len(self.spec.channels) == 1 else self.spec.channels
        return ", ".join(filter(None, [f"{channels}, eps={self.spec.eps}", self.spec.options()]))

    def __dir__(self) -> list[str]:
        """The names that can be read: torch.jit.trace asks for every one of them."""
        names: Iterable[str] = super().__dir__()  # type: ignore[no-untyped-call]
        return [name for name in names if name != "eps" or self.spec.torch_inference]

    def __getstate__(self) -> dict[str, Any]:
        """The layer without what it learnt about its last input."""
        return without_learnt(self.__dict__)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        before = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        keep_exact(self._buffers, before, self.spec.running)
        return self

    def _adopt(self, layer: nn.Module, spec: Spec) -> None:
        self.spec = replace(spec, kind=type(self).__name__)
        self._parameters, self._buffers = dict(layer._parameters), dict(layer._buffers)
        self._non_persistent_buffers_set = set(layer._non_persistent_buffers_set)
        self.training = layer.training
        self._origin: tuple[type[nn.Module], dict[str, Any]] | None = None
        self._required: dict[str, bool] = {}


def _spec_of(layer: nn.Module) -> Spec:
    if not isinstance(layer, nn.modules.batchnorm._BatchNorm):
        raise BadOption(
            "only batch-norm layers can be frozen",
            got=type(layer).__name__,
            do="freeze a BatchNorm2d",
        )
    if not type(layer).forward.__module__.startswith(("torch.nn.", "evenkeel.nn.")):
        raise BadOption(
            "a layer with a forward of its own cannot be frozen: what it does there would be lost",
            got=f"{type(layer).__name__}, a subclass of torch's batch norm",
            do="freeze a plain layer, for example BatchNorm2d(…, activation=…)",
        )
    if layer.running_mean is None or layer.running_var is None:
        raise NoStatistics(
            "a layer without running statistics cannot be frozen",
            got=f"{type(layer).__name__} with track_running_stats=False",
            do="train it with track_running_stats=True first",
        )
    if isinstance(layer, BatchNorm):
        return layer.spec
    return Spec(type(layer).__name__, tuple(layer.running_mean.shape), layer.eps)


def _settings(layer: nn.Module) -> dict[str, Any]:
    """All of a module's attributes but its tensors and its mode."""
    left_out = ("_parameters", "_buffers", "training", "_past")
    own = without_learnt(vars(layer))
    return {name: value for name, value in own.items() if name not in left_out}
