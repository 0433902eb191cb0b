"""Tools that know only torch's class do right by every layer, or fail loudly; never silently."""

import copy
import io
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from torch.optim.swa_utils import AveragedModel, update_bn

from evenkeel.errors import BadShape, Misread
from evenkeel.nn import (
    BatchNorm,
    BatchNorm2d,
    BatchRenorm,
    FrozenBatchNorm,
    GhostBatchNorm,
    Population,
)
from evenkeel.nn.ghost import split
from nn.rows import ROWS, Row
from oracles.compare import assert_close

each = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
SHAPE = (8, 3, 4, 5)


def convert(model: nn.Module) -> nn.Module:
    """torch's converter, typed."""
    converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return converted


def images(*names: str) -> pytest.MarkDecorator:
    """Rows that take [8, 3, 4, 5]."""
    rows = {n: r for n, r in ROWS.items() if r.shape == SHAPE and (not names or n in names)}
    return pytest.mark.parametrize("row", rows.values(), ids=rows.keys())


def right_or_loud(tool: Callable[[], Any], loud: bool, right: Callable[[Any], None]) -> None:
    """``tool`` raises Misread where it must, and gives a right result where it need not."""
    if loud:
        with pytest.raises(Misread, match="a tool that knows only torch's class is reading"):
            tool()
    else:
        right(tool())


@each
def test_convert_sync_batchnorm(row: Row) -> None:
    model, twin = nn.Sequential(row.layer()), nn.Sequential(row.layer())
    loud = not row.torch_training and isinstance(model[0], BatchNorm)

    def right(converted: nn.Module) -> None:
        for training in (True, False, True):
            x = row.input(seed=int(training))
            got, want = converted.train(training)(x), twin.train(training)(x)
            assert_close(got, want, 1e-6, "y")
        for name, tensor in twin.state_dict().items():
            assert_close(converted.state_dict()[name], tensor, 1e-6, name)

    right_or_loud(lambda: convert(model), loud, right)


@images()
@pytest.mark.parametrize("transpose", [False, True])
def test_fuse_conv_bn_eval(row: Row, transpose: bool) -> None:
    torch.manual_seed(0)
    layer = row.layer()
    kind = nn.ConvTranspose2d if transpose else nn.Conv2d
    conv, x = kind(3, 3, 1), row.input()
    layer(conv(x).detach())
    model = nn.Sequential(conv, layer).eval()
    if layer.running_mean is None:
        with pytest.raises(AssertionError, match="running_mean"):
            fuse_conv_bn_eval(conv, layer, transpose)
        return

    def right(fused: nn.Module) -> None:
        assert_close(fused(x), model(x), 1e-5, "y")

    right_or_loud(lambda: fuse_conv_bn_eval(conv, layer, transpose), not row.torch_inference, right)


@each
def test_fuse_linear_bn_eval(row: Row) -> None:
    torch.manual_seed(0)
    layer = row.layer().eval()
    if len(row.shape) > 2 and not isinstance(layer, BatchNorm):
        with pytest.raises((AttributeError, Misread)):
            fuse_linear_bn_eval(nn.Linear(3, 3).eval(), layer)
        return
    linear = nn.Linear(3, row.layer().spec.channels[0]).eval()
    x = torch.randn(6, 3)

    def right(fused: nn.Module) -> None:
        torchs = nn.BatchNorm1d(row.layer().spec.channels[0], layer.eps).eval()
        torchs.load_state_dict(layer.state_dict(), strict=False)
        assert_close(fused(x), torchs(linear(x)), 1e-5, "y")

    loud = not row.torch_training
    if not loud and (layer.running_mean is None or layer.weight is None or layer.bias is None):
        with pytest.raises((AssertionError, TypeError)):  # torch's tool wants all four
            fuse_linear_bn_eval(linear, layer)
        return
    right_or_loud(lambda: fuse_linear_bn_eval(linear, layer), loud, right)


