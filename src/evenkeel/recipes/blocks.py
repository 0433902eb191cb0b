"""A linear operation, batch normalization and an activation, in the order that a variant asks for."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import nn

from evenkeel.conventions import Convention
from evenkeel.nn import BatchNorm, BatchNorm1d, BatchNorm2d
from evenkeel.recipes.initial import Initializer
from evenkeel.recipes.recipe import Variant

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
_LAYERS: dict[int, type[BatchNorm]] = {2: BatchNorm1d, 4: BatchNorm2d}


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Builds the blocks of one network, which share all but their sizes.

    A block is an ``nn.Sequential``. Its module "0" is the linear operation; "1" takes that one's
    output as far as the activation: batch normalization with the activation fused into it (placement
    "before"), else the activation alone, after which "2" may normalize (placement "after"). A bias
    stands wherever no batch normalization follows at once: there it would only be subtracted again.

    ``initial`` draws the weights of the linear operations, whose biases start at 0; ``meaning`` gives
    the convention of batch normalization for a rank.

    >>> from evenkeel.conventions import convention
    >>> from evenkeel.recipes.initial import glorot_uniform
    >>> blocks = Blocks(
    ...     variant=Variant(),
    ...     activation="relu",
    ...     initial=glorot_uniform,
    ...     meaning=lambda rank: convention("tf.layers", rank=rank),
    ... )
    >>> blocks.dense(784, 100)
    Sequential(
      (0): Linear(in_features=784, out_features=100, bias=False)
      (1): BatchNorm1d(100, eps=0.001, ..., activation='relu', running_var='biased')
    )
    """

    variant: Variant
    activation: str
    initial: Initializer
    meaning: Callable[[int], Convention]

    def dense(self, inputs: int, units: int) -> nn.Sequential:
        """A block around a fully connected layer."""
        return self._ordered(nn.Linear(inputs, units, self._biased), units, rank=2)

    def conv(
        self, inputs: int, filters: int, kernel: int, *, stride: int = 1, padding: int = 0
    ) -> nn.Sequential:
        """A block around a convolution."""
        layer = nn.Conv2d(inputs, filters, kernel, stride, padding, bias=self._biased)
        return self._ordered(layer, filters, rank=4)

    def convs(
        self, inputs: int, size: int, layers: Iterable[tuple[int, int, int]]
    ) -> "OrderedDict[str, nn.Module]":
        """Blocks conv1, conv2, … of (filters, kernel, stride), padded as TensorFlow pads "same".

        Where TensorFlow pads one more row below than above, which torch's convolution cannot, a
        module pad1, pad2, … goes before.
        """
        found: OrderedDict[str, nn.Module] = OrderedDict()
        for number, (filters, kernel, stride) in enumerate(layers, 1):
            first, last = same_padding(size, kernel, stride)
            if first != last:
                found[f"pad{number}"] = nn.ZeroPad2d((first, last, first, last))
            padding = first if first == last else 0
            found[f"conv{number}"] = self.conv(
                inputs, filters, kernel, stride=stride, padding=padding
            )
            inputs, size = filters, -(-size // stride)
        return found

    def linear(self, inputs: int, units: int) -> nn.Module:
        """A fully connected layer alone, with its bias: the logits."""
        return self._drawn(nn.Linear(inputs, units))

    def norm(self, channels: int, *, rank: int, activation: str | None = None) -> BatchNorm:
        """Batch normalization alone, as ``meaning`` says for the rank."""
        meaning = self.meaning(rank)
        layer = _LAYERS[rank](channels, activation=activation, **meaning.kwargs)
        if layer.weight is not None:
            nn.init.normal_(layer.weight, meaning.initial.weight, meaning.initial.weight_std)
        return layer

    @property
    def _biased(self) -> bool:
        return not (self.variant.batch_norm and self.variant.placement == "before")

    def _ordered(self, layer: nn.Module, channels: int, *, rank: int) -> nn.Sequential:
        self._drawn(layer)
        if not self._biased:
            return nn.Sequential(layer, self.norm(channels, rank=rank, activation=self.activation))
        active = _ACTIVATIONS[self.activation]()
        if not self.variant.batch_norm:
            return nn.Sequential(layer, active)
        return nn.Sequential(layer, active, self.norm(channels, rank=rank))

    def _drawn(self, layer: nn.Module) -> nn.Module:
        for name, parameter in layer.named_parameters():
            _ = nn.init.zeros_(parameter) if name == "bias" else self.initial(parameter)
        return layer


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Rows of zeros before and after for TensorFlow's padding "same".

    Math:    total = max(0, (⌈size / stride⌉ − 1) · stride + kernel − size), half of it first

    >>> same_padding(28, 3, 2), same_padding(28, 3, 1)
    ((0, 1), (1, 1))
    """
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2
