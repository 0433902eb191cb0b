"""Where folding goes wrong elsewhere: torch's own fusers on each trap, and ours, which is right."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import fusion

from evenkeel.errors import BadShape
from evenkeel.surgery import fold, report_of
from oracles.compare import max_error
from surgery import models
from surgery.same import scrambled

BN = nn.BatchNorm2d
X = torch.randn(2, 4, 7, 7, generator=torch.Generator().manual_seed(6)) + 1


class Reused(models.Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.relu(self.a(self.conv(x))))  # type: ignore[no-any-return]


class TwoConsumers(models.Body):
    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.a(x) + x  # type: ignore[no-any-return]


class Pair(models.Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(self.conv(x))  # type: ignore[no-any-return]


class Rows(models.Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(self.conv(x.flatten(1)))  # type: ignore[no-any-return]


class Tokens(models.Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(self.conv(x[:, :, 0, :4]))  # type: ignore[no-any-return]


def conv(**options: Any) -> nn.Conv2d:
    return nn.Conv2d(4, 4, 3, padding=1, **options)


# Trap: network, what ours does (f folded, z one multiply-add, k kept), what torch's two do: "right",
# "wrong", "raises" or "left" (not fused). The first is torch.fx.experimental.optimization.fuse, the
# second torch.nn.utils.fusion on the pair, which is also what torch.ao.quantization.fuse_modules calls.
TRAPS: dict[str, tuple[Callable[[], nn.Module], str, str, str]] = {
    "plain pair": (lambda: Pair(conv=conv(), a=BN(4)), "f", "right", "right"),
    "reused convolution": (lambda: Reused(conv=conv(), a=BN(4)), "z", "wrong", "wrong"),
    "two consumers": (lambda: TwoConsumers(conv=conv(), a=BN(4)), "z", "left", "wrong"),
    "linear, affine=False": (
        lambda: Rows(conv=nn.Linear(196, 5), a=nn.BatchNorm1d(5, affine=False)),
        "f",
        "raises",
        "raises",
    ),
    "linear, another axis": (
        lambda: Tokens(conv=nn.Linear(4, 4), a=nn.BatchNorm1d(4)),
        "r",
        "wrong",
        "wrong",
    ),
    "grouped transposed": (
        lambda: Pair(conv=nn.ConvTranspose2d(4, 6, 3, groups=2), a=BN(6)),
        "f",
        "left",
        "raises",
    ),
    "transposed": (lambda: Pair(conv=nn.ConvTranspose2d(4, 6, 3), a=BN(6)), "f", "left", "right"),
    "no running statistics": (
        lambda: Pair(conv=conv(), a=BN(4, track_running_stats=False)),
        "k",
        "left",
        "raises",
    ),
    "momentum None": (lambda: Pair(conv=conv(), a=BN(4, momentum=None)), "f", "right", "right"),
    "bf16": (lambda: Pair(conv=conv(), a=BN(4)).bfloat16(), "f", "right", "right"),
}


def outcome(make: Callable[[], nn.Module], exact: Tensor, own: float, x: Tensor) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = make()
            if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in made.modules()):
                return "left"
            error = max_error(made(x), exact, dtype=x.dtype)
    except (TypeError, RuntimeError, ValueError, AssertionError, AttributeError):
        return "raises"
    return "right" if error <= 3 * own + 1e-6 else "wrong"


def by_fx(model: nn.Module) -> nn.Module:
    from torch.fx.experimental import optimization

    return optimization.fuse(model)


def by_pair(model: Any) -> nn.Module:
    model = copy.deepcopy(model)
    if isinstance(model.conv, nn.Linear):
        model.conv = fusion.fuse_linear_bn_eval(model.conv, model.a)
    else:
        transpose = isinstance(model.conv, nn.ConvTranspose2d)
        model.conv = fusion.fuse_conv_bn_eval(model.conv, model.a, transpose)
    model.a = nn.Identity()
    return model  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap(name: str) -> None:
    build, mine, fx, paired = TRAPS[name]
    torch.manual_seed(0)
    model = scrambled(build()).eval()
    x = X.to(next(model.parameters()).dtype)
    exact = copy.deepcopy(model).double()(x.double()).detach()
    own = max_error(model(x), exact, dtype=x.dtype)
    folded = fold(model)
    if mine == "r":  # folded for another rank, and says so
        with pytest.raises(BadShape, match="another rank"):
            folded(x)
    else:
        assert report_of(folded).sites[0].kind == {"f": "folded", "z": "frozen", "k": "kept"}[mine]
        assert max_error(folded(x), exact, dtype=x.dtype) <= 3 * own
    if torch.__version__.startswith("2.13."):  # what the table was made with
        assert outcome(lambda: by_fx(model), exact, own, x) == fx
        assert outcome(lambda: by_pair(model), exact, own, x) == paired


def test_bfloat16_weights_are_rounded_once_and_torchs_twice() -> None:
    torch.manual_seed(0)
    model: Any = scrambled(Pair(conv=conv(), a=BN(4)).bfloat16()).eval()
    wide = copy.deepcopy(model).double()
    scale = wide.a.weight / (wide.a.running_var + wide.a.eps).sqrt()
    exact = (wide.conv.weight * scale.view(-1, 1, 1, 1)).bfloat16()
    ours: Any = fold(model)
    theirs: Any = by_pair(model)
    assert torch.equal(ours.conv.weight, exact)
    assert int((theirs.conv.weight != exact).sum()) > 0
