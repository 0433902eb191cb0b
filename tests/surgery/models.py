"""Small models: each with what convert does to its layers (f fused, r replaced, k kept) and says."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BN = nn.BatchNorm2d


class Basic(nn.Module):
    """A residual block with one activation module for both places."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, padding=1, bias=False), BN(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), BN(4)
        self.relu = nn.ReLU(inplace=True)

    def width(self) -> int:
        return self.conv1.out_channels

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x
        return self.relu(out)  # type: ignore[no-any-return]


class Two(nn.Module):
    """A layer and a second input."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = BN(3)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        return F.relu(self.bn(x) + other)


class ByList(nn.Module):
    """An activation that the forward reaches through a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.bn, self.act = BN(3), nn.Sigmoid()
        self.order = [self.bn, self.act]

    def forward(self, x: Tensor) -> Tensor:
        for part in self.order:
            x = part(x)
        return x


class Body(nn.Module):
    """A few parts and a forward of another's making."""

    a: nn.Module
    b: nn.Module
    c: nn.Module
    act: nn.Module
    block: nn.Module
    layers: nn.Sequential
    conv: nn.Conv2d
    scale: Tensor

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class Functional(Body):
    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.a(x))
        x = F.elu(self.b(x), 1.0)
        return self.c(x).tanh()  # type: ignore[no-any-return]


class OtherParameters(Body):
    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.a(x), 0.2)
        x = F.elu(self.b(x), alpha=2.0)
        return F.gelu(self.c(x), approximate="tanh")


class Forms(Body):
    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(torch.add(x, self.a(x)))
        x = F.relu(self.b(x).add_(x))
        y: Tensor = self.c(x) + x
        return y.sigmoid()


class NoForms(Body):
    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(torch.add(x, self.a(x), alpha=2))
        y = x * 1
        y += self.b(x)
        y = F.relu(y)
        z = self.c(y)
        return F.relu(z + z)


class BothNorms(Body):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.a(x) + self.b(x))


class TwoConsumers(Body):
    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        x = F.relu(y) + y
        s = self.b(x) + x
        t: Tensor = F.relu(s) * s
        return t


class Twice(Body):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.a(F.relu(self.a(x))))


class Mode(Body):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.a(x))
        x = self.act(self.b(x))
        return F.dropout(x, 0.5, self.training)


class OnlyInTraining(Body):
    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        return self.act(x) if self.training else x


class DataFlow(Body):
    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        if x.sum() > 0:
            return F.relu(self.a(x))
        return -F.relu(self.a(x))


class Optional(Body):
    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        x = self.a(x)
        return F.relu(x if skip is None else x + skip)


class Asks(Body):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.a(x))
        return x if isinstance(x, Tensor) else x + 1


class NoGrad(Body):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = F.relu(self.a(x))
        return x + y


class Random(Body):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.a(x)) * torch.rand(1)


class Taps(Body):
    def forward(self, x: Tensor) -> Tensor:
        total = x * 0
        for layer in self.layers:
            x = layer(x)
            total = total + x
        return total


class HiddenTaps(Body):
    def forward(self, x: Tensor) -> Tensor:
        total = None
        for layer in self.layers:
            x = layer(x)
            total = x if total is None else total + x
        assert total is not None
        return total


class WrittenAfter(Body):
    def forward(self, x: Tensor) -> Tensor:
        y = F.silu(self.a(x))
        y += 1
        return y


class Wrapped(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.a(padded(x, self.conv)))  # type: ignore[no-any-return]


class Handed(Body):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.a(x))
        return applied(x, self.a)


class ReadsBuffer(Body):
    def __init__(self, **parts: nn.Module) -> None:
        super().__init__(**parts)
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.a(x)) * self.scale


class WritesBuffer(ReadsBuffer):
    def forward(self, x: Tensor) -> Tensor:
        self.scale.add_(1)
        return F.relu(self.a(x))


class WritesInput(Body):
    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        z = x.relu_()
        return F.relu(y + z)


class Counts(Body):
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return F.relu(self.a(x))


