"""Native kernels at the edges of memory, of numbers and of layouts."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from math import isinf, prod
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import evenkeel as ek
from evenkeel.errors import NonFiniteBatch
from evenkeel.kernels import Call, library
from evenkeel.kernels.activations import ACTIVATIONS
from evenkeel.kernels.backward import native as backward
from evenkeel.kernels.fused import native as fused
from evenkeel.kernels.normalize import native as normalize
from evenkeel.kernels.plan import plan_of
from oracles import budgets, definitions
from oracles.compare import assert_close
from oracles.strategies import values

MISSING = library.why_missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

EPS = 1e-3
LAST = torch.channels_last
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
# The last two need a workspace.
SHAPES = [(5, 3), (7, 33), (4, 5, 3, 3), (2, 3, 91, 93), (3, 700, 2, 2), (40, 2100)]
Results = list[Tensor]


def wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return values(shape, 1.0, seed).to(dtype)


def all_operations(x: Tensor, dy: Tensor, residual: Tensor) -> Results:
    """Every output of every native operation, from the lowest functions that Python has."""
    C, kind = x.shape[1], wide(x.dtype)
    weight, bias = normal(C, seed=7, dtype=kind), normal(C, seed=8, dtype=kind)
    plan = plan_of(Call.of(x), kind, EPS, "relu")
    running = normal(C, dtype=kind), normal(C, dtype=kind).square()
    moved = fused.Moved(*running, 0.1, True)
    y, (statistics, _) = fused.forward(plan, x, weight, bias, residual, moved)
    wanted = True, True, True, True
    made = backward.run(plan, dy, x, y, None, weight, bias, statistics, wanted)
    saved = torch.zeros(5, C, dtype=kind)
    z = normalize.forward(plan, x, *running, weight, bias, residual, saved=saved)
    gradients = [g for g in made if g is not None]
    assert len(gradients) == 4
    return [y, statistics, *gradients, z, saved, *running]


def same_bits(mine: Results, other: Results) -> bool:
    pairs = zip(mine, other, strict=True)
    return all(
        torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8))
        for a, b in pairs
    )


class Fences:
    """Takes torch.empty's place: every buffer stands between fences of a known byte."""

    BYTE = 0xA5

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.buffers: list[tuple[Tensor, int, int]] = []
        patch.setattr(torch, "empty", self.empty)
        patch.setattr(torch, "empty_like", self.empty_like)

    def placed(self, shape: tuple[int, ...], stride: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        size, before = prod(shape) * dtype.itemsize, 4096 + dtype.itemsize  # aligned to one value
        buffer = torch.full((before + size + 4096 + 8,), self.BYTE, dtype=torch.uint8)
        self.buffers.append((buffer, before, before + size))
        own = buffer[dtype.itemsize :][: (len(buffer) - 8) // 8 * 8].view(dtype)
        return own.as_strided(shape, stride, before // dtype.itemsize)

    def empty(self, *shape: Any, dtype: torch.dtype) -> Tensor:
        sizes = tuple(shape[0]) if isinstance(shape[0], tuple) else shape
        strides = tuple(prod(sizes[k + 1 :]) for k in range(len(sizes)))
        return self.placed(sizes, strides, dtype)

    def empty_like(self, x: Tensor) -> Tensor:
        return self.placed(tuple(x.shape), x.stride(), x.dtype)

    def whole(self) -> bool:
        """Whether nothing was written beside a buffer."""
        outside = [part for b, start, end in self.buffers for part in (b[:start], b[end:])]
        return all(bool((part == self.BYTE).all()) for part in outside)


@pytest.mark.parametrize("isa", library.isas())
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("last", [False, True])
def test_nothing_is_written_beside_a_buffer(
    isa: str, dtype: torch.dtype, shape: tuple[int, ...], last: bool
) -> None:
    layout = LAST if last and len(shape) == 4 else torch.contiguous_format
    inputs = [
        normal(*shape, seed=s, dtype=dtype).contiguous(memory_format=layout) for s in range(3)
    ]
    library.set_isa(isa)
    try:
        want = all_operations(inputs[0], inputs[1], inputs[2])
        with pytest.MonkeyPatch.context() as patch:
            fences = Fences(patch)
            placed = [fences.empty_like(v).copy_(v) for v in inputs]
            got = all_operations(placed[0], placed[1], placed[2])
    finally:
        library.set_isa(None)
    assert len(fences.buffers) >= 3 + 7
    assert fences.whole()
    assert same_bits(got, want)
    assert same_bits(placed, inputs)


def test_a_write_beside_a_buffer_is_seen() -> None:
    with pytest.MonkeyPatch.context() as patch:
        fences = Fences(patch)
        x = torch.empty(3, dtype=torch.float32)
    assert fences.whole()
    x.as_strided((4,), (1,))[3] = 0
    assert not fences.whole()


WALLS = """
import ctypes, mmap, torch
from test_native_edges import DTYPES, SHAPES, all_operations, library, normal
libc = ctypes.CDLL(None, use_errno=True)
def at_a_wall(x, late):
    size, page = x.nbytes, mmap.PAGESIZE
    inside = (size + page - 1) // page * page
    room = mmap.mmap(-1, inside + 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(room))
    for wall in (start, start + page + inside):
        assert not libc.mprotect(ctypes.c_void_p(wall), ctypes.c_size_t(page), 0)
    at = page + (inside - size if late else 0)
    flat = torch.frombuffer(room, dtype=x.dtype, count=x.numel(), offset=at)
    return flat.as_strided(x.shape, x.stride(), flat.storage_offset()).copy_(x)
for isa in library.isas():
    library.set_isa(isa)
    for dtype in DTYPES:
        for shape in SHAPES:
            layouts = [torch.contiguous_format, torch.channels_last][: len(shape) // 2]
            for layout in layouts:
                for late in (False, True):
                    x = normal(*shape, dtype=dtype).contiguous(memory_format=layout)
                    all_operations(*(at_a_wall(x, late) for _ in range(3)))
print("stayed inside")
"""


def test_nothing_is_read_beside_an_input() -> None:
    """Inputs begin or end at a page that nobody may touch: a read beside them ends the process."""
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", WALLS],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.returncode} {done.stderr}"
    assert done.stdout == "stayed inside\n"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_alignment_of_memory_changes_no_bit(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    inputs = [normal(*shape, seed=s, dtype=dtype) for s in range(3)]
    odd = [torch.cat([v.flatten()[:1], v.flatten()])[1:].view(shape) for v in inputs]
    assert all(v.data_ptr() % (2 * dtype.itemsize) for v in odd)
    assert same_bits(
        all_operations(odd[0], odd[1], odd[2]), all_operations(inputs[0], inputs[1], inputs[2])
    )


# Numbers that are none.

SPECIAL = [torch.nan, torch.inf, -torch.inf]


def stepped(
    run: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor, dy: Tensor
) -> Results:
    leaves = [v.detach().requires_grad_() for v in (x, weight, bias)]
    y = run(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, dy)]


def mine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    layer = ek.BatchNorm2d(x.shape[1], EPS, activation="relu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NonFiniteBatch)
        y: Tensor = torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x,))
    return y


def torchs(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.relu(nn.functional.batch_norm(x, None, None, weight, bias, True, 0.1, EPS))


@pytest.mark.parametrize("value", SPECIAL)
@pytest.mark.parametrize("where", ["x", "bias", "dy"])
@pytest.mark.parametrize("last", [False, True])
def test_nan_and_infinities_travel_as_torchs(value: float, where: str, last: bool) -> None:
    layout = LAST if last else torch.contiguous_format
    x, dy = (normal(4, 3, 5, 5, seed=s).contiguous(memory_format=layout) for s in (0, 1))
    weight, bias = normal(3, seed=2), normal(3, seed=3)
    given = {"x": x, "bias": bias, "dy": dy}
    given[where][(1, 2, 3, 4) if where != "bias" else 1] = value
    got, want = (stepped(run, x, weight, bias, dy) for run in (mine, torchs))
    for name, a, b in zip(("y", "dx", "dweight", "dbias"), got, want, strict=True):
        assert_close(a, b, 1e-5, name)


@pytest.mark.parametrize("value", SPECIAL)
def test_a_weight_that_is_no_number_spoils_its_channel_and_no_other(value: float) -> None:
    """An infinite one gives NaN in torch, and ∞ by the definition: here either, never a number."""
    x, dy, bias = normal(4, 3, 5, 5), normal(4, 3, 5, 5, seed=1), normal(3, seed=3)
    weight = normal(3, seed=2)
    weight[1] = value
    got, want = (stepped(run, x, weight, bias, dy) for run in (mine, torchs))
    assert not (got[0][:, 1].isfinite() & (got[0][:, 1] != 0)).any()  # 0 is relu(-∞)
    assert not got[1][:, 1].isfinite().any()
    assert got[0][:, 1].isnan().all() or isinf(value)
    for a, b in zip(got, want, strict=True):
        sound = (a[:, ::2], b[:, ::2]) if a.ndim > 1 else (a[::2], b[::2])
        assert_close(*sound, 1e-5, "channels 0 and 2")


@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormals_are_kept(dtype: torch.dtype) -> None:
    tiny = torch.finfo(dtype).smallest_normal
    x = (normal(6, 40, dtype=torch.float64) * tiny / 8).to(dtype)
    kind = wide(dtype)
    zero, one = torch.zeros(40, dtype=kind), torch.ones(40, dtype=kind)
    plan, saved = plan_of(Call.of(x), kind, 0.0, None), torch.zeros(5, 40, dtype=kind)
    y = normalize.forward(plan, x, zero, one, None, None, None, saved=saved)
    dx = backward.run(plan, x, x, None, None, None, None, saved, (True, False, False, False), True)
    assert torch.equal(y, x)
    assert dx[0] is not None
    assert torch.equal(dx[0], x)
    assert x.any()


# Layouts.


def judged(x: Tensor, dy: Tensor, got: Results, residual: Tensor | None = None) -> None:
    """Compare y, dx, dweight, dbias with the definition in float64, without activation."""
    C = x.shape[1]
    leaves = [v.double().requires_grad_() for v in (x.detach(), torch.ones(C), torch.zeros(C))]
    y = definitions.batch_norm(leaves[0], leaves[1], leaves[2], EPS)
    rest = torch.zeros(()) if residual is None else residual.detach().double()
    want = [y.detach() + rest, *torch.autograd.grad(y, leaves, dy.double())]
    budget = budgets.of(x, dy, torch.ones(C), torch.ones(C), EPS, 1)
    for k, (a, b, bound) in enumerate(zip(got, want, budget, strict=True)):
        assert_close(a, b, bound, f"result {k}", dtype=torch.float32, scale=1.0)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda v: v.contiguous(),
    "channels last": lambda v: v.contiguous(memory_format=LAST),
    "gaps": lambda v: v.repeat_interleave(2, 3)[..., ::2],
    "transposed": lambda v: v.transpose(2, 3).contiguous().transpose(2, 3),
    "expanded": lambda v: v[:1, :1].expand(v.shape),
}


@pytest.mark.parametrize("of_x", [name for name in LAYOUTS if name != "expanded"])
@pytest.mark.parametrize("of_dy", LAYOUTS)
@pytest.mark.parametrize("of_residual", [None, *LAYOUTS])
def test_every_layout_of_x_beside_every_layout_of_the_others(
    of_x: str, of_dy: str, of_residual: str | None
) -> None:
    x, dy = LAYOUTS[of_x](normal(4, 3, 5, 6)), LAYOUTS[of_dy](normal(4, 3, 5, 6, seed=1))
    x.requires_grad_()
    residual = None if of_residual is None else LAYOUTS[of_residual](normal(4, 3, 5, 6, seed=2))
    if residual is not None:
        residual.requires_grad_()
    layer = ek.BatchNorm2d(3, EPS)
    y = layer(x, residual=residual)
    leaves = [x, layer.weight, layer.bias, *([] if residual is None else [residual])]
    made = torch.autograd.grad(y, leaves, dy)
    judged(x.detach(), dy, [y.detach(), *made[:3]], residual)
    assert residual is None or torch.equal(made[3], dy)


def test_a_sums_gradient_is_one_number_expanded() -> None:
    x = normal(4, 3, 5, 6).requires_grad_()
    layer = ek.BatchNorm2d(3, EPS)
    layer(x).sum().backward()
    assert x.grad is not None
    assert layer.bias.grad is not None
    assert float(x.grad.abs().max()) < 1e-5
    assert layer.bias.grad.tolist() == [120, 120, 120]


# Above a million values the residual's gradient is stored past the cache where its vectors are
# aligned: whole rows of channels are, runs of 196 values are not.
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_large_residuals_gradient(last: bool, activation: str, dtype: torch.dtype) -> None:
    x, dy, residual = (normal(32, 192, 14, 14, seed=k).to(dtype) for k in range(3))
    if last:
        x, dy, residual = (v.contiguous(memory_format=LAST) for v in (x, dy, residual))
    layer = ek.BatchNorm2d(192, EPS, activation=activation)
    leaves = [x.requires_grad_(), residual.requires_grad_()]
    y = layer(x, residual=residual)
    near = y.detach().abs() < (1e-2 if dtype == torch.bfloat16 else 1e-5)
    got = torch.autograd.grad(y, leaves, dy.masked_fill(near, 0))
    wide = [leaf.detach().double().requires_grad_() for leaf in leaves]
    t = definitions.batch_norm(wide[0], None, None, EPS) + wide[1]
    want = torch.autograd.grad(ACTIVATIONS[activation](t), wide, dy.masked_fill(near, 0).double())
    bound = 1e-2 if dtype == torch.bfloat16 else 2e-6
    for name, a, b in zip(("dx", "dresidual"), got, want, strict=True):
        assert_close(a, b, bound, name, dtype=dtype)


def test_x_may_be_its_own_residual() -> None:
    x, dy = normal(4, 3, 5, 6).requires_grad_(), normal(4, 3, 5, 6, seed=1)
    layer = ek.BatchNorm2d(3, EPS, activation="relu")
    y = layer(x, residual=x)
    (dx,) = torch.autograd.grad(y, x, dy)
    leaf = x.detach().double().requires_grad_()
    want = torch.relu(definitions.batch_norm(leaf, None, None, EPS) + leaf)
    assert_close(y.detach(), want, 1e-6, "y", dtype=torch.float32)
    assert_close(
        dx, torch.autograd.grad(want, leaf, dy.double())[0], 2e-6, "dx", dtype=torch.float32
    )
