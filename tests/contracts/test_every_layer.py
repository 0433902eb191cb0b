"""What every layer keeps, whatever its options: each test runs every row of the table."""

import copy
import io
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call

import evenkeel.nn
from evenkeel.errors import BadDtype, BadShape, EmptyBatch, NonFiniteBatch
from nn.rows import ROWS, Row
from oracles.budgets import UNIT
from oracles.compare import assert_close

each = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
modes = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
HALF = (torch.float16, torch.bfloat16)


def state(layer: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in layer.state_dict().items()}


def assert_same_state(got: nn.Module, want: dict[str, Tensor]) -> None:
    assert list(got.state_dict()) == list(want)
    for name, tensor in got.state_dict().items():
        assert torch.equal(tensor, want[name]), name


def moves(row: Row) -> bool:
    """Whether training moves running statistics."""
    layer = row.layer()
    return isinstance(layer, evenkeel.nn.BatchNorm) and layer.running_mean is not None


@each
def test_prints_its_constructor_call(row: Row) -> None:
    layer = row.layer()
    text = repr(layer)
    if row.then is None:
        again = eval(text, vars(evenkeel.nn))
        assert repr(again) == text
        assert again.spec == layer.spec
    assert text.startswith(type(layer).__name__)


@each
@modes
def test_copies_and_pickles_compute_the_same(row: Row, training: bool) -> None:
    layer, x = row.layer().train(training), row.input()
    layer(x)
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    want = layer(x)
    for other in copies:
        assert type(other) is type(layer)
        assert repr(other) == repr(layer)
        assert torch.equal(other(x), want)
        assert_same_state(other, state(layer))


@each
def test_state_dict_round_trip_without_code(row: Row) -> None:
    layer = row.layer()
    layer(row.input())
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = row.layer()
    other.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert_same_state(other, state(layer))
    assert torch.equal(other(row.input(seed=1)), layer(row.input(seed=1)))
    assert_same_state(other, state(layer))


@each
@modes
def test_gradients_are_those_of_finite_differences(row: Row, training: bool) -> None:
    if training and row.corrected:
        pytest.skip(
            "r and d are constants by definition: tests/nn/test_renorm.py has the closed form"
        )
    layer = row.layer(torch.float64).train(training)
    parameters = dict(layer.named_parameters())
    fixed = state(layer)

    def call(x: Tensor, *values: Tensor) -> Tensor:
        buffers = {name: fixed[name].clone() for name, _ in layer.named_buffers()}
        y: Tensor = functional_call(
            layer, {**dict(zip(parameters, values, strict=True)), **buffers}, x
        )
        return y

    x = row.input(torch.float64).requires_grad_()
    inputs = (x, *(p.detach().clone().requires_grad_() for p in parameters.values()))
    assert gradcheck(call, inputs, fast_mode=True)
    assert gradgradcheck(call, inputs, fast_mode=True)


@each
@modes
def test_layouts_agree(row: Row, training: bool) -> None:
    x = row.input()
    spread = torch.zeros([2 * n for n in x.shape]).as_strided(
        x.shape, [2 * s for s in torch.zeros([2 * n for n in x.shape]).stride()]
    )
    layouts = [
        x.transpose(1, -1).contiguous().transpose(1, -1),
        x.transpose(0, -1).contiguous().transpose(0, -1),
        spread.copy_(x),
    ]
    layer = row.layer().train(training)
    want = layer(x)
    for other_x in layouts:
        other = row.layer().train(training)
        assert_close(other(other_x), want, 1e-6, f"strides {other_x.stride()}")
        for name, tensor in other.state_dict().items():
            assert_close(tensor, layer.state_dict()[name], 1e-6, name)


@each
@modes
@pytest.mark.parametrize("dtype", [*HALF, torch.float32], ids=str)
def test_narrow_input_against_the_same_layer_in_float64(
    row: Row, training: bool, dtype: torch.dtype
) -> None:
    layer, wide = row.layer().train(training), row.layer().double().train(training)
    x = row.input(dtype)
    y = layer(x)
    assert y.dtype == dtype
    # BatchRenorm rounds once more, before its correction
    assert_close(y, wide(x.double()), 6 * UNIT[dtype], "y", dtype=dtype)
    for name, tensor in layer.state_dict().items():
        assert_close(tensor, wide.state_dict()[name], 1e-6, name, dtype=tensor.dtype)


