"""Files, options, logging, event files: what surrounds a program's graph."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1 import flags as flag_module


def test_gfile(tmp_path: Path) -> None:
    g, root = tf.gfile, str(tmp_path)
    g.MakeDirs(f"{root}/a/b")
    g.MakeDirs(f"{root}/a/b")
    with g.GFile(f"{root}/a/x.txt", "w") as file:
        file.write("one\ntwo\n")
    with g.Open(f"{root}/a/x.txt") as file:
        assert (file.readline(), file.tell(), file.read(), file.size()) == ("one\n", 4, "two\n", 8)
        file.seek(1)
        assert list(file) == ["ne\n", "two\n"]
        with pytest.raises(tf.errors.PermissionDeniedError):
            file.write("no")
    with g.FastGFile(f"{root}/a/x.txt", "rb") as file:
        assert file.read(3) == b"one"
    assert (g.Exists(f"{root}/a"), g.IsDirectory(f"{root}/a"), g.Exists(f"{root}/z")) == (
        True,
        True,
        False,
    )
    assert sorted(g.ListDirectory(f"{root}/a")) == ["b", "x.txt"]
    g.Copy(f"{root}/a/x.txt", f"{root}/a/b/y.txt")
    with pytest.raises(tf.errors.AlreadyExistsError):
        g.Copy(f"{root}/a/x.txt", f"{root}/a/b/y.txt")
    g.Copy(f"{root}/a/x.txt", f"{root}/a/b/y.txt", overwrite=True)
    assert g.Glob([f"{root}/a/*.txt", f"{root}/a/b/*"]) == [f"{root}/a/x.txt", f"{root}/a/b/y.txt"]
    assert [(p.removeprefix(root), d, f) for p, d, f in g.Walk(root)] == [
        ("", ["a"], []), ("/a", ["b"], ["x.txt"]), ("/a/b", [], ["y.txt"]),
    ]  # fmt: skip
    assert [p for p, _, _ in g.Walk(root, in_order=False)][-1] == root
    found = g.Stat(f"{root}/a/x.txt")
    assert (found.length, found.is_directory, found.mtime_nsec > 0) == (8, False, True)
    g.Rename(f"{root}/a/x.txt", f"{root}/a/z.txt")
    g.Remove(f"{root}/a/z.txt")
    for call in (
        g.Remove,
        g.ListDirectory,
        g.Stat,
        g.DeleteRecursively,
        lambda p: g.GFile(p).read(),
    ):
        with pytest.raises(tf.errors.NotFoundError):
            call(f"{root}/a/z.txt")
    g.DeleteRecursively(f"{root}/a")
    assert not g.Exists(f"{root}/a")
    assert tf.io.gfile.exists(root)
    with pytest.raises(ValueError, match="mode"):
        g.GFile("x", "q")


@pytest.fixture
def options() -> Any:
    values = flag_module.FlagValues()
    tf.flags.DEFINE_string("name", "none", "text", flag_values=values)
    tf.flags.DEFINE_integer("steps", 3, "how many", flag_values=values, short_name="s")
    tf.flags.DEFINE_boolean("fast", False, "or slow", flag_values=values)
    tf.flags.DEFINE_float("rate", 1, "of learning", flag_values=values)
    tf.flags.DEFINE_list("layers", "a,b", "names", flag_values=values)
    tf.flags.DEFINE_enum("kind", "x", ["x", "y"], "which", flag_values=values)
    tf.flags.DEFINE_multi_integer("many", [1], "several", flag_values=values)
    return values


def test_options_are_read_as_absl_reads_them(options: Any) -> None:
    line = (
        "p --name=q -s 7 --fast rest --rate=2 --layers=c,d --kind=y --many=4 --many 5 -- --name=no"
    )
    assert options(line.split()) == ["p", "rest", "--name=no"]
    assert options.flag_values_dict() == {
        "name": "q", "steps": 7, "fast": True, "rate": 2.0, "layers": ["c", "d"], "kind": "y",
        "many": [4, 5],
    }  # fmt: skip
    options(["p", "--nofast"])
    assert (options.fast, options.s, "steps" in options, len(options)) == (False, 7, True, 7)
    assert options(["p", "--other=3"], known_only=True) == ["p", "--other=3"]


@pytest.mark.parametrize(
    ("word", "kind"),
    [("--kind=z", "IllegalFlagValueError"), ("--steps=x", "IllegalFlagValueError"),
     ("--fast=maybe", "IllegalFlagValueError"), ("--zork", "UnrecognizedFlagError"),
     ("--noname", "UnrecognizedFlagError"), ("--name", "Error")],
)  # fmt: skip
def test_what_is_wrong_on_a_command_line_is_said(options: Any, word: str, kind: str) -> None:
    with pytest.raises(flag_module.Error) as caught:
        options(["p", word])
    assert type(caught.value).__name__ == kind


def test_an_option_is_defined_once_and_may_be_required(options: Any) -> None:
    with pytest.raises(tf.flags.DuplicateFlagError, match="defined twice"):
        tf.flags.DEFINE_string("name", "x", "again", flag_values=options)
    with pytest.raises(tf.flags.IllegalFlagValueError, match="should be one of"):
        tf.flags.DEFINE_enum("bad", "q", ["x"], "", flag_values=options)
    tf.flags.DEFINE_string("must", None, "be there", flag_values=options)
    tf.flags.mark_flag_as_required("must", options)
    with pytest.raises(tf.flags.IllegalFlagValueError, match="must have a value"):
        options(["p"])
    options(["p", "--must=x"])
    tf.flags.register_validator("steps", lambda n: n < 10, "too many", options)
    with pytest.raises(tf.flags.IllegalFlagValueError, match="too many"):
        options(["p", "--must=x", "--steps=10"])
    with pytest.raises(AttributeError):
        options.zork  # noqa: B018  # asking is the test
    with pytest.raises(AttributeError):
        options.zork = 3


def program(tmp_path: Path, text: str, *words: str) -> Any:
    path = tmp_path / "program.py"
    path.write_text(f"import evenkeel.tf1 as tf\n{text}")
    command = [sys.executable, str(path), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_program_is_run_with_its_options(tmp_path: Path) -> None:
    text = (
        "tf.flags.DEFINE_integer('steps', 3, 'how many steps')\n"
        "def main(argv):\n    print(tf.flags.FLAGS.steps, argv[1:])\n    return 4\n"
        "tf.logging.set_verbosity(tf.logging.INFO)\ntf.logging.info('said %d', 1)\ntf.app.run()\n"
    )
    done = program(tmp_path, text, "--steps=5", "rest", "--unknown")
    assert (done.returncode, done.stdout) == (4, "5 ['rest', '--unknown']\n")
    assert done.stderr == "INFO:tensorflow:said 1\n"
    told = program(tmp_path, text, "--help")
    assert told.returncode == 1
    assert "--steps: how many steps" in told.stdout
    wrong = program(tmp_path, text, "--steps=x")
    assert wrong.returncode == 1
    assert "FATAL Flags parsing error: flag --steps=x" in wrong.stderr


def test_logging_counts_by_line(caplog: pytest.LogCaptureFixture) -> None:
    before = tf.logging.get_verbosity()
    tf.logging.set_verbosity(tf.logging.INFO)
    try:
        with caplog.at_level(logging.INFO, "tensorflow"):
            for turn in range(5):
                tf.logging.log_every_n(tf.logging.INFO, "every %d", 2, turn)
                tf.logging.log_first_n(tf.logging.WARN, "first %d", 2, turn)
                tf.logging.log_if(tf.logging.INFO, "if %d", turn == 3, turn)
    finally:
        tf.logging.set_verbosity(before)
    said = [r.getMessage() for r in caplog.records]
    assert said == ["every 0", "first 0", "first 1", "every 2", "if 3", "every 4"]


def test_tensorboard_reads_the_event_files(tmp_path: Path) -> None:
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.float32, [None], name="x")
        row = tf.data.Dataset.range(3).map(lambda v: v + 1).make_one_shot_iterator().get_next()
        tf.summary.scalar("average", tf.reduce_mean(x))
        tf.summary.histogram("all", tf.identity(x, name="kept"))
        tf.summary.scalar("row", row)
        merged = tf.summary.merge_all()
        with tf.summary.FileWriter(str(tmp_path), graph) as writer:
            for step in range(3):
                writer.add_summary(session.run(merged, {x: [step, step + 1.0]}), step)
    (path,) = tmp_path.iterdir()
    events = list(loader.LegacyEventFileLoader(str(path)).Load())
    rows = [(e.step, v) for e in events for v in e.summary.value]
    means = [(step, v.simple_value) for step, v in rows if v.tag == "average"]
    assert means == [(0, 0.5), (1, 1.5), (2, 2.5)]
    assert [v.simple_value for _, v in rows if v.tag == "row"] == [1.0, 2.0, 3.0]
    assert [v.histo.num for _, v in rows if v.tag == "all"] == [2.0, 2.0, 2.0]
    (graph_def,) = [e.graph_def for e in events if e.HasField("graph_def")]
    shown = pytest.importorskip("tensorboard.compat.proto.graph_pb2").GraphDef.FromString(graph_def)
    assert {n.name for n in shown.node} >= {"x", "kept", "IteratorGetNext"}


def test_a_writer_closes_and_opens_again(tmp_path: Path) -> None:
    writer = tf.summary.FileWriter(str(tmp_path), filename_suffix=".mine")
    summary = tf.Summary(value=[tf.Summary.Value(tag="a", simple_value=1.0)])
    writer.add_summary(summary, 1)
    writer.close()
    writer.add_summary(summary, 2)
    writer.reopen()
    writer.add_summary(summary, 3)
    writer.close()
    steps = [
        event.step
        for path in sorted(tmp_path.glob("*.mine"))
        for event in tf.train.summary_iterator(str(path))
        if event.summary.value
    ]
    assert sorted(steps) == [1, 3]
    assert tf.summary.FileWriterCache.get(str(tmp_path)) is tf.summary.FileWriterCache.get(
        str(tmp_path)
    )
    tf.summary.FileWriterCache.clear()
    with pytest.raises(TypeError, match="passed graph"):
        writer.add_graph(3)


def test_a_supervisor_restores_and_saves(tmp_path: Path) -> None:
    for start in (0, 3):
        with tf.Graph().as_default():
            step = tf.train.get_or_create_global_step()
            count = step.assign_add(1)
            tf.summary.scalar("steps", step)
            supervisor = tf.train.Supervisor(logdir=str(tmp_path), save_model_secs=0)
            with supervisor.managed_session() as session:
                assert session.run(step) == start
                while not supervisor.should_stop():
                    if session.run(count) == start + 3:
                        break
                supervisor.saver.save(session, supervisor.save_path, global_step=step)
    with tf.Graph().as_default(), pytest.raises(KeyError), tf.train.Supervisor().managed_session():
        raise KeyError("inside")


def test_a_coordinator_raises_what_stopped_a_thread() -> None:
    import threading

    coord = tf.train.Coordinator()

    def work() -> None:
        with coord.stop_on_exception():
            raise LookupError("lost")

    threads = [threading.Thread(target=work), threading.Thread(target=coord.wait_for_stop)]
    for thread in threads:
        coord.register_thread(thread)
        thread.start()
    with pytest.raises(LookupError, match="lost"):
        coord.join(threads, stop_grace_period_secs=20)
    assert coord.joined
    coord.clear_stop()
    calls: list[int] = []

    def count() -> None:
        calls.append(1)
        if len(calls) == 3:
            coord.request_stop(tf.errors.OutOfRangeError(None, None, "end"))

    tf.train.LooperThread.loop(coord, 0.001, count)
    coord.join()
    assert len(calls) == 3


def test_sparse_features_are_refused() -> None:
    with tf.Graph().as_default(), pytest.raises(NotImplementedError, match="sparse"):
        tf.parse_single_example(b"", {"a": tf.VarLenFeature(tf.int64)})


@pytest.mark.parametrize(
    "space",
    [
        "app",
        "data",
        "estimator",
        "flags",
        "gfile",
        "io",
        "logging",
        "python_io",
        "summary",
        "train",
    ],
)
def test_every_name_of_a_namespace_is_there(space: str) -> None:
    module = getattr(tf, space)
    assert [n for n in module.__all__ if getattr(module, n, None) is None] == []
    with pytest.raises(AttributeError, match=f"tf.{space}.zork is not in this dialect"):
        module.zork  # noqa: B018  # asking is the test


def test_images_are_written_and_read(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    pixels = (np.arange(5 * 4 * 3) * 4 % 251).astype(np.uint8).reshape(5, 4, 3)
    with tf.Graph().as_default(), tf.Session() as session:
        png = tf.image.encode_png(pixels)
        np.testing.assert_array_equal(session.run(tf.image.decode_png(png)), pixels)
        assert tf.image.decode_png(png, channels=1).shape.as_list() == [None, None, 1]
        assert session.run(tf.image.decode_png(png, channels=4)).shape == (5, 4, 4)
        jpeg = tf.image.encode_jpeg(np.full((8, 8, 3), 200, np.uint8), quality=100)
        found = session.run(tf.image.decode_jpeg(jpeg)).astype(int)
        assert np.abs(found - 200).max() <= 2
        with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid image data"):
            session.run(tf.image.decode_png(b"nothing"))


def test_a_resized_image_keeps_its_proportions() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        image = np.arange(70, dtype=np.float32).reshape(7, 10, 1)
        for size, expected in (([14, 14], (10, 14)), ([5, 4], (3, 4)), ([3, 20], (3, 4))):
            made = tf.image.resize_images(image, size, preserve_aspect_ratio=True)
            assert session.run(made).shape == (*expected, 1)
            same = tf.image.resize_images(image, expected)
            np.testing.assert_array_equal(session.run(made), session.run(same))


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    inside = str(tmp_path / "file" / "x")
    with tf.Graph().as_default() as graph:
        calls: list[Any] = [
            lambda: tf.summary.FileWriter(inside),
            lambda: tf.train.write_graph(graph, inside, "g.pb"),
            lambda: tf.saved_model.builder.SavedModelBuilder(inside),
            lambda: tf.gfile.MakeDirs(inside),
        ]
        for call in calls:
            with pytest.raises(tf.errors.FailedPreconditionError, match="Not a directory"):
                call()
        with pytest.raises(tf.errors.AlreadyExistsError, match="File exists"):
            tf.summary.FileWriter(str(tmp_path / "file"))
