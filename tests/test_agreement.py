"""Running statistics merged over ranks and clients against those of all values at once."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, multiprocessing, nn

import evenkeel as ek
from agreement_ranks import SIZES, batch, model, run
from evenkeel.errors import BadOption, BadShape

Found = list[dict[str, Any]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(run, (str(folder),), len(SIZES))  # type: ignore[attr-defined,no-untyped-call]
    return [json.loads(Path(folder / f"{rank}.json").read_text()) for rank in range(len(SIZES))]


def near(got: Any, want: Tensor) -> bool:
    return torch.allclose(torch.tensor(got, dtype=torch.float64), want.double(), rtol=1e-6)


def test_what_differs_is_named_on_every_rank(found: Found) -> None:
    for told in found:
        assert told["same"] == []
        assert told["moved"] == ["1.running_mean", "1.running_var"]
        assert any(text.startswith("1: rank 0 BatchNorm1d(3, eps=0.5") for text in told["other"])


def test_populations_merge_to_that_of_all_values(found: Found) -> None:
    values = torch.cat([batch(0), batch(1)]).double()
    for told in found:
        merged = told["population"]["merged"]
        assert near(merged["running_mean"], values.mean(0))
        assert near(merged["running_var"], values.var(0))
        assert merged["population_count"] == [14.0] * 3
        assert near(merged["population_m2"], values.var(0, correction=0) * 14)
        assert merged["num_batches_tracked"] == 5


@pytest.mark.parametrize(
    ("case", "counts"), [("by batches", (5, 2)), ("by count", SIZES), ("average", None)]
)
def test_averages_merge_by_their_weights(
    found: Found, case: str, counts: tuple[int, int] | None
) -> None:
    own = [told[case]["own"] for told in found]
    means = torch.tensor([part["running_mean"] for part in own]).double()
    spreads = torch.tensor([part["running_var"] for part in own]).double()
    weights = torch.tensor(counts or (1, 1)).double()[:, None] / sum(counts or (1, 1))
    mean, var = (weights * means).sum(0), (weights * spreads).sum(0)
    if counts:
        var = var + (weights * (means - mean).square()).sum(0)
    for told in found:
        assert near(told[case]["merged"]["running_mean"], mean)
        assert near(told[case]["merged"]["running_var"], var)


def test_ranks_with_other_layers_are_refused_on_every_rank(found: Found) -> None:
    for told in found:
        kind, text = told["unlike"]
        assert kind == "RanksDiffer"
        assert "1.running_mean [3], on [0]" in text


def test_one_process_keeps_what_it_has() -> None:
    net = model()
    net[1](batch(0))
    before = net[1].running_var.clone()  # type: ignore[operator]
    assert torch.equal(ek.sync_statistics(net)[1].running_var, before)  # type: ignore[index]
    assert ek.check_ranks(net) == ()


def clients(running: ek.Population | None) -> list[dict[str, Tensor]]:
    states = []
    for rank in (0, 1):
        torch.manual_seed(rank)
        net = model(running)
        net[1](batch(rank))
        states.append(net.state_dict())
    return states


def test_clients_merge_to_what_one_would_have_seen() -> None:
    states = clients(ek.Population())
    merged = ek.merge_states(states, SIZES)
    values = torch.cat([batch(0), batch(1)]).double()
    assert list(merged) == list(states[0])
    assert near(merged["1.running_var"].tolist(), values.var(0))
    weight = (states[0]["0.weight"] * 10 + states[1]["0.weight"] * 4) / 14
    assert torch.allclose(merged["0.weight"], weight)
    biased = ek.merge_states(states, SIZES, running_var="biased")["1.running_var"]
    assert near(biased.tolist(), values.var(0, correction=0))


def test_what_is_kept_local_is_left_out() -> None:
    merged = ek.merge_states(clients(None), keep_local=["1.*"])
    assert list(merged) == ["0.weight", "0.bias"]
    assert not model().load_state_dict(merged, strict=False).unexpected_keys


def test_states_of_unseen_layers_and_of_the_same_merge_to_themselves() -> None:
    state = model(ek.Population()).state_dict()
    for name, value in ek.merge_states([state, state], [3, 5]).items():
        assert torch.allclose(value, state[name]), name
        assert value.dtype == state[name].dtype


def test_what_cannot_be_merged_is_refused() -> None:
    state = model().state_dict()
    with pytest.raises(BadShape, match="of 2 alone"):
        ek.merge_states([state, nn.Linear(3, 3).state_dict()])
    for counts in ([1], [-1, 2], [0, 0]):
        with pytest.raises(BadOption, match="number of examples"):
            ek.merge_states([state, state], counts)
    with pytest.raises(BadOption, match="unknown way"):
        ek.merge_states([state], how="median")
    with pytest.raises(BadOption, match="number of examples"):
        ek.sync_statistics(model(), count=-1)
    with pytest.raises(BadOption, match=r"'bn\.\*', which matches none of 7 names"):
        ek.merge_states([state, state], keep_local=["1.*", "bn.*"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("1.running_var"), r"1\.running_var \[3\], on \[0\] of 2"),
        (lambda state: state.update({"1.running_mean": torch.ones(4)}), r"1\.running_mean \[3\]"),
        (lambda state: state.update({"more": torch.ones(4)}), r"more \[4\], on \[1\] of 2"),
    ],
)
def test_states_that_differ_are_named(change: Any, words: str) -> None:
    states = clients(None)
    change(states[1])
    with pytest.raises(BadShape, match=words):
        ek.merge_states(states)
    if "more" in states[1]:  # what stays with its client may differ
        assert "0.weight" in ek.merge_states(states[::-1], keep_local=["more"])


def test_layers_without_statistics_and_integers() -> None:
    nets = [nn.Sequential(ek.BatchNorm1d(3, track_running_stats=False)) for _ in range(2)]
    nn.init.constant_(nets[1].get_parameter("0.weight"), 4.0)
    nets[1].register_buffer("steps", torch.tensor(7))
    nets[0].register_buffer("steps", torch.tensor(9))
    merged = ek.merge_states([net.state_dict() for net in nets], [2, 1])
    assert torch.equal(merged["0.weight"], torch.full((3,), 2.0))
    assert int(merged["steps"]) == 9


def test_many_large_states_keep_float64_accuracy() -> None:
    generator = torch.Generator().manual_seed(0)
    states = [
        {
            "bn.running_mean": torch.randn(50_000, generator=generator) + 1e4,
            "bn.running_var": torch.rand(50_000, generator=generator) + 0.5,
            "w": torch.randn(200, 1_000, generator=generator),
        }
        for _ in range(20)
    ]
    counts = [10.0**k for k in range(-4, 16)]
    merged = ek.merge_states(states, counts)
    n = torch.tensor(counts, dtype=torch.float64)[:, None] / sum(counts)
    means, spreads = (
        torch.stack([s[f"bn.running_{k}"] for s in states]).double() for k in ("mean", "var")
    )
    mean = (n * means).sum(0)
    var = (n * spreads).sum(0) + (n * means.square()).sum(0) - mean.square()
    torch.testing.assert_close(merged["bn.running_mean"], mean.float(), rtol=2e-7, atol=0)
    torch.testing.assert_close(merged["bn.running_var"].double(), var, rtol=1e-6, atol=1e-7)
    assert merged["w"].dtype == torch.float32
