"""fold: what goes where and why not; the folded model computes what the model does in inference."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.nn import functional as F

from evenkeel.errors import BadOption, BadShape, OutputsDiffer
from evenkeel.nn import BatchNorm, BatchNorm1d, BatchNorm2d, BatchRenorm, FrozenBatchNorm
from evenkeel.recipes import RECIPES
from evenkeel.recipes.recipe import Variant
from evenkeel.surgery import convert, fold, report_of
from evenkeel.surgery.folded import Folded
from oracles.compare import assert_close, max_error
from surgery import models
from surgery.models import applied, padded
from surgery.same import scrambled
from surgery.test_networks import NETWORKS

BN = nn.BatchNorm2d


class TwoConsumers(models.Body):
    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.a(x) + x  # type: ignore[no-any-return]


class ConvTwice(models.Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.relu(self.a(self.conv(x))))  # type: ignore[no-any-return]


class AsksWeight(models.Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(self.conv(x)) * self.conv.weight.sum()  # type: ignore[no-any-return]


class Optional(models.Body):
    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        return self.a(self.conv(x))  # type: ignore[no-any-return]


class OptionalTwo(models.Body):
    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        x = self.conv(x)
        return self.a(x) + x  # type: ignore[no-any-return]


class OptionalNorms(models.Body):
    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        x = self.conv(x)
        return self.a(x) + self.b(x)  # type: ignore[no-any-return]


class OptionalTwice(models.Body):
    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        return self.a(self.conv(self.conv(x)))  # type: ignore[no-any-return]


class OptionalAsks(models.Body):
    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        x = self.conv(x)
        return self.a(x) * x.shape[0] * x.size(1) / x.dim()  # type: ignore[no-any-return]


class OptionalOut(models.Body):
    def forward(self, x: Tensor, other: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self.conv(x)
        return self.a(x), x


class HandedToFunction(models.Body):
    def forward(self, x: Tensor) -> Tensor:
        return applied(self.a(self.conv(x)), self.conv)


class AskedForSizes(models.Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.a(self.conv(padded(x, self.conv)))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Case:
    """A model, the kinds of its layers in order (f folded, z frozen, k kept), what the report says."""

    name: str
    build: Callable[[], nn.Module]
    kinds: str
    shape: tuple[int, ...]
    says: tuple[str, ...] = ()
    traces: bool = True


def seq(*parts: nn.Module) -> Callable[[], nn.Module]:
    return lambda: copy.deepcopy(nn.Sequential(*parts))


def hooked() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), BN(4), nn.Conv2d(4, 4, 1), BN(4))
    model[0].register_forward_hook(lambda m, a, y: y * 2)
    model[3].register_forward_hook(lambda m, a, y: y * 2)
    return model


def weight_norm() -> nn.Module:
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 1)), BN(4))


def shared_conv() -> nn.Module:
    conv = nn.Conv2d(3, 3, 1)
    return nn.Sequential(conv, BN(3), nn.ReLU(), conv, BN(3))


def shared_norm() -> nn.Module:
    norm = BN(3)
    return nn.Sequential(nn.Conv2d(3, 3, 1), norm, nn.ReLU(), nn.Conv2d(3, 3, 1), norm)


def tied() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), BN(3), nn.ReLU(), nn.Conv2d(3, 3, 1))
    model[3].weight = model[0].weight
    return model


X2, X4 = (5, 6), (2, 3, 8, 8)
CASES = (
    Case("conv1d", seq(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4)), "f", (2, 3, 9)),
    Case("conv2d", seq(nn.Conv2d(3, 4, 3, padding=1, bias=False), BN(4)), "f", X4, ("Conv2d 0",)),
    Case("conv3d", seq(nn.Conv3d(3, 4, 2), nn.BatchNorm3d(4)), "f", (2, 3, 4, 4, 4)),
    Case("grouped", seq(nn.Conv2d(3, 6, 3, groups=3), BN(6)), "f", X4),
    Case("linear", seq(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU()), "f", X2),
    Case("linear on the last axis", seq(nn.Linear(8, 4), BatchNorm(4, channel_axis=-1)), "f", X4),
    Case("linear, no affine", seq(nn.Linear(6, 4), nn.BatchNorm1d(4, affine=False)), "f", X2),
    Case("transposed", seq(nn.ConvTranspose2d(3, 4, 3, 2), BN(4)), "f", X4),
    Case(
        "transposed 1d",
        seq(nn.ConvTranspose1d(3, 6, 3, groups=3), nn.BatchNorm1d(6)),
        "f",
        (2, 3, 9),
    ),
    Case(
        "transposed 3d", seq(nn.ConvTranspose3d(3, 2, 2), nn.BatchNorm3d(2)), "f", (2, 3, 4, 4, 4)
    ),
    Case(
        "grouped transposed",
        seq(nn.ConvTranspose2d(6, 4, 3, groups=2), BN(4)),
        "f",
        (2, 6, 8, 8),
    ),
    Case(
        "through flatten",
        seq(nn.Conv2d(3, 4, 8), nn.Flatten(), nn.BatchNorm1d(4)),
        "f",
        X4,
    ),
    Case(
        "flattened positions",
        seq(nn.Conv2d(3, 4, 7), nn.Flatten(), nn.BatchNorm1d(16)),
        "z",
        X4,
        ("has 4 channels, the layer 16",),
    ),
    Case("dropout between", seq(nn.Linear(6, 4), nn.Dropout(), nn.BatchNorm1d(4)), "f", X2),
    Case("first, conv", seq(BN(3), nn.Conv2d(3, 4, 3)), "f", X4, ("stands after it",)),
    Case("first, grouped", seq(BN(6), nn.Conv2d(6, 4, 3, groups=2)), "f", (2, 6, 5, 5)),
    Case("first, 1d", seq(nn.BatchNorm1d(3), nn.Conv1d(3, 4, 3, bias=False)), "f", (2, 3, 9)),
    Case("first, linear", seq(nn.BatchNorm1d(6), nn.Linear(6, 4)), "f", X2),
    Case("first, flatten", seq(BN(3), nn.Flatten(), nn.Linear(192, 4)), "f", X4),
    Case(
        "first, zeros around",
        seq(BN(3), nn.Conv2d(3, 4, 3, padding=1)),
        "z",
        X4,
        ("pads with zeros",),
    ),
    Case(
        "first, reflected around",
        seq(BN(3), nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")),
        "f",
        X4,
    ),
    Case("first, same around", seq(BN(3), nn.Conv2d(3, 4, 3, padding="same")), "z", X4, ("zeros",)),
    Case("first, transposed", seq(BN(3), nn.ConvTranspose2d(3, 4, 3)), "z", X4, ("border",)),
    Case("between two", seq(nn.Conv2d(3, 4, 3), BN(4), nn.Conv2d(4, 4, 1)), "f", X4, ("before",)),
    Case(
        "both sides of one",
        seq(nn.ReLU(), BN(3), nn.Conv2d(3, 4, 3), BN(4)),
        "ff",
        X4,
    ),
    Case("two in a row", seq(nn.Conv2d(3, 4, 3), BN(4), BN(4)), "ff", X4),
    Case("no neighbour", seq(BN(3), nn.ReLU()), "z", X4, ("no linear operation",)),
    Case("bilinear", seq(nn.Identity(), BN(3)), "z", X4),
    Case(
        "ours",
        seq(
            nn.Conv2d(3, 4, 3),
            BatchNorm2d(4, activation="silu"),
            nn.Conv2d(4, 4, 1),
            BatchRenorm(4, activation="relu"),
        ),
        "ff",
        X4,
    ),
    Case("frozen", seq(nn.Conv2d(3, 4, 3), FrozenBatchNorm(4, activation="elu")), "f", X4),
    Case("nested", seq(nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Sequential(BN(4))), "f", X4),
    Case("residual block", models.Basic, "ff", (2, 4, 6, 6)),
    Case("converted block", lambda: convert(models.Basic()), "ff", (2, 4, 6, 6)),
    Case(
        "reused conv",
        lambda: ConvTwice(conv=nn.Conv2d(3, 3, 3, padding=1), a=BN(3)),
        "z",
        X4,
        ("called 2 times",),
    ),
    Case("shared conv", shared_conv, "zz", X4, ("called 2 times",)),
    Case("shared norm", shared_norm, "z", X4, ("stands at 1 and 4",)),
    Case("tied weight", tied, "f", X4),
    Case(
        "two consumers",
        lambda: TwoConsumers(conv=nn.Conv2d(3, 3, 3), a=BN(3)),
        "z",
        X4,
        ("2 consumers: BatchNorm2d a, add",),
    ),
    Case(
        "its weight is read",
        lambda: AsksWeight(conv=nn.Conv2d(3, 3, 3), a=BN(3)),
        "z",
        X4,
        ("also used by",),
    ),
    Case(
        "handed to a function",
        lambda: HandedToFunction(conv=nn.Conv2d(3, 3, 1), a=BN(3)),
        "z",
        X4,
        ("also used by",),
    ),
    Case("unread", lambda: Optional(conv=nn.Conv2d(3, 3, 3), a=BN(3)), "f", X4),
    Case(
        "unread, two consumers",
        lambda: OptionalTwo(conv=nn.Conv2d(3, 3, 3), a=BN(3)),
        "z",
        X4,
        ("optional arguments",),
    ),
    Case(
        "unread, handed out",
        lambda: OptionalOut(conv=nn.Conv2d(3, 3, 3), a=BN(3)),
        "z",
        X4,
        ("optional arguments",),
    ),
    Case(
        "unread, two layers",
        lambda: OptionalNorms(conv=nn.Conv2d(3, 3, 3), a=BN(3), b=BN(3)),
        "zz",
        X4,
        ("optional arguments",),
    ),
    Case(
        "unread, called twice",
        lambda: OptionalTwice(conv=nn.Conv2d(3, 3, 1), a=BN(3)),
        "z",
        X4,
        ("optional arguments",),
    ),
    Case(
        "unread, asked for sizes", lambda: OptionalAsks(conv=nn.Conv2d(3, 3, 1), a=BN(3)), "f", X4
    ),
    Case(
        "asked for sizes",
        lambda: AskedForSizes(conv=nn.Conv2d(3, 3, 3), a=BN(3)),
        "f",
        X4,
        traces=False,
    ),
    Case("hooks", hooked, "fk", X4, ("Conv2d 2     which stands after it", "it carries hooks")),
    Case("weight norm", weight_norm, "z", X4, ("parametrized",)),
    Case(
        "no statistics",
        seq(nn.Conv2d(3, 4, 3), BN(4, track_running_stats=False)),
        "k",
        X4,
        ("no running statistics",),
    ),
    Case("momentum None", seq(nn.Conv2d(3, 4, 3), BN(4, momentum=None)), "f", X4),
    Case(
        "somebody's",
        seq(nn.Conv2d(3, 3, 1), models.Own(3)),
        "k",
        X4,
        ("forward of its own",),
        traces=False,
    ),
)
LETTER = {"folded": "f", "frozen": "z", "kept": "k"}


def kinds(model: nn.Module) -> str:
    return "".join(LETTER[site.kind] for site in report_of(model).sites)


def first(y: Any) -> Tensor:
    value: Tensor = y[0] if isinstance(y, tuple) else y
    return value


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3)) * 2 + 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_is_folded_or_not_with_its_reason_and_computes_the_same(case: Case) -> None:
    torch.manual_seed(1)
    model = scrambled(case.build()).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = normal(*case.shape)
    folded = fold(model, x)
    assert kinds(folded) == case.kinds, str(report_of(folded))
    for part in case.says:
        assert part in str(report_of(folded)), str(report_of(folded))
    want = first(copy.deepcopy(model).double()(x.double()))
    made_from = [folded, copy.deepcopy(folded)]
    if case.traces:
        made_from.append(torch.fx.symbolic_trace(folded))
    for made in made_from:
        assert_close(first(made(x)), want, 2e-6, "y", dtype=torch.float32)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_mistakes_that_the_comparison_would_show() -> None:
    model = scrambled(nn.Sequential(nn.Conv2d(3, 4, 3), BN(4))).eval()
    x = normal(*X4)
    want = model(x)
    mutants: tuple[Callable[[Any], Any], ...] = (
        lambda m: m.running_var.mul_(1.01),
        lambda m: m.running_mean.add_(0.01),
        lambda m: m.weight.data.neg_(),
        lambda m: m.bias.data.zero_(),
        lambda m: setattr(m, "eps", 1e-2),
    )
    for mutate in mutants:
        other = copy.deepcopy(model)
        mutate(other[1])
        assert max_error(fold(other)(x), want) > 1e-4


def test_training_mode_is_refused() -> None:
    model = fold(nn.Sequential(nn.Conv2d(3, 4, 3), BN(4)).train())
    assert kinds(model) == "k"
    assert "training mode" in str(report_of(model))
    assert type(model.get_submodule("1")) is BN
    with pytest.raises(BadOption, match="takes a model"):
        fold("resnet")  # type: ignore[arg-type]


def test_a_linear_whose_layer_may_normalize_another_axis_says_so() -> None:
    """[N, 4, 4] through Linear(4, 4): BatchNorm1d normalizes axis 1, not the features."""
    model = scrambled(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))).eval()
    folded = fold(model)
    assert_close(folded(normal(3, 4)), model(normal(3, 4)), 1e-6, "y")
    with pytest.raises(BadShape, match="another rank"):
        folded(normal(3, 4, 4))
    with pytest.raises(BadShape, match="another rank"):
        fold(model, normal(3, 4, 4), inplace=True)
    assert type(model[1]) is nn.BatchNorm1d
    last = scrambled(nn.Sequential(nn.Linear(4, 4), BatchNorm1d(4, channel_axis=-1))).eval()
    assert_close(fold(last)(normal(3, 4, 4)), last(normal(3, 4, 4)), 1e-6, "y")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_are_rounded_once(kind: torch.dtype) -> None:
    """Conv, then two folds into it: the result is the float64 product, rounded once."""
    model = nn.Sequential(nn.ReLU(), BN(3), nn.Conv2d(3, 4, 1), BN(4)).eval()
    model = scrambled(model).to(kind)
    parts: list[Any] = [copy.deepcopy(model[i]).double() for i in (1, 2, 3)]
    a, conv, b = parts
    first, last = (m.weight / (m.running_var + m.eps).sqrt() for m in (a, b))
    want = (conv.weight * first.view(1, -1, 1, 1) * last.view(-1, 1, 1, 1)).to(kind)
    folded: Any = fold(model)
    assert folded[2].weight.dtype == folded[2].bias.dtype == kind
    ulp = {torch.float64: 1e-15}.get(kind, 0.0)
    assert_close(folded[2].weight, want, ulp, "weight")


def test_mixed_dtypes_follow_the_convolution() -> None:
    model: Any = scrambled(nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), BN(4))).eval()
    model[0].to(torch.bfloat16)
    folded: Any = fold(model)
    assert folded[0].weight.dtype == folded[0].bias.dtype == torch.bfloat16
    x = normal(*X4).bfloat16()
    assert_close(folded(x), model(x), 2e-2, "y")


def test_what_would_not_be_finite_stays() -> None:
    model: Any = nn.Sequential(nn.Conv2d(3, 4, 1), BN(4, eps=1e-12)).half().eval()
    model[1].running_var.zero_()
    assert "not be finite" in str(report_of(fold(model)))
    model[1].running_mean.fill_(float("nan"))
    assert "are not finite" in str(report_of(fold(model)))


def test_the_report_has_errors_and_ranges() -> None:
    model: Any = scrambled(nn.Sequential(nn.Conv2d(3, 4, 1), BN(4), nn.ReLU(), BN(4))).eval()
    (site, frozen) = report_of(fold(model, normal(*X4))).sites
    assert site.error is not None
    assert 0 < site.error < 1e-6
    assert frozen.error is None
    assert site.before == pytest.approx(model[0].weight.detach().flatten(1).abs().amax(1).tolist())
    scale = (model[1].weight / (model[1].running_var + 1e-5).sqrt()).detach().abs()
    want = (torch.tensor(site.before) * scale).tolist()
    assert site.after == pytest.approx(want)
    assert "largest weights of a channel" in str(report_of(fold(model)))


def test_without_a_probe_an_unread_forward_is_not_folded() -> None:
    model = scrambled(Optional(conv=nn.Conv2d(3, 3, 3), a=BN(3))).eval()
    assert kinds(fold(model)) == "z"
    assert kinds(fold(model, normal(*X4))) == "f"


def test_the_error_of_a_site_is_its_own() -> None:
    """A wrong weight at the first layer does not show at the second."""
    from evenkeel.surgery.measured import Link, site_errors

    model: Any = scrambled(
        nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 3), nn.BatchNorm1d(3))
    )
    folded: Any = fold(model.eval())
    with torch.no_grad():
        folded[0].weight.mul_(1.5)
    links = {"1": Link("0", "before"), "3": Link("2", "before")}
    errors = site_errors(model, folded, links, normal(*X2))
    assert errors["1"] > 1e-2
    assert errors["3"] < 1e-6


@pytest.mark.parametrize("place", ["folding", "probe", "report"])
def test_an_error_in_the_middle_leaves_the_model_as_it_was(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evenkeel.surgery import fold as verb
    from evenkeel.surgery import folding

    model = scrambled(nn.Sequential(models.Basic(), nn.ReLU(), BN(4))).eval()
    state, printed = copy.deepcopy(model.state_dict()), repr(model)
    attributes = [dict(vars(m)) for m in model.modules()]
    tensors = [*model.parameters(), *model.buffers()]

    def fails(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    if place == "folding":
        monkeypatch.setattr(folding, "frozen_in_place", fails)
    elif place == "probe":
        monkeypatch.setattr(sys_module(verb), "site_errors", fails)
    else:
        monkeypatch.setattr(folding.Folding, "report", fails)
    with pytest.raises(KeyboardInterrupt):
        fold(model, normal(2, 4, 6, 6), inplace=True)
    assert repr(model) == printed
    assert [dict(vars(m)) for m in model.modules()] == attributes
    after = [*model.parameters(), *model.buffers()]
    assert all(a is b for a, b in zip(after, tensors, strict=True))
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])


def sys_module(verb: Any) -> Any:
    """The module of a verb, which has the verb's name in its package."""
    import sys

    return sys.modules[verb.__module__] if callable(verb) else verb


