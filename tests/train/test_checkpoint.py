import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from evenkeel.errors import BadRun
from evenkeel.train.checkpoint import (
    Checkpoint,
    Diverged,
    all_finite,
    load_checkpoint,
    restore_network,
    save_checkpoint,
)
from evenkeel.train.history import History
from evenkeel.train.records import TrainRow
from evenkeel.train.rng import rng_state

IDENTITY: dict[str, Any] = {"recipe": "conv20", "seed": 0, "lr": 0.002}


@pytest.fixture
def checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(20, 30), nn.BatchNorm1d(30))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(8, 20)).square().mean().backward()
    optimizer.step()
    return Checkpoint(
        identity=IDENTITY,
        step=50,
        seconds=1.5,
        network=dict(network.state_dict()),
        optimizer=optimizer.state_dict(),
        history=History(train=[TrainRow(1, 0.5, 0.25, 0.01)]).state(),
        rng=rng_state(),
    )


@pytest.fixture
def path(tmp_path: Path, checkpoint: Checkpoint) -> Path:
    save_checkpoint(tmp_path / "last.ckpt", checkpoint)
    return tmp_path / "last.ckpt"


def same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_everything_comes_back(path: Path, checkpoint: Checkpoint) -> None:
    loaded = load_checkpoint(path, IDENTITY)
    for name in Checkpoint.__dataclass_fields__:
        assert same(getattr(loaded, name), getattr(checkpoint, name)), name


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BadRun) as caught:
        load_checkpoint(path, IDENTITY)
    assert str(path) in str(caught.value)


def test_a_flipped_bit_in_any_content_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        places = [
            (info.filename, info.header_offset, info.file_size) for info in archive.infolist()
        ]
    for name, offset, size in places:
        start = (
            offset
            + 30
            + sum(int.from_bytes(whole[offset + at : offset + at + 2], "little") for at in (26, 28))
        )
        damaged = bytearray(whole)
        damaged[start + size // 2] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(BadRun, match="wrong checksum"):
            load_checkpoint(path, IDENTITY)
        assert name  # named in the loop for a failing run's output


def test_a_damaged_directory_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for at in range(1, 400, 7):
        damaged = bytearray(whole)
        damaged[-at] ^= 0xFF
        path.write_bytes(damaged)
        try:
            load_checkpoint(path, IDENTITY)  # some bytes there mean nothing
        except BadRun:
            continue


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.trace}",)


def test_an_attack_in_a_checkpoint_is_not_executed(tmp_path: Path, checkpoint: Checkpoint) -> None:
    trace, path = tmp_path / "executed", tmp_path / "last.ckpt"
    content = {name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__}
    torch.save({"format": "evenkeel checkpoint 1", **content, "rng": Attack(trace)}, path)
    with pytest.raises(BadRun, match="tensors and plain values"):
        load_checkpoint(path, IDENTITY)
    assert not trace.exists()
    torch.load(path, weights_only=False)  # what an unsafe reader would have done
    assert trace.exists()


@pytest.mark.parametrize("legacy", [True, False])
def test_an_attack_in_a_bare_pickle_is_not_executed(tmp_path: Path, legacy: bool) -> None:
    trace, path = tmp_path / "executed", tmp_path / "last.ckpt"
    if legacy:
        torch.save(Attack(trace), path, _use_new_zipfile_serialization=False)
    else:
        path.write_bytes(pickle.dumps(Attack(trace)))
    with pytest.raises(BadRun, match="not a checkpoint"):
        load_checkpoint(path, IDENTITY)
    assert not trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": {}, "pytorch-lightning_version": "2.6.0"},
        {"format": "evenkeel checkpoint 1"},
        {"format": "evenkeel checkpoint 2"},
        {},
        torch.zeros(3),
        [1, 2],
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(BadRun, match="not a checkpoint of evenkeel's"):
        load_checkpoint(tmp_path / "last.ckpt", IDENTITY)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a checkpoint at all", bytes(100_000)])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(BadRun, match="not a checkpoint, or a truncated one"):
        load_checkpoint(tmp_path / "last.ckpt", IDENTITY)


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.ckpt", tmp_path):
        with pytest.raises(BadRun, match="cannot be read"):
            load_checkpoint(path, IDENTITY)


def test_a_checkpoint_of_another_run_is_refused_and_the_difference_named(path: Path) -> None:
    with pytest.raises(BadRun) as caught:
        load_checkpoint(path, {**IDENTITY, "recipe": "dnn-elu"})
    assert "belongs to another run" in str(caught.value)
    assert "recipe 'conv20', not 'dnn-elu'" in str(caught.value)
    assert "seed" not in str(caught.value)


@pytest.mark.parametrize("field", ["network", "optimizer"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_state_that_is_not_finite_is_not_saved(
    path: Path, checkpoint: Checkpoint, field: str, value: float
) -> None:
    before = path.read_bytes()
    bad = {"state": [{"momentum": torch.tensor([1.0, value])}]}
    with pytest.raises(Diverged, match="not finite any more"):
        save_checkpoint(path, replace(checkpoint, **{field: bad}))  # type: ignore[arg-type]
    assert path.read_bytes() == before


def test_finiteness_is_of_floats_at_any_depth() -> None:
    assert all_finite([{"a": (torch.ones(2), torch.tensor(3))}, 5, "x", None])
    assert not all_finite([{"a": (torch.ones(2), torch.tensor(-torch.inf))}])


def test_weights_of_another_network_are_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(BadRun) as caught:
        restore_network(nn.Sequential(nn.Linear(20, 31)), checkpoint)
    assert "do not fit the recipe's network" in str(caught.value)
    assert "0.weight" in str(caught.value)
