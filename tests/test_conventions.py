"""Each row against what the framework itself does: recorded values, or torch on the spot.

``recorded/conventions.json`` was written by ``recorded/record_conventions.py`` under each framework.
"""

import json
import math
import pickle
import warnings
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evenkeel import conventions
from evenkeel.conventions import CONVENTIONS, Convention, FlippedMomentum, convention
from evenkeel.errors import BadOption, UnknownName
from evenkeel.nn import BatchNorm, ZeroDebiasedEma

Array = NDArray[np.float64]
HELD = json.loads((Path(__file__).parent / "recorded" / "conventions.json").read_text())
RECORDED = [name for name, held in HELD["cases"].items() if "ys" in held]
TOLERANCE = 1e-5
# TensorFlow computes 1 − momentum in float32 where `training` is a placeholder: 0.999 becomes a
# weight of 0.00099998713, and the averages carry that relative error
WEIGHT_ROUNDING = 2.0**-25


@dataclass(frozen=True)
class Run:
    """What a framework showed in training steps and one inference; gamma and beta as each step saw."""

    xs: Array
    ys: Array
    running_mean: Array
    running_var: Array
    x_test: Array
    y_test: Array
    channel_axes: tuple[int, ...] = (-1,)
    gamma: Array | None = None
    beta: Array | None = None


def recorded(name: str) -> tuple[Convention, Run]:
    case = HELD["cases"][name]
    rank, tiny = case["rank"], ", tiny" if case["tiny"] else ""
    *xs, x_test = np.array(HELD["inputs"][f"rank {rank}{tiny}"], np.float64)
    run = Run(
        xs=np.stack(xs),
        ys=np.array(case["ys"]),
        running_mean=np.array(case["running_mean"]),
        running_var=np.array(case["running_var"]),
        x_test=x_test,
        y_test=np.array(case["y_test"]),
    )
    return convention(case["row"], rank=rank, **case["given"]), run


def worst_error(got: Array, expected: Array) -> float:
    error = float(np.abs(got - expected).max() / np.abs(expected).max())
    return error if math.isfinite(error) else math.inf


def check_agrees(meaning: Convention, run: Run) -> None:
    """Play the run by the convention's own values, in float64 from the definition."""
    assert meaning.momentum is not None
    assert meaning.eps is not None
    axes = {a % run.x_test.ndim for a in run.channel_axes}
    rest = tuple(a for a in range(run.x_test.ndim) if a not in axes)
    start = meaning.initial
    mean, var = np.float64(start.mean), np.float64(start.var)
    shape = run.x_test.mean(rest, keepdims=True).shape
    vectors = (len(run.xs) + 1, *shape)
    gamma = (np.full(vectors, start.weight) if run.gamma is None else run.gamma).reshape(vectors)
    beta = (np.full(vectors, start.bias) if run.beta is None else run.beta).reshape(vectors)
    tolerance = TOLERANCE + WEIGHT_ROUNDING / meaning.momentum
    for t, x in enumerate(run.xs):
        count = x.size // x.mean(rest).size
        batch_mean, batch_var = x.mean(rest, keepdims=True), x.var(rest, keepdims=True)
        y = gamma[t] * (x - batch_mean) / np.sqrt(batch_var + meaning.eps) + beta[t]
        assert worst_error(run.ys[t], y) <= TOLERANCE, f"output of step {t}"
        stored = batch_var * count / (count - 1) if meaning.running_var == "unbiased" else batch_var
        mean = (1 - meaning.momentum) * mean + meaning.momentum * batch_mean
        var = (1 - meaning.momentum) * var + meaning.momentum * stored
        scale = 1 - (1 - meaning.momentum) ** (t + 1) if meaning.zero_debias else 1.0
        seen = run.running_mean[t].reshape(shape), run.running_var[t].reshape(shape)
        assert worst_error(seen[0], mean / scale) <= tolerance, f"running mean after step {t}"
        assert worst_error(seen[1], var / scale) <= tolerance, f"running variance after step {t}"
    y = gamma[-1] * (run.x_test - mean / scale) / np.sqrt(var / scale + meaning.eps) + beta[-1]
    assert worst_error(run.y_test, y) <= TOLERANCE, "output of inference"


@pytest.mark.parametrize("name", RECORDED)
def test_row_does_what_its_framework_did(name: str) -> None:
    check_agrees(*recorded(name))


