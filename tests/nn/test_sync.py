"""SyncBatchNorm in 2 and 4 processes on gloo against one process with the whole batch."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import multiprocessing

from evenkeel import mailbox
from evenkeel.errors import BadOption
from evenkeel.nn import BatchNorm, SyncBatchNorm
from evenkeel.peers import HEADER, Peers
from nn.sync_ranks import CASES, SPLITS, WORLD, kinds, run

LIMITS = {torch.float32: 1e-6, torch.float64: 1e-12}
FAILURES = {  # what rank 1 raises, and what the others do
    "channels": ("RanksDiffer", "RanksDiffer", "SyncBatchNorm, 4 channels"),
    "message length": ("RanksDiffer", "RanksDiffer", "900 channels"),
    "dtype": ("RanksDiffer", "RanksDiffer", "stem.bn, 3 channels, float64"),
    "half": ("RanksDiffer", "RanksDiffer", "stem.bn, 3 channels, float16"),
    "layer": ("RanksDiffer", "RanksDiffer", "head.bn"),
    "gradients": ("RanksDiffer", "RanksDiffer", "without gradients"),
    "shape": ("BadShape", "RanksDiffer", "stem.bn"),
    "all empty": ("EmptyBatch", "EmptyBatch", "stem.bn"),
    "one value": ("OneValuePerChannel", "OneValuePerChannel", "stem.bn"),
    "negative": ("BadOption", "RanksDiffer", "stem.bn"),
    "in peace": ("nothing", "nothing", ""),
}


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(run, (str(folder),), WORLD)  # type: ignore[attr-defined,no-untyped-call]
    return [json.loads(Path(folder / f"{rank}.json").read_text()) for rank in range(WORLD)]


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", [*CASES, "twenty steps"])
def test_the_parts_do_what_the_whole_batch_does(
    findings: list[dict[str, Any]], name: str, split: str, size: int
) -> None:
    for dtype in kinds(name):
        for rank, found in enumerate(findings):
            errors = found[f"{name}, {dtype}, {split}, {size}"]
            assert errors
            assert max(errors.values()) <= LIMITS[dtype], (rank, errors)


@pytest.mark.parametrize("name", FAILURES)
def test_what_goes_wrong_is_raised_on_every_rank(findings: list[dict[str, Any]], name: str) -> None:
    on_first, on_others, words = FAILURES[name]
    for rank, found in enumerate(findings):
        kind, text = found["disagreements"][name]
        assert kind == (on_first if rank == 1 else on_others)
        assert words in text or on_first != on_others


def test_one_message_forward_one_backward_none_in_inference(
    findings: list[dict[str, Any]],
) -> None:
    for found in findings:
        # Two for the mailbox, at the first exchange of a group.
        assert found["messages"] == {
            "forward": ["all_gather 256", "all_gather 256", "all_gather 4232"],
            "backward": ["all_gather 4232"],
            "eval": [],
            "wide": ["all_gather 4232", f"all_gather {2 * 514 * 4 - 4104}"],
        }
        by = "mailbox" if mailbox._is_possible() else "all_gather"
        assert found["letters"]["backward"] == [f"{by} 4232"]
        assert by == "all_gather" or found["letters"] == {
            "forward": ["all_gather 256", "all_gather 256", "mailbox 4232"],
            "backward": ["mailbox 4232"],
            "eval": [],
            "wide": [f"mailbox {HEADER + 2 * 514 * 4}"],
        }


def test_ddp_with_two_forwards_before_a_backward(findings: list[dict[str, Any]]) -> None:
    assert all(found["ddp"] <= 1e-12 for found in findings)


def test_a_checkpointed_call_moves_once(findings: list[dict[str, Any]]) -> None:
    assert all(found["checkpoint"] == [1, 0] for found in findings)


def test_a_rank_that_is_gone_is_an_error_that_names_the_layer(
    findings: list[dict[str, Any]],
) -> None:
    kind, text = findings[2]["gone"]
    assert kind == "RanksDiffer"
    assert "SyncBatchNorm, 3 channels" in text


def test_without_a_process_group_it_is_a_batch_norm() -> None:
    x = torch.randn(4, 3, 5)
    plain, sync = BatchNorm(3, activation="relu"), SyncBatchNorm(3, activation="relu")
    for _ in range(2):
        assert torch.equal(plain(x), sync(x))
        for name, value in plain.state_dict().items():
            assert torch.equal(value, sync.state_dict()[name]), name
        plain.eval()
        sync.eval()


def test_a_group_needs_a_process_group_and_is_kept_by_copies() -> None:
    group = object()
    layer = SyncBatchNorm(3, group=group)
    with pytest.raises(BadOption, match="init_process_group"):
        layer(torch.randn(4, 3))
    assert copy.deepcopy(layer).peers.group is group
    with pytest.raises(BadOption, match="pickled"):
        pickle.dumps(layer)
    assert pickle.loads(pickle.dumps(Peers())) == Peers()