@each
@pytest.mark.parametrize("dtype", [*HALF, torch.float64], ids=str)
def test_a_layer_of_another_dtype_works_and_comes_back(row: Row, dtype: torch.dtype) -> None:
    layer = row.layer().to(dtype)
    y = layer(row.input(dtype))
    assert y.dtype == dtype
    assert y.isfinite().all()
    for name, tensor in layer.state_dict().items():
        if tensor.is_floating_point():
            assert tensor.dtype == (torch.float64 if name.startswith("population_") else dtype), (
                name
            )
    assert all(t.dtype != torch.float16 for t in layer.float().state_dict().values())
    assert layer(row.input()).dtype == torch.float32


@each
@modes
def test_one_channel(row: Row, training: bool) -> None:
    shape = tuple(1 if a in row.axes else max(n, 8) for a, n in enumerate(row.shape))
    layer, wide = row.layer(shape=shape), row.layer(shape=shape).double()
    x = row.input(shape=shape)
    y = layer.train(training)(x)
    assert_close(y, wide.train(training)(x.double()), 1e-6, "y", dtype=torch.float32)


@each
def test_a_batch_that_is_not_finite_leaves_the_statistics_alone(row: Row) -> None:
    layer, clean = row.layer(), row.layer()
    layer(row.input()), clean(row.input())
    for bad in (float("nan"), float("inf"), -float("inf")):
        x = row.input(seed=1)
        x.view(-1)[7] = bad
        before = state(layer)
        if moves(row):
            with pytest.warns(NonFiniteBatch, match=type(layer).__name__):
                y = layer(x)
        else:
            y = layer(x)
        assert not y.isfinite().all() or bad < 0  # relu(-inf) of a frozen layer is 0
        assert_same_state(layer, before)
    assert torch.equal(layer(row.input(seed=2)), clean(row.input(seed=2)))
    assert_same_state(layer, state(clean))


@each
def test_a_wrong_number_of_channels_is_named(row: Row) -> None:
    wrong = tuple(n + 1 if a in row.axes else n for a, n in enumerate(row.shape))
    for training in (True, False):
        layer = row.layer().train(training)
        before = state(layer)
        with pytest.raises(
            BadShape, match=rf"^this {type(layer).__name__} expects .* channels on ax"
        ):
            layer(row.input(shape=wrong))
        assert_same_state(layer, before)


@each
@modes
def test_integers_are_refused(row: Row, training: bool) -> None:
    with pytest.raises(BadDtype, match="floating-point"):
        row.layer().train(training)(torch.zeros(row.shape, dtype=torch.long))


@each
def test_an_empty_batch_is_refused_in_training_and_empty_in_inference(row: Row) -> None:
    if 0 in row.axes:
        pytest.skip("axis 0 holds channels")
    shape = (0, *row.shape[1:])
    layer = row.layer()
    if isinstance(layer, evenkeel.nn.BatchNorm):
        before = state(layer)
        with pytest.raises(EmptyBatch):
            layer(torch.zeros(shape))
        assert_same_state(layer, before)
    if layer.running_mean is not None:
        assert layer.eval()(torch.zeros(shape)).shape == shape


@each
def test_inference_takes_a_single_example_and_moves_nothing(row: Row) -> None:
    layer, x = row.layer(), row.input()
    if layer.running_mean is None or 0 in row.axes:
        pytest.skip("no inference by example")
    layer(x)
    layer.eval()
    before = state(layer)
    together = layer(x)
    for i in range(len(x)):
        assert_close(layer(x[i : i + 1]), together[i : i + 1], 1e-6, f"example {i}")
    assert_same_state(layer, before)


@each
@modes
def test_residual_is_added_before_the_activation(row: Row, training: bool) -> None:
    if row.options.get("activation"):
        pytest.skip("tests/nn/test_batch_norm.py compares with torch's activations")
    x, r = row.input(), row.input(seed=3)
    got = row.layer().train(training)(x, residual=r)
    assert_close(got, row.layer().train(training)(x) + r, 1e-6, "y")


def test_every_class_and_every_activation_has_a_row() -> None:
    kinds = {type(row.layer()) for row in ROWS.values()}
    layers = {
        k for k in vars(evenkeel.nn).values() if isinstance(k, type) and issubclass(k, nn.Module)
    }
    around = {evenkeel.nn.StreamBatchNorm, evenkeel.nn.ConditionalBatchNorm}
    assert kinds == layers - around  # those hold one of these: tests/nn/test_streams.py
    assert len([row for row in ROWS.values() if "activation" in row.options]) >= 9