def test_a_difference_on_the_probe_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from evenkeel.surgery import folding

    monkeypatch.setattr(folding, "_pads_with_zeros", lambda conv: False)
    model = scrambled(nn.Sequential(BN(3), nn.Conv2d(3, 4, 3, padding=1))).eval()
    with pytest.raises(OutputsDiffer, match="output differs by"):
        fold(model, normal(*X4))
    fold(model, normal(*X4), tolerance=10.0)


def test_in_place_keeps_objects_and_a_pickle_loads() -> None:
    model: Any = scrambled(nn.Sequential(nn.Conv2d(3, 4, 3), BN(4), nn.ReLU())).eval()
    parts: list[Any] = list(model.modules())
    want, old = model(normal(*X4)), model[0].weight
    kept = old.clone()
    model[0].weight.requires_grad_(False)
    same = fold(model, inplace=True) is model
    assert same
    assert all(a is b for a, b in zip(model.modules(), parts, strict=True))
    assert torch.equal(old, kept)
    assert not model[0].weight.requires_grad
    assert list(model.state_dict()) == ["0.weight", "0.bias"]
    back = pickle.loads(pickle.dumps(model))  # our own bytes
    assert_close(back(normal(*X4)), want, 1e-6, "y")
    assert "no batch-norm layer" in str(report_of(fold(model)))


