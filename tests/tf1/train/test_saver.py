"""``tf.train.Saver`` and what stands around it: kinds of savers, what is kept, kills, fresh starts."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel.checkpoint import Bundle, V1Checkpoint, open_checkpoint, write_bundle
from evenkeel.tf1.build import apply
from evenkeel.tf1.train import saver
from evenkeel.tf1.train.saveables import SaveableObject, SaveSpec

RECORDED = Path(__file__).parents[2] / "recorded" / "checkpoint"


@pytest.fixture
def session() -> Iterator[Any]:
    """A session on a graph with variables of several types and devices."""
    with tf.Graph().as_default() as graph:
        tf.get_variable("w", initializer=np.arange(6, dtype=np.float32).reshape(2, 3))
        with tf.device("/device:CPU:0"):
            tf.get_variable("step", initializer=np.int64(7), trainable=False)
            tf.Variable(tf.cast([1.5, -2.0, 3.140625], tf.bfloat16), name="low")
        for kind in ("float16", "complex64", "bool", "uint8", "float64", "int8"):
            tf.Variable(tf.constant(np.array([1, 0, 3]).astype(kind)), name=kind)
        with tf.Session(graph=graph) as made:
            made.run(tf.global_variables_initializer())
            yield made


def values(session: Any) -> dict[str, Any]:
    variables = session.graph.get_collection("variables")
    return {v.op.name: session.run(v).tolist() for v in variables}


def forget(session: Any) -> None:
    for v in session.graph.get_collection("variables"):
        session.run(tf.assign(v, tf.zeros_like(v)))


@pytest.mark.parametrize("version", [tf.train.SaverDef.V1, tf.train.SaverDef.V2])
@pytest.mark.parametrize("sharded", [False, True])
def test_every_kind_saves_and_restores(
    session: Any, tmp_path: Path, sharded: bool, version: int
) -> None:
    chosen = session.graph.get_collection("variables")
    if version == tf.train.SaverDef.V1:
        chosen = [v for v in chosen if v.op.name != "low"]
    made = tf.train.Saver(chosen, sharded=sharded, write_version=version)
    before = values(session)
    path = made.save(session, str(tmp_path / "m"), global_step=3, write_meta_graph=False)
    names = sorted(p.name for p in tmp_path.iterdir())
    wanted = {
        (False, 2): ["checkpoint", "m-3.data-00000-of-00001", "m-3.index"],
        (True, 2): [
            "checkpoint",
            "m-3.data-00000-of-00002",
            "m-3.data-00001-of-00002",
            "m-3.index",
        ],
        (False, 1): ["checkpoint", "m-3"],
        (True, 1): ["checkpoint", "m-3-00000-of-00002", "m-3-00001-of-00002"],
    }
    assert names == wanted[sharded, version]
    assert tf.train.latest_checkpoint(str(tmp_path)) == path
    assert isinstance(open_checkpoint(path), V1Checkpoint if version == 1 else Bundle)
    forget(session)
    made.restore(session, path)
    after = values(session)
    if version == tf.train.SaverDef.V1:
        assert after.pop("low") == [0.0] * 3
        before.pop("low")
    assert after == before


def test_names_of_numbered_checkpoints(session: Any, tmp_path: Path) -> None:
    made = tf.train.Saver(pad_step_number=True)
    step = session.graph.get_tensor_by_name("step:0")
    for given, name in (
        (step, "m-00000007"),
        ("step:0", "m-00000007"),
        (np.int64(12), "m-00000012"),
    ):
        path = made.save(session, str(tmp_path / "m"), given, write_meta_graph=False)
        assert Path(path).name == name


def test_the_saver_def_names_the_nodes(session: Any, tmp_path: Path) -> None:
    made = tf.train.Saver(max_to_keep=2, keep_checkpoint_every_n_hours=0.5)
    found = made.as_saver_def()
    assert (found.filename_tensor_name, found.restore_op_name) == (
        "save/Const:0",
        "save/restore_all",
    )
    assert (found.max_to_keep, found.keep_checkpoint_every_n_hours) == (2, 0.5)
    path = made.save(session, str(tmp_path / "m"), write_meta_graph=False)
    before = values(session)
    forget(session)
    tf.train.Saver(saver_def=found).restore(session, path)
    assert values(session) == before
    assert tf.train.Saver.from_proto(made.to_proto()).to_proto("save").save_tensor_name == (
        "control_dependency:0"
    )
    assert made.to_proto("other") is None


def test_a_meta_graph_is_written_beside(session: Any, tmp_path: Path) -> None:
    made = tf.train.Saver(max_to_keep=1)
    for step in (1, 2):
        made.save(session, str(tmp_path / "m"), step)
    assert sorted(p.name for p in tmp_path.glob("*.meta")) == ["m-2.meta"]
    before = values(session)
    with tf.Graph().as_default(), tf.Session() as other:
        tf.train.import_meta_graph(str(tmp_path / "m-2.meta")).restore(other, str(tmp_path / "m-2"))
        assert values(other) == before


def test_one_is_kept_every_n_hours(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr("evenkeel.tf1.train.saver.time.time", lambda: now)
    made = tf.train.Saver(max_to_keep=1, keep_checkpoint_every_n_hours=1)
    for step in range(8):
        now += 1200
        made.save(session, str(tmp_path / "m"), step, write_meta_graph=False)
    # Steps are 20 minutes apart: 3 and 6 are the first after each full hour; 7 is the last.
    assert sorted(p.name for p in tmp_path.glob("*.index")) == [
        "m-3.index",
        "m-6.index",
        "m-7.index",
    ]


def test_a_saver_takes_over_what_is_there(session: Any, tmp_path: Path) -> None:
    first = tf.train.Saver()
    paths = [first.save(session, str(tmp_path / "m"), s, write_meta_graph=False) for s in range(3)]
    second = tf.train.Saver(max_to_keep=2)
    second.recover_last_checkpoints([*paths, str(tmp_path / "gone")])
    assert second.last_checkpoints == paths
    assert len(tf.train.get_checkpoint_mtimes([*paths, str(tmp_path / "gone")])) == 3
    for step in (3, 4):
        second.save(session, str(tmp_path / "m"), step, write_meta_graph=False)
    # One is deleted a save, as in TensorFlow.
    assert [Path(p).name for p in second.last_checkpoints] == ["m-2", "m-3", "m-4"]
    second.set_last_checkpoints(paths[:1])
    assert second.last_checkpoints == paths[:1]


def test_no_limit_lists_only_the_last(session: Any, tmp_path: Path) -> None:
    made = tf.train.Saver(max_to_keep=None)
    for step in range(7):
        made.save(session, str(tmp_path / "m"), step, write_meta_graph=False)
    state = tf.train.get_checkpoint_state(str(tmp_path))
    assert [Path(p).name for p in state.all_model_checkpoint_paths] == ["m-6"]
    assert len(list(tmp_path.glob("*.index"))) == 7


def test_relative_paths_move_with_the_folder(session: Any, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    tf.train.Saver(save_relative_paths=True).save(
        session, str(tmp_path / "a" / "m"), write_meta_graph=False, latest_filename="latest"
    )
    (tmp_path / "a").rename(tmp_path / "b")
    found = tf.train.latest_checkpoint(str(tmp_path / "b"), "latest")
    assert found == str(tmp_path / "b" / "m")
    tf.train.remove_checkpoint(found)
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["latest"]
    assert tf.train.latest_checkpoint(str(tmp_path / "b"), "latest") is None


def test_an_unreadable_state_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "checkpoint").write_text("what")
    assert tf.train.get_checkpoint_state(str(tmp_path)) is None
    assert "Checkpoint ignored" in caplog.text


def test_empty_savers_and_deferred_ones(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        empty = tf.train.Saver(allow_empty=True)
        assert empty.save(session, str(tmp_path / "m"), write_meta_graph=False) is None
        empty.restore(session, "nowhere")
        late = tf.train.Saver(defer_build=True)
        w = tf.Variable(2.0)
        late.build()
        session.run(w.initializer)
        assert late.save(session, str(tmp_path / "m"), write_meta_graph=False)


def test_a_damaged_checkpoint_is_data_loss(session: Any, tmp_path: Path) -> None:
    made = tf.train.Saver()
    path = made.save(session, str(tmp_path / "m"), write_meta_graph=False)
    data = Path(f"{path}.data-00000-of-00001")
    whole = bytearray(data.read_bytes())
    entry = Bundle(path).entries["w"]
    whole[entry.offset] ^= 1
    data.write_bytes(whole)
    with pytest.raises(tf.errors.DataLossError, match=rf"tensor 'w' at byte {entry.offset}"):
        made.restore(session, path)
    with pytest.raises(tf.errors.DataLossError, match="tensor 'w'"):
        tf.train.load_variable(path, "w")
    assert tf.train.load_variable(path, "step:0") == 7


def test_programs_may_save_in_their_own_way(tmp_path: Path) -> None:
    class Twice(SaveableObject):
        def __init__(self, variable: Any, name: str) -> None:
            spec = SaveSpec(variable * 2.0, "", name)
            super().__init__(variable, [spec], name)

        def restore(self, restored_tensors: Any, restored_shapes: Any) -> Any:
            return self.op.assign(restored_tensors[0] / 2.0)

    with tf.Graph().as_default(), tf.Session() as session:
        w = tf.Variable(3.0)
        tf.add_to_collection(tf.GraphKeys.SAVEABLE_OBJECTS, Twice(w, "twice"))
        made = tf.train.Saver(builder=saver.BaseSaverBuilder())
        session.run(w.initializer)
        path = made.save(session, str(tmp_path / "m"), write_meta_graph=False)
        assert tf.train.load_variable(path, "twice") == 6
        session.run(w.assign(0.0))
        made.restore(session, path)
        assert session.run(w) == 3


@pytest.mark.parametrize("name", ["small", "v1", "shards", "low"])
def test_the_reader(name: str) -> None:
    reader = tf.train.load_checkpoint(str(RECORDED / name))
    shapes, kinds = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    assert set(shapes) == set(kinds)
    assert tf.train.list_variables(str(RECORDED / name)) == sorted(shapes.items())
    for key, shape in shapes.items():
        assert reader.has_tensor(key)
        assert list(np.shape(reader.get_tensor(key))) == shape
    lines = reader.debug_string().decode().splitlines()
    assert {
        "small": "w/kernel (DT_FLOAT) [3,5]",
        "v1": "half (DT_HALF) [3]",
        "shards": "c (DT_FLOAT) [4,3], 2 slices",
        "low": "bf (DT_BFLOAT16) [3]",
    }[name] in lines


def test_averages_are_restored_in_place_of_their_variables(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        w, b = tf.Variable(1.0, name="w"), tf.Variable(5.0, name="b", trainable=False)
        ema = tf.train.ExponentialMovingAverage(0.5)
        moved = ema.apply([w])
        session.run(tf.global_variables_initializer())
        session.run(w.assign(3.0))
        session.run(moved)
        path = tf.train.Saver().save(session, str(tmp_path / "m"), write_meta_graph=False)
    with tf.Graph().as_default(), tf.Session() as session:
        w, b = tf.Variable(0.0, name="w"), tf.Variable(0.0, name="b", trainable=False)
        names = tf.train.ExponentialMovingAverage(0.5).variables_to_restore()
        assert sorted(names) == ["b", "w/ExponentialMovingAverage"]
        tf.train.Saver(names).restore(session, path)
        assert session.run([w, b]) == [2.0, 5.0]


class Slice:
    """What TensorFlow's SaveSliceInfo says of a slice."""

    def __init__(self, full_name: str, start: int) -> None:
        self.full_name, self.var_offset, self.var_shape = full_name, [start, 0], [2, 3]
        self.spec = f"4 3 {start},2:0,3"


