"""SyncBatchNorm in two processes under DDP, FSDP, torch.compile and checkpoints, and all inputs."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import multiprocessing

from nn.sync_tools_ranks import WORLD, run

Found = list[dict[str, Any]]
TOOLS = (
    "DDP",
    "static graph",
    "no_sync",
    "unused parameters",
    "compiled",
    "checkpoint",
    "reentrant checkpoint",
    "fully_shard",
    "FullyShardedDataParallel",
    "accumulated",
    "lockstep",
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(run, (str(folder),), WORLD)  # type: ignore[attr-defined,no-untyped-call]
    return [json.loads(Path(folder / f"{rank}.json").read_text()) for rank in range(WORLD)]


@pytest.mark.parametrize("tool", TOOLS)
def test_gradients_and_statistics_are_those_of_the_whole_batch(found: Found, tool: str) -> None:
    assert [told[tool] for told in found] == pytest.approx([0, 0], abs=1e-12)


def test_shapes_layouts_and_dtypes(found: Found) -> None:
    for told in found:
        for name, error in told["kinds"].items():
            kind = name.rpartition("torch.")[2]
            dtype = getattr(torch, kind) if "torch" in name else torch.float32
            assert error <= 4 * torch.finfo(dtype).eps, name


def test_recomputation_moves_nothing_again(found: Found) -> None:
    for told in found:
        assert set(told["counted"].values()) == {1}


def test_lightnings_plugin_makes_layers_sync_while_it_fits(found: Found) -> None:
    for told in found:
        assert told["lightning"]["apart"] <= 1e-12
        assert told["lightning"]["during"] == ["SyncBatchNorm"] * 3
        assert told["lightning"]["after"] == ["BatchNorm2d"] * 3