def test_eager_quantization_refuses_our_class() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), BatchNorm2d(3, activation="relu")).eval()
    with warnings.catch_warnings(), pytest.raises((AssertionError, NotImplementedError)):
        warnings.simplefilter("ignore")
        torch.ao.quantization.fuse_modules(model, [["0", "1"]])  # type: ignore[no-untyped-call]


class Loose(nn.Module):
    """A network whose layer gets a residual, which no folded convolution could add."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 3, 1), BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.conv(x), residual=x)
        return y


def test_folding_a_layer_that_adds_a_residual_fails_where_the_residual_goes_in() -> None:
    model, x = Loose().eval(), torch.randn(SHAPE)
    model.conv = fuse_conv_bn_eval(model.conv, model.bn)
    model.bn = nn.Identity()  # type: ignore[assignment]
    with pytest.raises(TypeError, match="residual"):
        model(x)
    synced = convert(Loose())
    with pytest.raises(TypeError, match="residual"):
        synced(x)


def per_batch(batches: list[Tensor], row: Row, unbiased: bool) -> tuple[Tensor, Tensor]:
    """The plain average of the batches' own means and variances."""
    rest = [a for a in range(len(row.shape)) if a not in row.axes]
    means = torch.stack([x.double().mean(rest) for x in batches])
    spreads = torch.stack([x.double().var(rest, correction=int(unbiased)) for x in batches])
    return means.mean(0), spreads.mean(0)


@each
def test_update_bn(row: Row) -> None:
    model = nn.Sequential(row.layer())
    layer: Any = model[0]
    batches = [row.input(seed=s) * (s + 1) for s in range(4)]
    model(batches[0])
    before, described = copy.deepcopy(model.state_dict()), repr(layer)
    update_bn([(x, None) for x in batches], model.eval())
    assert repr(layer) == described
    assert not model.training
    if not isinstance(layer, BatchNorm) or layer.running_mean is None:
        assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
        return
    assert int(layer.num_batches_tracked or 0) == 4
    mean, var = expected_of_update_bn(row, layer, batches)
    assert_close(layer.running_mean, mean, 1e-5, "mean", dtype=torch.float32)
    assert_close(layer.running_var, var, 1e-5, "var", dtype=torch.float32)  # type: ignore[arg-type]


def expected_of_update_bn(
    row: Row, layer: BatchNorm, batches: list[Tensor]
) -> tuple[Tensor, Tensor]:
    rest = [a for a in range(len(row.shape)) if a not in row.axes]
    if isinstance(layer.spec.running, Population):
        whole = torch.cat(batches).double()
        return whole.mean(rest), whole.var(rest, correction=1)
    if isinstance(layer, BatchRenorm):  # it averages σ = √(v + eps)
        stds = [(x.double().var(rest, correction=0) + 1e-5).sqrt() for x in batches]
        return per_batch(batches, row, False)[0], torch.stack(stds).mean(0) ** 2 - 1e-5
    if isinstance(layer, GhostBatchNorm):
        size, strided = layer.ghost_size, layer.groups == "strided"
        groups = [g for x in batches for g in split(x, size, strided=strided)]
        return per_batch(groups, row, True)
    return per_batch(batches, row, layer.spec.unbiased)


def test_update_bn_leaves_frozen_layers_frozen() -> None:
    model = nn.Sequential(FrozenBatchNorm.freeze(BatchNorm2d(3)), BatchNorm2d(3))
    before = copy.deepcopy(model[0].state_dict())
    update_bn([torch.randn(SHAPE)], model)
    assert all(torch.equal(t, before[name]) for name, t in model[0].state_dict().items())
    assert int(model[1].state_dict()["num_batches_tracked"]) == 1


def test_averaged_model() -> None:
    model = nn.Sequential(BatchNorm2d(3, running=Population(), activation="relu"))
    averaged = AveragedModel(model)
    averaged.update_parameters(model)
    x = torch.randn(SHAPE)
    assert torch.equal(averaged.eval()(x), model.eval()(x))