def halves(name: str) -> list[Any]:
    found = []
    for number in (0, 1):
        var = tf.get_variable(f"{name}/part_{number}", [2, 3], initializer=tf.ones_initializer())
        var._set_save_slice_info(Slice(name, 2 * number))
        found.append(var)
    return found


def test_slices_are_saved_as_one_tensor_and_restored(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        parts = halves("part")
        session.run(tf.global_variables_initializer())
        made = tf.train.Saver()
        path = made.save(session, str(tmp_path / "m"), write_meta_graph=False)
        for end in (".index", ".data-00000-of-00001"):  # what TensorFlow's own partitioner makes
            assert Path(path + end).read_bytes() == (RECORDED / f"parts{end}").read_bytes()
        write_bundle(path, {"part": np.arange(12, dtype=np.float32).reshape(4, 3)})
        made.restore(session, path)
        assert [session.run(p)[0, 0] for p in parts] == [0, 6]
        session.run(tf.global_variables_initializer())
        session.run(*tf.contrib.framework.assign_from_checkpoint(path, parts))
        assert [session.run(p)[0, 0] for p in parts] == [0, 6]
        for start in ({"part": "part"}, {"part": parts}, {"/": "/"}):
            tf.train.init_from_checkpoint(path, start)
            session.run([p.assign(tf.zeros([2, 3])) for p in parts])
            session.run([p.initializer for p in parts])
            assert [session.run(p)[0, 0] for p in parts] == [0, 6]
        other = halves("other")[1]
        with pytest.raises(ValueError, match="from the same tensor"):
            tf.train.Saver({"part": [parts[0], other]})


def test_slices_that_do_not_fit(tmp_path: Path) -> None:
    write_bundle(tmp_path / "m", {"x": np.zeros((4, 3), np.float32)})
    prefix = str(tmp_path / "m")
    with tf.Graph().as_default(), tf.Session() as session:
        known = apply("RestoreV2", prefix, ["x", "x"], ["4 3 1,2:-", ""], dtypes=["float32"] * 2)
        assert [k.shape.ndims for k in known] == [2, None]
        assert session.run(known)[0].shape == (2, 3)
        with pytest.raises(tf.errors.InvalidArgumentError, match="does not match the shape stored"):
            session.run(apply("RestoreV2", prefix, ["x"], ["5 3 1,2:-"], dtypes=["float32"])[0])
        old = apply("RestoreSlice", prefix, "x", "4 3 1,2:-", dt="float32")
        whole = apply("Restore", prefix, "x", dt="float32")
        assert [v.shape for v in session.run([old, whole])] == [(2, 3), (4, 3)]


def test_checkpoints_of_objects(caplog: pytest.LogCaptureFixture) -> None:
    prefix = str(RECORDED / "objects-1")
    with tf.Graph().as_default(), tf.Session() as session:
        w, n = tf.Variable([0.0, 0.0], name="dense/kernel"), tf.Variable(0.0, name="n")
        made = tf.train.Saver([w, n])
        for _ in range(2):
            session.run(tf.global_variables_initializer())
            made.restore(session, prefix)
            assert [v.tolist() for v in session.run([w, n])] == [[1, 2], 3]
        assert "object-based" in caplog.text
        other = tf.train.Saver([tf.Variable(1.0, name="other")])
        with pytest.raises(tf.errors.NotFoundError, match="not in the checkpoint: other"):
            other.restore(session, prefix)


def test_variables_start_from_a_checkpoint(tmp_path: Path) -> None:
    write_bundle(tmp_path / "m", {"old/a": np.ones(2, np.float32), "b": np.full(3, 4, np.float32)})
    with tf.Graph().as_default(), tf.Session() as session:
        with tf.variable_scope("new"):
            a = tf.get_variable("a", [2], initializer=tf.zeros_initializer())
        b, c = tf.get_variable("b", [3]), tf.Variable(tf.zeros([3]), name="c")
        tf.train.init_from_checkpoint(str(tmp_path / "m"), {"old/": "new/"})
        tf.contrib.framework.init_from_checkpoint(str(tmp_path / "m"), {"b": c})
        tf.train.init_from_checkpoint(str(tmp_path / "m"), {"b": "b"})
        session.run(tf.global_variables_initializer())
        assert [session.run(v).tolist() for v in (a, b, c)] == [[1] * 2, [4] * 3, [4] * 3]


def test_variables_get_values_from_a_checkpoint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_bundle(tmp_path / "m", {"a": np.ones((2, 3), np.float32)})
    path, framework = str(tmp_path / "m"), tf.contrib.framework
    with tf.Graph().as_default(), tf.Session() as session:
        a = tf.get_variable("a", [2, 3], initializer=tf.zeros_initializer())
        b = tf.get_variable("b", [3, 2], initializer=tf.zeros_initializer())
        session.run(tf.global_variables_initializer())
        session.run(*framework.assign_from_checkpoint(path, [a, b], ignore_missing_vars=True))
        assert session.run(a).sum() == 6
        assert framework.assign_from_checkpoint_fn(path, [b], ignore_missing_vars=True) is None
        assert "Variable b missing in checkpoint" in caplog.text
        framework.assign_from_checkpoint_fn(path, {"a": b}, reshape_variables=True)(session)
        assert session.run(b).sum() == 6
        framework.assign_from_values_fn({"a": np.full(6, 2.0)})(session)
        assert session.run(a).sum() == 12
        assert framework.get_variables_to_restore(exclude=["a"]) == [b]


def test_new_checkpoints_as_they_appear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        step = len(slept)
        write_bundle(tmp_path / f"m-{step}", {"x": np.ones(1)})
        tf.train.update_checkpoint_state(str(tmp_path), str(tmp_path / f"m-{step}"))

    monkeypatch.setattr("evenkeel.tf1.train.restoring.time.sleep", sleep)
    found = tf.train.checkpoints_iterator(str(tmp_path))
    assert [Path(next(found)).name for _ in range(2)] == ["m-1", "m-2"]
    asked = [True, False, False]  # whether it is over, the last answer first
    empty = tmp_path / "empty"
    empty.mkdir()
    waiting = tf.train.checkpoints_iterator(str(empty), timeout=0, timeout_fn=asked.pop)
    assert list(waiting) == []
    assert not asked


TRAIN = """
import sys, numpy as np
import evenkeel.tf1 as tf
with tf.Session() as session:
    w = tf.Variable(tf.zeros([200000]), name="w")
    with tf.device("/cpu:0"):
        n = tf.Variable(0.0, name="n")
    step = tf.group(w.assign_add(tf.ones([200000])), n.assign_add(1.0))
    session.run(tf.global_variables_initializer())
    saver = tf.train.Saver(max_to_keep=2, sharded=sys.argv[2] == "sharded")
    for i in range(100000):
        session.run(step)
        saver.save(session, sys.argv[1] + "/m", global_step=i % 3, write_meta_graph=False)
        if i == 3:
            print("going", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one", "sharded"])
def test_a_kill_never_loses_the_previous_checkpoint(tmp_path: Path, kind: str) -> None:
    for delay in (0.0, 0.013, 0.031, 0.067, 0.101, 0.2):
        folder = tmp_path / f"{delay}"
        folder.mkdir()
        with subprocess.Popen(
            [sys.executable, "-c", TRAIN, str(folder), kind], stdout=subprocess.PIPE, text=True
        ) as running:
            assert running.stdout is not None
            assert running.stdout.readline() == "going\n"
            time.sleep(delay)
            os.kill(running.pid, signal.SIGKILL)
        path = tf.train.latest_checkpoint(str(folder))
        assert path is not None
        found = {name: tf.train.load_variable(path, name) for name in ("w", "n")}
        assert found["n"] >= 3
        assert np.unique(found["w"]).tolist() == [found["n"]]  # all of one step
        others = tf.train.get_checkpoint_state(str(folder)).all_model_checkpoint_paths
        assert all(np.unique(tf.train.load_variable(p, "w")).size == 1 for p in others)


def test_what_is_no_variable_is_refused() -> None:
    with tf.Graph().as_default(), pytest.raises(TypeError, match="is not a Variable: 3"):
        tf.train.Saver([3])


def test_a_variable_in_parts_is_saved_whole(tmp_path: Path) -> None:
    """As TensorFlow 1.15.5: one entry in two slices."""
    with tf.Graph().as_default(), tf.Session() as session:
        with tf.variable_scope("a", partitioner=tf.fixed_size_partitioner(2)):
            parts = list(tf.get_variable("w", [4, 3], initializer=tf.random_normal_initializer()))
        saver = tf.train.Saver()
        session.run(tf.global_variables_initializer())
        before = session.run(parts)
        path = saver.save(session, str(tmp_path / "m"))
        assert tf.train.list_variables(path) == [("a/w", [4, 3])]
        np.testing.assert_array_equal(tf.train.load_variable(path, "a/w"), np.concatenate(before))
        session.run(tf.global_variables_initializer())
        saver.restore(session, path)
        np.testing.assert_array_equal(session.run(parts), before)
