"""Functional calls and parameters: folded as modules are, or left with a reason."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenkeel.surgery import fold, report_of
from oracles.compare import assert_close

X = torch.randn(3, 4, 7, 7, generator=torch.Generator().manual_seed(8)) + 1


class Holder(nn.Module):
    """Tensors for the forwards below."""

    w: nn.Parameter
    g: nn.Parameter
    b: nn.Parameter
    m: Tensor
    v: Tensor
    back: nn.Parameter
    back_bias: nn.Parameter
    rows: nn.Parameter
    rows_mean: Tensor
    rows_var: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        shapes = {"w": (6, 4, 3, 3), "g": (6,), "b": (6,), "back": (6, 5, 3, 3), "back_bias": (10,)}
        for name, shape in {**shapes, "rows": (3, 10)}.items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape)))
        for name, count in (("m", 6), ("v", 6), ("rows_mean", 3), ("rows_var", 3)):
            self.register_buffer(name, torch.rand(count) + 0.5)
        self.bn, self.conv = nn.BatchNorm2d(10), nn.Conv2d(4, 6, 1)
        nn.init.uniform_(self.bn.running_var, 0.5, 2)  # type: ignore[arg-type]
        self.eval()


class All(Holder):
    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.w, None, 1, padding=1)
        x = F.batch_norm(x, self.m, self.v, self.g, self.b, self.training, 0.1, 1e-3).relu()
        x = self.bn(F.conv_transpose2d(x, self.back, self.back_bias, 2, groups=2))
        x = F.dropout(x, 0.5, self.training)
        x = F.linear(x.mean((2, 3)), self.rows)
        return F.batch_norm(x, self.rows_mean, self.rows_var, eps=1e-2)


class AfterModule(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(self.conv(x), self.m, self.v, training=False)


class Twice(Holder):
    def forward(self, x: Tensor) -> Tensor:
        y = F.batch_norm(F.conv2d(x, self.w), self.m, self.v)
        return y * F.conv2d(x, self.w)


class Consumers(Holder):
    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.w)
        return F.batch_norm(x, self.m, self.v, self.g) + x


class ByBatch(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(F.conv2d(x, self.w), None, None, self.g, self.b, True)


class Closed(Holder):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            x = x + 1
        return F.batch_norm(self.conv(x), self.m, self.v)


class Made(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(F.conv2d(x, self.w * 2), self.m, self.v)


class Plain(Holder):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(self.conv(x), self.w[:, :, :1, :1].repeat(1, 2, 1, 1)[:, :6])


CASES: dict[type[Holder], tuple[list[str], str]] = {
    All: (["folded", "folded", "folded"], ""),
    AfterModule: (["folded"], "Conv2d conv"),
    Twice: (["folded"], "Conv2d conv2d"),
    Consumers: (["frozen"], "2 consumers"),
    ByBatch: (["kept"], "statistics of the batch"),
    Closed: (["kept"], "does not trace"),
    Made: (["frozen"], "stands after conv2d, which is no linear operation to fold into"),
}


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("probed", [False, True])
def test_it_is_folded_or_says_why_not(kind: type[Holder], probed: bool) -> None:
    kinds, says = CASES[kind]
    model = kind()
    before = copy.deepcopy(model.state_dict())
    folded = fold(model, X if probed else None)
    report = report_of(folded)
    functional = [site.kind for site in report.sites if site.path != "bn" or kind is All]
    assert functional == kinds, str(report)
    assert says in str(report)
    exact = copy.deepcopy(model).double()(X.double())
    assert_close(folded(X).double(), exact, 2e-6, "y")
    assert list(before) == list(model.state_dict())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_nothing_reads_any_more_is_gone_and_the_rest_stays() -> None:
    folded = fold(All())
    assert {name.split(".")[0] for name in folded.state_dict()} == {
        *("conv", "conv2d", "conv_transpose2d", "linear"),
    }
    assert "w" in Twice().state_dict()


def test_a_folded_forward_is_pickled_and_saved() -> None:
    folded = fold(All())
    again = pickle.loads(pickle.dumps(folded))
    assert torch.equal(again(X), folded(X))
    other: Any = fold(All())
    other.load_state_dict(folded.state_dict())
    assert torch.equal(other(X), folded(X))


def test_nothing_to_normalize_is_left_as_it_is() -> None:
    model = Plain()
    folded = fold(model)
    assert type(folded) is Plain
    assert list(folded.state_dict()) == list(model.state_dict())


def test_an_error_after_lifting_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from evenkeel.surgery import folding

    def fails(*_: object) -> object:
        raise KeyboardInterrupt

    model = All()
    before, parts = dict(vars(model)), list(model.named_modules())
    names = list(model.state_dict())
    monkeypatch.setattr(folding, "then_affine", fails)
    with pytest.raises(KeyboardInterrupt):
        fold(model, inplace=True)
    assert type(model) is All
    assert list(model.state_dict()) == names
    assert vars(model) == before
    assert list(model.named_modules()) == parts