def test_a_folded_model_is_differentiable() -> None:
    model = scrambled(convert(models.Basic())).eval()
    x = normal(2, 4, 6, 6).requires_grad_()
    (want,) = torch.autograd.grad(model(x).square().sum(), x)
    (got,) = torch.autograd.grad(fold(model)(x).square().sum(), x)
    assert_close(got, want, 1e-5, "dx")


def test_the_rest_of_a_layer() -> None:
    rest = Folded("relu", (2,))
    assert torch.equal(
        rest(torch.full((1, 1), -3.0), residual=torch.full((1, 1), 5.0)), torch.tensor([[2.0]])
    )
    assert repr(rest) == "Folded(activation='relu', ranks=(2,))"
    with pytest.raises(BadShape, match="residual must have"):
        rest(torch.zeros(1, 1), residual=torch.zeros(2, 1))


@pytest.mark.parametrize("converted", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_folded_and_errs_no_more_than_itself(name: str, converted: bool) -> None:
    torch.manual_seed(0)
    model = scrambled(NETWORKS[name][0]()).eval()
    x = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    folded = fold(convert(model) if converted else model, {"pixel_values": x})
    count = NETWORKS[name][1]
    assert kinds(folded) == "f" * count, str(report_of(folded))
    exact = features(copy.deepcopy(model).double(), x.double())
    own, error = (float((features(m, x) - exact).square().mean().sqrt()) for m in (model, folded))
    assert 0 < error <= 3 * own


def features(model: Any, x: Tensor) -> Tensor:
    """What reaches the pooling: many numbers, so that chance has no part in their common error."""
    with torch.no_grad():
        y: Tensor = model.base_model(x).last_hidden_state
    return y.double()


@pytest.mark.parametrize("placement", ["before", "after"])
@pytest.mark.parametrize(
    "name", ["conv20", "dnn-elu", "mnist-estimator", "ioffe-sigmoid", "sgd-relu"]
)
def test_a_recipe_is_folded(name: str, placement: str) -> None:
    torch.manual_seed(0)
    model = scrambled(RECIPES[name].build(Variant(placement=placement))).eval()
    x = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    folded = fold(model, x)
    if placement == "before":
        assert set(kinds(folded)) == {"f"}, str(report_of(folded))
    with torch.no_grad():
        exact = copy.deepcopy(model).double()(x.double())
        own = max_error(model(x), exact, dtype=torch.float32)
        assert_close(folded(x), exact, max(3 * own, 5e-7), "y", dtype=torch.float32)


PARTS: tuple[Callable[[], nn.Module], ...] = (
    lambda: BN(4),
    lambda: BN(4, affine=False),
    lambda: BatchNorm2d(4, activation="relu", running_var="biased"),
    nn.ReLU,
    nn.Identity,
    nn.Dropout,
    lambda: nn.Conv2d(4, 4, 1),
    lambda: nn.Conv2d(4, 4, 3, padding=1, bias=False),
    lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular", groups=2),
    lambda: nn.ConvTranspose2d(4, 4, 1, groups=4),
    lambda: nn.Sequential(nn.Conv2d(4, 4, 1), BN(4)),
    models.Basic,
)


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, len(PARTS) - 1), min_size=1, max_size=7),
    st.booleans(),
    st.integers(0, 99),
)
def test_fold_of_any_network_computes_what_the_network_does(
    order: list[int], first_converted: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    model = scrambled(nn.Sequential(*(PARTS[i]() for i in order))).eval()
    folded = fold(convert(model) if first_converted else model)
    x = normal(2, 4, 5, 5)
    with torch.no_grad():
        exact = copy.deepcopy(model).double()(x.double())
        assert_close(
            folded(x),
            exact,
            1e-5,
            "y",
            dtype=torch.float32,
            scale=max(float(exact.abs().max()), 1e-3),
        )


class Kept(models.Body):
    """A forward that cannot be read and keeps what each part gives."""

    def forward(self, x: Tensor) -> Tensor:
        total = None
        for layer in self.layers:
            x = layer(x)
            total = x.clone() if total is None else total + x.sum()
            kept, x = x, x
            total = total + kept.sum()
        assert total is not None
        return total


def after(*parts: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 3, 1), BN(3), *parts)