def test_every_row_has_a_record() -> None:
    # timm-tf is torch's layer with two numbers; the two functions of tf.nn keep no averages
    stateless = {"tf.nn.fused_batch_norm", "tf.nn.batch_normalization", "timm-tf", "torch"}
    proved = {id(CONVENTIONS[HELD["cases"][name]["row"]]) for name in RECORDED}
    assert {n for n in CONVENTIONS if id(CONVENTIONS[n]) not in proved} == stateless


ORACLE = {
    "layers_batch_normalization/default": ("tf.layers", {"rank": 2}),
    "layers_batch_normalization/mom09": ("tf.layers", {"rank": 2, "momentum": 0.9, "eps": 1e-5}),
    "layers_batch_normalization/conv": ("tf.layers", {"momentum": 0.8}),
    "layers_batch_normalization/nocenter": ("tf.layers", {"rank": 2, "momentum": 0.8}),
    "layers_batch_normalization/noscale": ("tf.layers", {"momentum": 0.8}),
    # fused=False and several axes leave the fused path: what rank 3 means, at rank 4
    "layers_batch_normalization/axis1": ("tf.layers", {"rank": 3, "momentum": 0.8}),
    "layers_batch_normalization/conv_unfused": ("tf.layers", {"rank": 3, "momentum": 0.8}),
    "layers_batch_normalization/multiaxis": ("tf.layers", {"rank": 3, "momentum": 0.8}),
    "contrib_batch_norm/default": ("tf.contrib.layers", {"rank": 2}),
    "contrib_batch_norm/scale": ("tf.contrib.layers", {"rank": 2, "momentum": 0.9}),
    "contrib_batch_norm/conv": ("tf.contrib.layers", {"momentum": 0.8}),
    "contrib_batch_norm/conv_unfused": ("tf.contrib.layers", {"rank": 3, "momentum": 0.8}),
    "contrib_batch_norm/nchw_unfused": ("tf.contrib.layers", {"rank": 3, "momentum": 0.8}),
}
AXES = {"axis1": (1,), "nchw_unfused": (1,), "multiaxis": (1, 2)}


def from_oracle(shared: Path, name: str) -> Run:
    with np.load(shared / "oracle" / "tf115_ops.npz") as held:
        prefix = name + "/"
        arrays = {
            k.removeprefix(prefix): held[k].astype(np.float64)
            for k in held.files
            if k.startswith(prefix)
        }
    xs, steps = arrays["xs"], len(arrays["xs"])

    def as_seen(variable: str, initial: float) -> Array | None:
        after = arrays.get(variable)
        if after is None:
            return None
        after = after.reshape(steps, -1)
        return np.concatenate([np.full_like(after[:1], initial), after])

    return Run(
        xs=xs,
        ys=arrays["ys"],
        running_mean=arrays["var.bn.moving_mean"],
        running_var=arrays["var.bn.moving_variance"],
        x_test=arrays["x_test"],
        y_test=arrays["y_test"],
        channel_axes=AXES.get(name.split("/")[1], (-1,)),
        gamma=as_seen("var.bn.gamma", 1.0),
        beta=as_seen("var.bn.beta", 0.0),
    )


@pytest.mark.parametrize("name", ORACLE)
def test_tensorflow_rows_against_the_oracle(shared: Path, name: str) -> None:
    row, given = ORACLE[name]
    check_agrees(convention(row, **given), from_oracle(shared, name))  # type: ignore[arg-type]


@pytest.mark.parametrize("eps", [0.001, 1.1e-5])
def test_fused_batch_norm_against_the_oracle(shared: Path, eps: float) -> None:
    prefix = f"fused_batch_norm/train1_eps{eps}/"
    with np.load(shared / "oracle" / "tf115_ops.npz") as held:
        a = {k.removeprefix(prefix): held[k].astype(float) for k in held.files if prefix in k}
    meaning = convention("tf.nn.fused_batch_norm", eps=eps)
    count, var = a["x"].size // 3, a["x"].var((0, 1, 2))
    stored = var * count / (count - 1) if meaning.running_var == "unbiased" else var
    assert worst_error(a["batch_var"], stored) <= TOLERANCE
    assert worst_error(a["batch_var"], var) > TOLERANCE
    y = a["scale"] * (a["x"] - a["x"].mean((0, 1, 2))) / np.sqrt(var + eps) + a["offset"]
    assert worst_error(a["y"], y) <= TOLERANCE