@each
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_jit_trace(row: Row, training: bool) -> None:
    model = nn.Sequential(row.layer()).train(training)
    plain, x = copy.deepcopy(model), row.input(seed=1)

    def right(traced: Any) -> None:
        plain(row.input())  # tracing runs the network once
        assert_close(traced(x), plain(x), 1e-6, "y")
        for name, tensor in plain.state_dict().items():
            assert_close(traced.state_dict()[name], tensor, 1e-6, name)

    def trace() -> Any:  # a ScriptModule, which has no types
        return torch.jit.trace(model, (row.input(),), check_trace=False)  # type: ignore[no-untyped-call]

    right(trace())


@images("relu", "last axis", "renorm momentum", "frozen")
def test_export_of_inference(row: Row) -> None:
    model = nn.Sequential(row.layer()).eval()
    model(row.input())
    program = torch.export.export(model, (row.input(),))
    x = row.input(seed=1)
    assert_close(program.module()(x), model(x), 1e-6, "y")


@each
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")
def test_compiled(row: Row) -> None:
    model = nn.Sequential(row.layer())
    plain = copy.deepcopy(model)
    torch.compiler.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for seed in range(2):
        x = row.input(seed=seed)
        assert_close(compiled(x), plain(x), 1e-6, "y")
    compiled(row.input() / 0)  # skipped without a look at its values, as on an accelerator
    for name, tensor in plain.state_dict().items():
        assert_close(model.state_dict()[name], tensor, 1e-6, name)


@each
def test_a_computed_weight_is_used(row: Row) -> None:
    class Halved(nn.Module):
        def forward(self, value: Tensor) -> Tensor:
            return value / 2

    layer, plain = row.layer(), row.layer()
    if plain.weight is None:
        pytest.skip("this row has no weight")
    parametrize.register_parametrization(layer, "weight", Halved())
    with torch.no_grad():
        plain.weight.div_(2)
    for training in (True, False):
        x = row.input()
        assert_close(layer.train(training)(x), plain.train(training)(x), 1e-6, f"{training}")


@each
def test_functorch_takes_the_statistics_away(row: Row) -> None:
    layer = row.layer()
    if "Renorm" in layer.spec.kind or not isinstance(layer, BatchNorm):
        pytest.skip("tests/nn/test_renorm.py; a frozen layer keeps what it is")
    x = row.input()
    want = row.layer()(x)
    bare = torch.func.replace_all_batch_norm_modules_(nn.Sequential(layer))
    assert torch.equal(bare.train()(x), want)
    assert torch.equal(bare.eval()(x), want)


@each
def test_what_tools_ask_of_the_class(row: Row) -> None:
    """Weight-decay rules, initializers and counters go by isinstance."""
    layer = row.layer()
    frozen = not isinstance(layer, BatchNorm)
    assert isinstance(layer, nn.modules.batchnorm._BatchNorm) != frozen
    for number in ("1d", "2d", "3d"):
        if type(layer).__name__ == f"BatchNorm{number}":
            assert isinstance(layer, getattr(nn, f"BatchNorm{number}"))
    assert not isinstance(layer, nn.SyncBatchNorm)


def test_weights_only_loading_of_a_whole_state() -> None:
    layer, file = BatchNorm2d(3, running=Population(), activation="relu"), io.BytesIO()
    layer(torch.randn(SHAPE))
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = BatchNorm2d(3, running=Population(), activation="relu")
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.eval()(torch.ones(SHAPE)), layer.eval()(torch.ones(SHAPE)))


def test_a_state_of_another_rule_is_refused_not_half_loaded() -> None:
    plain, exact = BatchNorm2d(3), BatchNorm2d(3, running=Population())
    with pytest.raises(RuntimeError, match="population_count"):
        exact.load_state_dict(plain.state_dict())
    with pytest.raises(RuntimeError, match="population_count"):
        plain.load_state_dict(exact.state_dict())
    with pytest.raises(BadShape):
        plain(torch.zeros(8, 4, 4, 3))
