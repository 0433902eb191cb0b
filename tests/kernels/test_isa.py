"""Every instruction set that this machine has, forced: right against float64, exact where it can be."""

import ctypes
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor

from evenkeel.kernels import Call, library
from evenkeel.kernels.normalize import native as normalize
from evenkeel.kernels.plan import plan_of
from evenkeel.nn.batch_norm import BatchNorm
from oracles import budgets, definitions
from oracles.compare import assert_close
from oracles.strategies import values

MISSING = library.why_missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)
EPS = 1e-3

# Planes, rows, few channels, one column more or fewer than vectors hold.
SHAPES = [
    (64, 100),
    (7, 3),
    (33, 17, 1, 1),
    (32, 4, 9, 9),
    (2, 5, 33, 41),
    (8, 24, 7, 7),
    (3, 1, 50),
    (2, 2, 100, 101),
]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
LAYOUTS = [torch.contiguous_format, torch.channels_last]
CASES = [
    (shape, dtype, layout)
    for shape, dtype, layout in product(SHAPES, DTYPES, LAYOUTS)
    if len(shape) == 4 or layout == torch.contiguous_format
]
# In 16 bits values at 100 stand apart as far as their deviations: the input itself is another.
FAR = {torch.float32: 1e4, torch.float64: 1e4, torch.bfloat16: 1.0, torch.float16: 1e2}


@pytest.fixture(params=library.isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set for the length of a test."""
    library.set_isa(request.param)
    yield request.param
    library.set_isa(None)


def test_there_is_one_that_every_machine_has() -> None:
    assert library.isas()
    assert library.isas()[-1] in ("baseline", "neon")


def step(x: Tensor, dy: Tensor) -> dict[str, Tensor]:
    """What a training step of a layer produces, by the names that ``definitions.Step`` has."""
    C = x.shape[1]
    layer = BatchNorm(C, EPS, dtype=torch.float64 if x.dtype == torch.float64 else torch.float32)
    with torch.no_grad():
        layer.weight.copy_(values((C,), 1, 7))
        layer.bias.copy_(values((C,), 0, 8))
    leaf = x.detach().requires_grad_()
    y = layer(leaf)
    dx, dweight, dbias = torch.autograd.grad(y, [leaf, layer.weight, layer.bias], dy)
    running = {"mean": layer.running_mean, "var": layer.running_var}
    statistics = {f"running_{name}": v for name, v in running.items() if v is not None}
    return {"y": y.detach(), "dx": dx, "dweight": dweight, "dbias": dbias, **statistics}


@pytest.mark.parametrize(("shape", "dtype", "layout"), CASES)
@pytest.mark.parametrize("far", [False, True])
def test_a_training_step_is_right(
    isa: str, shape: tuple[int, ...], dtype: torch.dtype, layout: torch.memory_format, far: bool
) -> None:
    del isa
    distance = FAR[dtype] if far else 0.0
    x, dy = (values(shape, d, s).to(dtype) for d, s in ((distance, 0), (0.0, 1)))
    x, dy = (v.contiguous(memory_format=layout) for v in (x, dy))
    got, C = step(x, dy), shape[1]
    wide = got["dweight"].dtype
    weight, bias = values((C,), 1, 7).to(wide), values((C,), 0, 8).to(wide)
    given = definitions.Given(x, weight, bias, dy, torch.zeros(C), torch.ones(C), 0.1, EPS)
    want = definitions.step(given)
    budget = budgets.of(x, dy, weight, bias, EPS, 1)
    for name in ("y", "dx", "dweight", "dbias"):
        kind = x.dtype if name in ("y", "dx") else wide
        bound = getattr(budget, name)
        assert_close(got[name], getattr(want, name), bound, name, dtype=kind, scale=1.0)
    u, size = budgets.unit(dtype), float(x.double().abs().max())
    assert_close(got["running_mean"], want.running_mean, u * size, "mean", dtype=wide, scale=1.0)
    assert_close(got["running_var"], want.running_var, 1e-6, "variance", dtype=wide)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bits_are_read_and_rounded_as_torch_does(isa: str, dtype: torch.dtype) -> None:
    """x + residual with statistics 0 and 1: every pattern of bits, subnormals, infinities, NaN."""
    del isa
    x = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)
    x = x.reshape(-1, 16)
    order = torch.randperm(x.numel(), generator=torch.Generator().manual_seed(0))
    zero, one = torch.zeros(16), torch.ones(16)
    plan = plan_of(Call.of(x), torch.float32, 0.0, None)
    for residual in (None, x.flatten()[order].reshape(x.shape)):
        y = normalize.forward(plan, x, zero, one, None, None, residual)
        want = x.float() if residual is None else x.float() + residual.float()
        assert_close(y, want.to(dtype), 0.0, "y")
        signs = (y.signbit() != want.signbit()) & want.isfinite() & (want != 0)
        assert not signs.any()


def test_the_choice_reaches_the_kernels() -> None:
    """Baseline x86-64 has no fused multiply-add: some last bits are others."""
    if "baseline" not in library.isas() or len(library.isas()) < 2:
        pytest.skip("one instruction set here")
    x, dy = values((64, 100), 1, 0).float(), values((64, 100), 0, 1).float()
    made = {}
    try:
        for name in library.isas():
            library.set_isa(name)
            made[name] = step(x, dy)["y"]
    finally:
        library.set_isa(None)
    assert not torch.equal(made["baseline"], made["avx2"])
    assert_close(made["baseline"], made["avx2"], 1e-6, "y")


@pytest.mark.parametrize("name", library.isas())
def test_the_environment_forces_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENKEEL_ISA", name)  # read when a library is loaded: a fresh copy
    copy = ctypes.CDLL(str(shutil.copy(library.LIBRARY, tmp_path / f"{name}.so")))
    copy.ek_isa.restype = ctypes.c_char_p
    assert copy.ek_isa() == name.encode()