@pytest.mark.parametrize(("rank", "sizes"), [(2, (5, 3)), (3, (4, 3, 2)), (4, (2, 3, 2, 2))])
@pytest.mark.parametrize("tiny", [False, True])
def test_torch_row_against_torch(rank: int, sizes: tuple[int, ...], tiny: bool) -> None:
    layer = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d}[rank](3)
    torch.manual_seed(rank)
    xs = torch.randn(4, *sizes) * (2e-3 if tiny else 2) + (0 if tiny else 3)
    shown: list[Any] = []
    for x in xs[:-1]:
        y = layer(x).detach().numpy()
        running_mean, running_var = layer.running_mean, layer.running_var
        assert running_mean is not None
        assert running_var is not None
        shown.append(
            (x.double().numpy(), y, running_mean.numpy().copy(), running_var.numpy().copy())
        )
    y_test = layer.eval()(xs[-1]).detach().numpy()
    seen = [np.stack(column) for column in zip(*shown, strict=True)]
    run = Run(seen[0], seen[1], seen[2], seen[3], xs[-1].double().numpy(), y_test, (1,))
    check_agrees(convention("torch", rank=rank), run)


def mutants(meaning: Convention, tiny: bool) -> dict[str, Convention]:
    assert meaning.momentum is not None
    assert meaning.eps is not None
    other = {"biased": "unbiased", "unbiased": "biased"}[meaning.running_var]
    eps = {
        "ten times eps": replace(meaning, eps=10 * meaning.eps),
        "other eps": replace(meaning, eps=1e-5 if meaning.eps == 1e-3 else 1e-3),
    }
    rest = {
        "flipped momentum": replace(meaning, momentum=1 - meaning.momentum),
        "other variance": replace(meaning, running_var=other),  # type: ignore[arg-type]
        "zero debias": replace(meaning, zero_debias=not meaning.zero_debias),
        "initial mean": replace(meaning, initial=replace(meaning.initial, mean=0.1)),
        "initial variance": replace(meaning, initial=replace(meaning.initial, var=1.1)),
    }
    # a variance of 4e-6 shows eps and nothing else; one of 4 shows an eps of 1e-3, not one of 1e-5
    return eps if tiny else (rest | eps if meaning.eps == 1e-3 else rest)


@pytest.mark.parametrize("name", RECORDED)
def test_comparison_rejects_every_mutant(name: str) -> None:
    meaning, run = recorded(name)
    for mutant, wrong in mutants(meaning, HELD["cases"][name]["tiny"]).items():
        with pytest.raises(AssertionError, match=r"output|running"):
            check_agrees(wrong, run)
            pytest.fail(f"{mutant} passed", pytrace=False)


def test_floor_of_eps_is_seen() -> None:
    meaning, run = recorded("tf.layers tiny, rank 4")
    assert meaning.eps == 1.001e-5
    with pytest.raises(AssertionError, match="output"):
        check_agrees(replace(meaning, eps=1e-6), run)
    assert recorded("tf.layers tiny, rank 2")[0].eps == 1e-6


def test_comparison_fails_on_nan() -> None:
    meaning, run = recorded("tf.layers, rank 4")
    for field in ("ys", "running_mean", "running_var", "y_test"):
        spoiled = getattr(run, field).copy()
        spoiled.flat[0] = np.nan
        with pytest.raises(AssertionError):
            check_agrees(meaning, replace(run, **{field: spoiled}))


@pytest.mark.parametrize("name", RECORDED)
def test_evenkeel_layers_do_what_the_framework_did(name: str) -> None:
    meaning, run = recorded(name)
    if meaning.zero_debias:
        assert meaning.momentum is not None
        assert meaning.eps is not None
        running = ZeroDebiasedEma(meaning.momentum)
        layer = BatchNorm(
            3, meaning.eps, running=running, running_var=meaning.running_var, channel_axis=-1
        )
    else:
        layer = BatchNorm(3, channel_axis=-1, **meaning.kwargs)
    for t, x in enumerate(run.xs):
        y = layer(torch.tensor(x, dtype=torch.float32))
        assert layer.running_mean is not None
        assert layer.running_var is not None
        assert worst_error(y.detach().numpy(), run.ys[t]) <= TOLERANCE
        tolerance = TOLERANCE + WEIGHT_ROUNDING / (meaning.momentum or 1)
        assert worst_error(layer.running_mean.numpy(), run.running_mean[t]) <= tolerance
        assert worst_error(layer.running_var.numpy(), run.running_var[t]) <= tolerance
    y = layer.eval()(torch.tensor(run.x_test, dtype=torch.float32))
    assert worst_error(y.detach().numpy(), run.y_test) <= TOLERANCE


