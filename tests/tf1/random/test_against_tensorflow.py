"""Every number that TensorFlow 1.15 drew, drawn again: by the native library and by NumPy.

Two oracles: ``tf115_random.npz`` (made by record_tf115.py beside it: every dtype, the attributes
given) and ``shared/oracle/tf115_ops.npz`` (graph and operation seeds, layers' initial values).
"""

import hashlib
import json
import platform
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from evenkeel.kernels import library
from evenkeel.tf1.random import (
    SCALINGS,
    Draw,
    Stream,
    contrib_variance_scaling,
    fill,
    gamma,
    integers,
    multinomial,
    op_seeds,
    orthogonal,
    orthogonal_source,
    poisson,
    shuffle,
    unit_scaling,
    variance_scaling,
)
from oracles.tensorflow import recorded

WAYS = ["native", "numpy"]
FILE = Path(__file__).parent / "tf115_random.npz"
NORMALS = ("RandomStandardNormal", "TruncatedNormal")
ON_GLIBC = platform.libc_ver()[0] == "glibc"
RUNS = ("run1", "run2")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which of the two draws."""
    if request.param == "numpy":
        monkeypatch.setattr(library, "why_missing", lambda: "NumPy's turn")
    elif library.why_missing():
        pytest.skip(library.why_missing())
    return str(request.param)


@cache
def file() -> tuple[dict[str, Any], dict[str, np.ndarray[Any, Any]]]:
    with np.load(FILE) as arrays:
        return json.loads(arrays["meta"].tobytes()), dict(arrays)


CASES = [name for name in file()[0] if name != "seeds" and not name.startswith("initializer/")]
INITIALIZERS = [name for name in file()[0] if name.startswith("initializer/")]


def same(got: Tensor, want: np.ndarray[Any, Any]) -> bool:
    """Bit for bit; a long array is known by its SHA-256."""
    mine = (got.float() if got.dtype is torch.bfloat16 else got).numpy()
    if want.dtype == np.uint8:
        digest = hashlib.sha256(mine.tobytes()).digest()
        return digest == want.tobytes()
    return mine.dtype == want.dtype and mine.tobytes() == want.tobytes()


def near(got: Tensor, want: np.ndarray[Any, Any], budget: float) -> bool:
    true = torch.from_numpy(want).double()
    return bool((got.double() - true).abs().max() <= budget * true.abs().max())


def drawn(case: dict[str, Any], stream: Stream) -> Tensor:
    kind, dtype = case["type"], getattr(torch, case.get("dtype", "float32"))
    if kind == "RandomUniformInt":
        return integers(dtype, case["shape"], stream, case["low"], case["high"])
    if kind == "RandomShuffle":
        rows = torch.arange(np.prod(case["shape"]), dtype=torch.int32).reshape(case["shape"])
        return shuffle(rows, stream)
    if kind == "Multinomial":
        logits = torch.tensor(case["logits"]).to(dtype)
        return multinomial(logits, case["count"], stream)
    if kind in ("RandomGamma", "RandomPoissonV2"):
        draw = gamma if kind == "RandomGamma" else poisson
        return draw(case["shape"], torch.tensor(case["parameter"], dtype=dtype), stream)
    return fill(kind, dtype, case["shape"], stream)


# One unit in the last place of the largest for what NumPy's or Python's functions round otherwise.
UNIT = {"float16": 2**-10, "bfloat16": 2**-7, "float32": 3e-7, "float64": 1e-15}


@pytest.mark.parametrize("name", CASES)
def test_two_runs_of_every_case(name: str, way: str) -> None:
    meta, arrays = file()
    case, stream = meta[name], Stream.seeded(meta[name]["seed"], meta[name]["seed2"])
    kind = case["type"]
    rounded = kind == "RandomGamma" or (kind in NORMALS and not (way == "native" and ON_GLIBC))
    for run in RUNS:
        got, want = drawn(case, stream), arrays[f"{name}/{run}"]
        if rounded and want.dtype != np.uint8:
            assert near(got, want, UNIT[case["dtype"]]), f"{name} {run}"
        elif not rounded:
            assert same(got, want), f"{name} {run}"


def test_the_comparison_sees_one_bit_and_another_run() -> None:
    meta, arrays = file()
    for name in ("RandomUniform/float32/7", "RandomStandardNormal/float32/long"):
        case = meta[name]
        got = drawn(case, Stream.seeded(case["seed"], case["seed2"]))
        want = arrays[f"{name}/run1"]
        if name.endswith("long") and (library.why_missing() or not ON_GLIBC):
            continue
        assert same(got, want)
        assert not same(got, arrays[f"{name}/run2"])
        changed = got.clone()
        changed.view(torch.int32).view(-1)[3] ^= 1
        assert not same(changed, want)
    seven = arrays["RandomUniform/float32/7/run1"]
    assert not near(torch.from_numpy(seven) + 1e-5, seven, UNIT["float32"])


# Initial values.


def scaled(name: str, case: dict[str, Any]) -> Draw:
    shape, arguments = case["shape"], case["arguments"]
    if name == "random_uniform":
        return Draw("RandomUniform", *arguments)
    if name in ("random_normal", "truncated_normal"):
        kind = {"random_normal": "RandomStandardNormal", "truncated_normal": "TruncatedNormal"}
        return Draw(kind[name], *arguments)
    if name == "uniform_unit_scaling":
        return unit_scaling(shape, *arguments)
    if name == "variance_scaling":
        return variance_scaling(shape, *arguments)
    if name == "variance_scaling_initializer":
        return contrib_variance_scaling(shape, *arguments)
    if name == "xavier_initializer":
        return contrib_variance_scaling(shape, 1.0, "FAN_AVG", *arguments)
    return variance_scaling(shape, *SCALINGS[name])


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers(name: str, way: str) -> None:
    meta, arrays = file()
    case, short = meta[name], name.split("/")[1]
    stream = Stream.seeded(case["seed"], case["seed2"])
    for run in RUNS:
        want = arrays[f"{name}/{run}"]
        if short == "orthogonal":
            flat = orthogonal_source(case["shape"])
            normals = Draw("RandomStandardNormal", 0.0, 1.0).tensor(torch.float32, flat, stream)
            got = orthogonal(normals, case["shape"], *case["arguments"])
            assert near(got, want, 1e-6)
            continue
        draw = scaled(short, case)
        got = draw.tensor(torch.float32, case["shape"], stream)
        exact = draw.kind == "RandomUniform" or (way == "native" and ON_GLIBC)
        assert same(got, want) if exact else near(got, want, UNIT["float32"]), f"{name} {run}"


# Seeds.


def test_seeds_are_those_of_get_seed() -> None:
    table = file()[0]["seeds"]["table"]
    assert len(table) == 64
    for graph_seed, op_seed, want in table:
        assert list(op_seeds(graph_seed, op_seed, last_id=4)) == want, (graph_seed, op_seed)


# The shared oracle: seeds of graph and operation, one operation before.

MAPPED = {
    "random_uniform": Draw("RandomUniform", -2.0, 3.0),
    "random_uniform_f64": Draw("RandomUniform", 0.0, 1.0),
    "random_normal": Draw("RandomStandardNormal", 1.0, 2.0),
    "truncated_normal": Draw("TruncatedNormal", 0.0, 0.05),
}
# Operations created before the random one: a constant, then shape and bounds, or mean and
# deviation; or the range that is shuffled.
BEFORE = {"random_shuffle": 5}


def again(name: str, stream: Stream, like: Tensor) -> Tensor:
    """One run of a case of the shared oracle."""
    if name == "random_shuffle":
        return shuffle(torch.arange(len(like), dtype=like.dtype), stream)
    if name == "random_uniform_int":
        return integers(like.dtype, list(like.shape), stream, 0, 1000)
    return MAPPED[name].tensor(like.dtype, list(like.shape), stream)


def test_the_shared_oracle(shared: Path, way: str) -> None:
    cases = recorded(shared, "random")
    assert len(cases) == 24
    for case in cases:
        _, name, _ = case.name.split("/")
        given, last_id = case.parameters, BEFORE.get(name, 4)
        stream = Stream.seeded(*op_seeds(given["graph_seed"], given["op_seed"], last_id))
        exact = "normal" not in name or (way == "native" and ON_GLIBC)
        for run in RUNS:
            want = case.arrays[run]
            got = again(name, stream, want)
            assert same(got, want.numpy()) if exact else near(got, want.numpy(), 3e-7), case.name


# The layers' kernels, and how many operations the program had created before each one's own.
LAYERS = {
    "d1.kernel": (variance_scaling([20, 8], *SCALINGS["glorot_uniform"]), 4),
    "d2.kernel": (variance_scaling([8, 3], *SCALINGS["glorot_uniform"]), 44),
    "xavier": (contrib_variance_scaling([6, 5], 1.0, "FAN_AVG", True), 55),
    "he": (variance_scaling([3, 3, 4, 5], 2.0), 65),
    "tn": (Draw("TruncatedNormal", 0.0, 0.05), 74),
}


@pytest.mark.parametrize("name", LAYERS)
def test_initial_values_of_layers(name: str, shared: Path, way: str) -> None:
    (case,) = recorded(shared, "init")
    want, (draw, last_id) = case.arrays[name], LAYERS[name]
    seeds = op_seeds(case.parameters["graph_seed"], None, last_id)
    got = draw.tensor(torch.float32, list(want.shape), Stream.seeded(*seeds))
    exact = draw.kind == "RandomUniform" or (way == "native" and ON_GLIBC)
    assert same(got, want.numpy()) if exact else near(got, want.numpy(), 3e-7)