def watched() -> Any:
    model: Any = after(nn.ReLU())
    model[2].register_forward_hook(lambda m, a, y: None)
    return model


RELU = nn.ReLU()
IN_PLACE: dict[str, tuple[Callable[[], nn.Module], bool]] = {
    "relu": (lambda: after(nn.ReLU()), True),
    "elu": (lambda: after(nn.ELU()), True),
    "nested": (lambda: nn.Sequential(after(), nn.LeakyReLU()), True),
    "no such": (lambda: after(nn.SiLU()), False),
    "shared": (lambda: after(RELU, nn.Conv2d(3, 3, 1), RELU), False),
    "watched": (watched, False),
    "two readers": (lambda: models.TwoConsumers(a=after(), b=after(), act=nn.ReLU()), False),
    "parts taken singly": (lambda: Kept(layers=nn.Sequential(after(), nn.ReLU())), False),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_an_activation_writes_in_place_where_nothing_else_reads(name: str) -> None:
    build, expected = IN_PLACE[name]
    model = scrambled(build()).eval()
    x = normal(2, 3, 5, 5)
    want = model(x)
    folded = fold(model)
    assert any(getattr(m, "inplace", False) for m in folded.modules()) is expected
    assert not any(getattr(m, "inplace", False) for m in model.modules())
    assert_close(folded(x), want, 1e-5, "y")
    folded(x.clone().requires_grad_()).sum().backward()


def test_after_an_error_activations_are_as_they_were() -> None:
    model: Any = after(nn.ReLU()).eval()
    with pytest.raises(OutputsDiffer):
        fold(model, normal(2, 3, 5, 5), inplace=True, tolerance=-1.0)
    assert not model[2].inplace