def test_tflearn_draws_its_gamma() -> None:
    gamma = np.array(HELD["cases"]["tflearn gamma"]["gamma"])
    initial = convention("tflearn").initial
    # 200 values: standard errors of 7 % in the deviation, 7 % of a deviation in the mean
    assert gamma.std() == pytest.approx(initial.weight_std, rel=0.2)
    assert abs(gamma.mean() - initial.weight) < 0.3 * initial.weight_std


def test_momentum_is_spelled_as_the_framework_spells_it() -> None:
    assert convention("tf.layers", momentum=0.9).kwargs["momentum"] == 0.1
    assert convention("torch", momentum=0.1).kwargs["momentum"] == 0.1
    assert convention("tf.contrib.layers").kwargs["momentum"] == 0.001
    assert convention("tf.layers", momentum=1).momentum == 0


def test_center_and_scale() -> None:
    assert convention("tf.contrib.layers").kwargs["scale"] is False
    assert convention("slim").kwargs["center"] is True
    assert all(
        convention(n, rank=4).scale for n in CONVENTIONS if "contrib" not in n and n != "slim"
    )


@pytest.mark.parametrize("name", list(CONVENTIONS))
def test_rows_are_plain_values(name: str) -> None:
    meaning = convention(name)
    assert pickle.loads(pickle.dumps(meaning)) == meaning
    assert meaning.source
    assert meaning.moves
    with pytest.raises(FrozenInstanceError):
        meaning.eps = 1.0  # type: ignore[misc]
    plain = {f.name for f in fields(meaning)} - {"initial"}
    assert all(isinstance(getattr(meaning, f), (str, int, float, type(None))) for f in plain)


def test_nothing_here_imports_torch() -> None:
    assert "torch" not in vars(conventions)


@pytest.mark.parametrize("name", ["haiku", "tf.nn.fused_batch_norm", "tf.nn.batch_normalization"])
def test_kwargs_of_a_framework_without_defaults(name: str) -> None:
    with pytest.raises(BadOption, match="no default for") as caught:
        _ = convention(name).kwargs
    assert "momentum=…" in caught.value.do


def test_kwargs_cannot_say_zero_debias() -> None:
    with pytest.raises(BadOption, match=r"zero-debiased") as caught:
        _ = convention("haiku", momentum=0.9).kwargs
    assert "ZeroDebiasedEma(0.1)" in caught.value.do


def test_unknown_name_suggests_neighbours() -> None:
    with pytest.raises(UnknownName, match=r"tf\.layers"):
        convention("tf.layer")


@pytest.mark.parametrize(
    ("momentum", "advice"),
    [
        (-0.1, "weight of the old side, 0.99 by default"),
        (1.01, "weight of the old side"),
        (99, "pass 0.99: not percent"),
        (math.nan, "weight of the old side"),
        ("0.9", "weight of the old side"),
        (True, "weight of the old side"),
    ],
)
def test_bad_momentum(momentum: Any, advice: str) -> None:
    with pytest.raises(BadOption, match="between 0 and 1") as caught:
        convention("tf.layers", momentum=momentum)
    assert advice in caught.value.do


@pytest.mark.parametrize("eps", [-1e-3, math.nan, math.inf, "1e-3"])
def test_bad_eps(eps: Any) -> None:
    with pytest.raises(BadOption, match="eps of keras3"):
        convention("keras3", eps=eps)


@pytest.mark.parametrize("rank", [1, 0, -4, 2.0, True])
def test_bad_rank(rank: Any) -> None:
    with pytest.raises(BadOption, match="rank of 2 or more"):
        convention("torch", rank=rank)


def test_rank_that_the_framework_refuses() -> None:
    with pytest.raises(BadOption, match="takes inputs of rank 4"):
        convention("tf.nn.fused_batch_norm", rank=2)


@pytest.mark.parametrize(
    ("name", "momentum", "meant"), [("torch", 0.99, 0.01), ("keras3", 0.1, 0.9)]
)
def test_momentum_of_the_other_side_is_suspected(name: str, momentum: float, meant: float) -> None:
    with pytest.warns(FlippedMomentum, match=f"pass {meant} ") as caught:
        assert convention(name, momentum=momentum).momentum == pytest.approx(
            max(momentum, 1 - momentum)
        )
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("name", "momentum"), [("torch", 0.0), ("torch", 1.0), ("tf.layers", 0.0), ("tf.layers", 0.5)]
)
def test_momenta_that_are_no_slips(name: str, momentum: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convention(name, momentum=momentum)
