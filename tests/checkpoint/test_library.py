"""The library: open, list, read, merge, whatever the version."""

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evenkeel.checkpoint import (
    Bundle,
    StringsSkipped,
    latest_checkpoint,
    list_tensors,
    merge_bundles,
    open_checkpoint,
    read_state,
    read_tensor,
    read_tensors,
    write_bundle,
    write_state,
)
from evenkeel.checkpoint.files import BLOCK
from evenkeel.errors import BadData, BadOption, DuplicateRow, UnknownName

Tensors = dict[str, NDArray[Any]]


@pytest.mark.parametrize("name", ["small", "v1"])
def test_list_and_read(recorded: Path, name: str) -> None:
    held = list_tensors(recorded / name)
    assert list(held) == sorted(held)
    assert (held["w/kernel"].dtype_name, held["w/kernel"].shape) == ("float32", (3, 5))
    assert read_tensor(recorded / name, "step") == 7
    assert list(read_tensors(recorded / name, ["step", "text"])) == ["step", "text"]
    with pytest.warns(StringsSkipped, match="strings left out: text$"):
        found = read_tensors(recorded / name)
    assert sorted(found) == sorted({*held} - {"text"})
    with pytest.raises(UnknownName):
        read_tensors(recorded / name, ["stepp"])


def test_shards_that_tensorflow_wrote(recorded: Path) -> None:
    found = read_tensors(recorded / "shards")
    assert {name: values.sum() for name, values in found.items()} == {"a": 0, "b": 4, "c": 12}


def test_merged_bytes_are_tensorflows(recorded: Path, tmp_path: Path) -> None:
    bundle = Bundle(recorded / "shards")
    from evenkeel.checkpoint import Piece

    c = bundle["c"]
    halves = [("c", Piece(c[i : i + 2], (4, 3), (i, 0))) for i in (0, 2)]
    write_bundle(tmp_path / "0", halves)
    write_bundle(tmp_path / "1", {"a": bundle["a"]})
    write_bundle(tmp_path / "2", {"b": bundle["b"]})
    merge_bundles([tmp_path / str(i) for i in range(3)], tmp_path / "mine")
    ends = [".index", *(f".data-0000{i}-of-00003" for i in range(3))]
    for end in ends:
        assert (tmp_path / f"mine{end}").read_bytes() == (recorded / f"shards{end}").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("*[!d]")) == sorted(
        f"mine{end}" for end in ends
    )


def test_pieces_of_one_tensor_in_two_checkpoints(tmp_path: Path) -> None:
    from evenkeel.checkpoint import Piece

    x = np.arange(5.0)
    write_bundle(tmp_path / "0", {"x": Piece(x[:2], (5,), (0,))})
    write_bundle(tmp_path / "1", {"x": Piece(x[2:], (5,), (2,))})
    merge_bundles([tmp_path / "0", tmp_path / "1"], tmp_path / "all")
    assert read_tensor(tmp_path / "all", "x").tolist() == x.tolist()


def test_what_cannot_be_merged(tmp_path: Path) -> None:
    write_bundle(tmp_path / "0", {"x": np.ones(1)})
    write_bundle(tmp_path / "1", {"x": np.ones(2)})
    with pytest.raises(DuplicateRow, match="twice: 'x'"):
        merge_bundles([tmp_path / "0", tmp_path / "1"], tmp_path / "all")
    with pytest.raises(BadData, match="no checkpoint of this name"):
        merge_bundles([tmp_path / "0", tmp_path / "2"], tmp_path / "all")
    assert read_tensor(tmp_path / "0", "x").tolist() == [1]  # nothing was moved
    assert not list(tmp_path.glob("all*"))
    with pytest.raises(BadOption, match="nothing to merge"):
        merge_bundles([], tmp_path / "all")
    with pytest.raises(BadOption, match="its own place"):
        merge_bundles([tmp_path / "0"], tmp_path / "0")
    assert read_tensor(tmp_path / "0", "x").tolist() == [1]