class Own(nn.BatchNorm2d):
    """Somebody else's layer."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + 1


def padded(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """A function that does not trace."""
    rest = int(x.shape[-1]) % conv.kernel_size[0]
    return F.pad(x, (0, rest, 0, rest))


def applied(x: Tensor, layer: nn.Module) -> Tensor:
    """A function that calls a layer."""
    y: Tensor = layer(x)
    return y


def parametrized() -> nn.Module:
    model = nn.Sequential(BN(3), nn.ReLU())
    nn.utils.parametrize.register_parametrization(model[0], "weight", nn.Softplus(), unsafe=True)
    return model


def shared() -> nn.Module:
    layer, act = BN(3), nn.Tanh()
    return nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), BN(3), act, BN(3), act)


def hooked(place: int) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        model = nn.Sequential(BN(3), nn.Sigmoid(), BN(3), nn.ReLU())
        model[place].register_forward_hook(lambda m, a, y: y * 2)
        return model

    return build


@dataclass(frozen=True)
class Case:
    """A model, what becomes of its layers in order, and what the report says."""

    name: str
    build: Callable[[], nn.Module]
    kinds: str
    says: tuple[str, ...] = ()
    channels: int = 3
    shape: tuple[int, ...] = (6, 6)
    pickles: bool = True

    def input(self) -> Tensor:
        generator = torch.Generator().manual_seed(2)
        return torch.randn(4, self.channels, *self.shape, generator=generator) * 2 + 1


def norms(count: int = 1) -> dict[str, nn.Module]:
    return {name: BN(3) for name in "abc"[:count]}


ACTS = (nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(), nn.ELU(), nn.SiLU(), nn.Hardswish(), nn.Sigmoid())
CASES = (
    Case(
        "sequential",
        lambda: nn.Sequential(*(p for act in ACTS for p in (BN(3), act)), BN(3), nn.GELU()),
        "f" * 8,
        ("1 became Identity", "BatchNorm2d(activation='gelu')"),
    ),
    Case("alone", lambda: nn.Sequential(nn.Conv2d(3, 3, 1), BN(3)), "r", ("no activation",)),
    Case("one layer", lambda: BN(3), "r", ("(the model)",)),
    Case(
        "other ranks",
        lambda: nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.Flatten(), nn.BatchNorm1d(18)),
        "fr",
        shape=(6,),
    ),
    Case(
        "nested",
        lambda: nn.Sequential(nn.Sequential(nn.Sequential(BN(3)), nn.Identity()), nn.ReLU()),
        "f",
    ),
    Case("residual block", Basic, "ff", ("+ residual", "written anew"), channels=4),
    Case("blocks", lambda: nn.Sequential(Basic(), Basic()), "ffff", channels=4),
    Case("functional", lambda: Functional(**norms(3)), "fff", ("written anew",)),
    Case(
        "other parameters",
        lambda: OtherParameters(**norms(3)),
        "rrr",
        ("negative_slope=0.2; ours has 0.01", "alpha=2.0", "approximate=tanh"),
    ),
    Case(
        "modules with other parameters",
        lambda: nn.Sequential(
            BN(3), nn.LeakyReLU(0.3), BN(3), nn.GELU("tanh"), BN(3), nn.Softplus()
        ),
        "rrr",
        ("negative_slope=0.3", "Softplus 5"),
    ),
    Case("forms of a sum", lambda: Forms(**norms(3)), "fff"),
    Case(
        "no plain sums",
        lambda: NoForms(**norms(3)),
        "rrr",
        ("no plain sum", "in place into another"),
    ),
    Case("both summands", lambda: BothNorms(**norms(2)), "fr", ("a takes this sum",)),
    Case("two consumers", lambda: TwoConsumers(**norms(2)), "rr", ("2 consumers: relu, add",)),
    Case("called twice", lambda: Twice(**norms()), "r", ("calls it 2 times",)),
    Case("shared", shared, "rff", ("stands at 0 and 2",)),
    Case("hooked layer", hooked(0), "rf", ("it carries hooks",), pickles=False),
    Case("hooked activation", hooked(1), "rf", ("activation 1 carries hooks",), pickles=False),
    Case(
        "by mode",
        lambda: Mode(**norms(2), act=nn.ReLU()),
        "rf",
        ("depends on the mode (self.training)",),
    ),
    Case("only in training", lambda: OnlyInTraining(**norms(), act=nn.ReLU()), "r", ("mode",)),
    Case(
        "data flow",
        lambda: DataFlow(**norms(), block=nn.Sequential(BN(3), nn.ReLU())),
        "rf",
        ("does not trace",),
    ),
    Case("optional input", lambda: Optional(**norms()), "r", ("optional arguments",)),
    Case("asks for a type", lambda: Asks(**norms()), "r", ("calls isinstance",)),
    Case("a context", lambda: NoGrad(**norms()), "r", ("enters a context",)),
    Case("random numbers", lambda: Random(**norms()), "r", ("draws random numbers",)),
    Case(
        "taps",
        lambda: Taps(layers=nn.Sequential(BN(3), nn.Sigmoid())),
        "r",
        ("another way",),
    ),
    Case(
        "taps in a forward that is not read",
        lambda: HiddenTaps(layers=nn.Sequential(BN(3), nn.Sigmoid())),
        "r",
        ("may call its parts singly",),
    ),
    Case("written after", lambda: WrittenAfter(**norms()), "r", ("writes into",)),
    Case(
        "a function that does not trace",
        lambda: Wrapped(**norms(), conv=nn.Conv2d(3, 3, 4), act=nn.ReLU()),
        "f",
    ),
    Case("handed to a function", lambda: Handed(**norms()), "r", ("2 times",)),
    Case("reads a buffer", lambda: ReadsBuffer(**norms()), "f"),
    Case("writes to a buffer", lambda: WritesBuffer(**norms()), "f"),
    Case("writes to itself", lambda: Counts(**norms()), "r", ("writes to self.calls",)),
    Case("somebody's class", lambda: nn.Sequential(Own(3), nn.ReLU()), "k", ("class of its own",)),
    Case("parametrized", parametrized, "k", ("parametrized",), pickles=False),
    Case("strange momentum", lambda: nn.Sequential(BN(3, momentum=1.5)), "k", ("momentum",)),
    Case(
        "no statistics, no parameters, plain average",
        lambda: nn.Sequential(
            BN(3, track_running_stats=False),
            nn.ReLU(),
            BN(3, affine=False, momentum=None),
            nn.ReLU(),
        ),
        "ff",
    ),
)