KILL = """
import os, sys
import numpy as np
from evenkeel.checkpoint import Bundle, merge_bundles, write_bundle
folder = sys.argv[1]
prefix = folder + "/model.ckpt"
old = {"x": np.zeros(3), "y": np.ones(1)}
new = {"x": np.ones(4), "y": np.full(2, 7.0)}

def merged(tensors):
    for name, values in tensors.items():
        write_bundle(f"{folder}/part-{name}", {name: values})
    merge_bundles([f"{folder}/part-{name}" for name in tensors], prefix)

def killed_at(moment):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    calls = iter(range(moment))
    def counted(call):
        def run(*arguments):
            if next(calls, None) is None:
                os._exit(9)
            return call(*arguments)
        return run
    os.replace, os.fsync = counted(os.replace), counted(os.fsync)
    os.rename = os.replace
    try:
        merged(new)
    finally:
        os._exit(0)

def state():
    bundle = Bundle(prefix)
    return {name: bundle[name].tolist() for name in bundle}

was, is_ = ({k: v.tolist() for k, v in t.items()} for t in (old, new))
moment, seen = 0, []
while True:
    merged(old)
    assert state() == was
    killed = killed_at(moment)
    found = state()
    assert found in (was, is_), found
    seen.append("new" if found == is_ else "old")
    if not killed:
        break
    moment += 1
print(seen.count("old") > 5, seen.count("new") > 2, seen == sorted(seen, reverse=True))
"""


def test_a_kill_at_any_moment_of_a_merge_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.split() == ["True", "True", "True"]


def resident() -> int:
    """Bytes of this process that are in memory and belong to files."""
    status = Path("/proc/self/status").read_text()
    line = next(row for row in status.splitlines() if row.startswith("RssFile"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="counts pages as Linux does")
def test_pages_leave_memory_with_the_tensor(tmp_path: Path) -> None:
    count = 24 * BLOCK // 4
    write_bundle(tmp_path / "a", {"x": np.ones(count, np.float32), "y": np.ones(count, np.float32)})
    checkpoint = open_checkpoint(tmp_path / "a")
    before = resident()
    first = checkpoint["x"]
    assert resident() - before < 4 * BLOCK  # checked block by block
    assert first[1:].sum() == count - 1
    assert resident() - before > 20 * BLOCK
    part = first[5:9]
    del first
    assert resident() - before > 20 * BLOCK  # a view of it lives on
    del part
    gc.collect()
    assert resident() - before < 4 * BLOCK
    assert checkpoint["y"].sum() == count


def test_a_file_that_is_cut_after_it_was_opened(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", {"x": np.ones(4000), "y": np.ones(4000)})
    bundle = Bundle(tmp_path / "a")
    assert bundle["x"].sum() == 4000
    os.truncate(tmp_path / "a.data-00000-of-00001", 100)
    with pytest.raises(BadData, match=r"tensor 'y'[\s\S]*100 bytes, 32000 wanted from byte 32000"):
        bundle["y"]


def test_an_empty_tensor_does_not_vouch_for_its_neighbour(tmp_path: Path) -> None:
    write_bundle(tmp_path / "a", [("none", np.ones(0)), ("x", np.ones(3))])
    data = tmp_path / "a.data-00000-of-00001"
    data.write_bytes(b"\1" + data.read_bytes()[1:])
    bundle = Bundle(tmp_path / "a")
    assert bundle["none"].shape == (0,)
    with pytest.raises(BadData, match="checksum"):
        bundle["x"]


def test_the_latest_is_the_last_of_those_kept(tmp_path: Path) -> None:
    write_state(tmp_path, "/a", ["/a", "/b"])
    state = read_state(tmp_path)
    assert state is not None
    assert state.all_model_checkpoint_paths == ("/a", "/b", "/a")  # as TensorFlow's


def test_states_with_times(tmp_path: Path) -> None:
    write_bundle(tmp_path / "m-2", {"x": np.ones(1)})
    kept = [str(tmp_path / "m-1"), str(tmp_path / "m-2")]
    write_state(tmp_path, kept[-1], kept, timestamps=[1.5, 1e9 + 0.25], preserved=3.0)
    state = read_state(tmp_path)
    assert state is not None
    assert state.all_model_checkpoint_timestamps == (1.5, 1e9 + 0.25)
    assert state.last_preserved_timestamp == 3.0
    assert latest_checkpoint(tmp_path) == kept[-1]
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "a"\nlast_preserved_timestamp: soon'
    )
    with pytest.raises(BadData, match="each line"):
        read_state(tmp_path)
