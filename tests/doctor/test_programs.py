"""TensorFlow 1 programs: each fault of theirs by its own rule, with the line; correct ones silent."""

from collections.abc import Callable
from pathlib import Path

import pytest

from evenkeel.doctor import Report, judge
from evenkeel.doctor.programs import observe_program, run_and_warn
from evenkeel.errors import BadRun
from evenkeel.tf1 import stacks

Look = Callable[..., Report]

HEAD = """import numpy as np
import tensorflow as tf
x = tf.placeholder(tf.float32, [None, 4])
training = tf.placeholder(tf.bool)
data = np.random.RandomState(0).rand(8, 4).astype("float32")
"""
NET = """h = tf.layers.dense(x, 3, use_bias=False)
h = tf.nn.relu(tf.layers.batch_normalization(h, training={mode}))
loss = tf.reduce_mean(tf.square(tf.layers.dense(h, 2) - 1))
"""
STEP = """with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
    step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
"""
RUN = """sess = tf.Session()
sess.run(tf.global_variables_initializer())
sess.run(step, {{x: data, training: {train}}})
sess.run(loss, {{x: data, training: {evaluate}}})
"""
GOOD = HEAD + NET.format(mode="training") + STEP + RUN.format(train="True", evaluate="False")


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    monkeypatch.chdir(tmp_path)

    def look(text: str) -> Report:
        Path("train.py").write_text(text)
        stacks.reset_default_graph()
        report = judge(observe_program("train.py"))
        stacks.reset_default_graph()
        return report

    return look


def line_of(text: str, part: str) -> str:
    line = next(i for i, t in enumerate(text.splitlines(), 1) if part in t)
    return f"train.py:{line}"


def found(report: Report) -> dict[str, str]:
    return {f.code: f.place for f in report.findings}


def test_a_correct_program(look: Look) -> None:
    assert found(look(GOOD)) == {}


def test_updates_never_run(look: Look) -> None:
    bad = GOOD.replace(STEP, "step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)\n")
    assert found(look(bad)) == {"EK601": line_of(bad, "batch_normalization")}


def test_updates_run_by_others_too(look: Look) -> None:
    bad = GOOD + "sess.run(tf.get_collection('update_ops'), {x: data, training: True})\n"
    assert found(look(bad)) == {"EK602": line_of(bad, "batch_normalization")}


def test_updates_gathered_early(look: Look) -> None:
    early = "early = tf.get_collection(tf.GraphKeys.UPDATE_OPS)\n"
    parts = (NET.format(mode="training"), early, NET.format(mode="training").replace("(x,", "(h,"))
    step = STEP.replace("tf.get_collection(tf.GraphKeys.UPDATE_OPS)", "early")
    bad = HEAD + "".join(parts) + step + RUN.format(train="True", evaluate="False")
    assert found(look(bad)) == {"EK603": line_of(bad, "early =")}
    none = HEAD + early + parts[0] + step + RUN.format(train="True", evaluate="False")
    assert found(look(none))["EK603"] == line_of(none, "early =")


@pytest.mark.parametrize(("train", "evaluate"), [("False", "False"), ("True", "True")])
def test_the_wrong_mode(look: Look, train: str, evaluate: str) -> None:
    bad = HEAD + NET.format(mode="training") + STEP + RUN.format(train=train, evaluate=evaluate)
    assert found(look(bad)) == {"EK604": line_of(bad, "batch_normalization")}


def test_the_mode_is_fixed(look: Look) -> None:
    bad = HEAD + NET.format(mode="True") + STEP + RUN.format(train="True", evaluate="False")
    assert found(look(bad)) == {"EK605": line_of(bad, "batch_normalization")}


def test_the_mode_is_a_variable_that_nobody_sets(look: Look) -> None:
    mode = "mode = tf.Variable(False, trainable=False, name='is_training')\n"
    bad = (
        HEAD
        + mode
        + NET.format(mode="tf.identity(mode)")
        + STEP
        + RUN.format(train="True", evaluate="False")
    )
    assert found(look(bad)) == {"EK606": line_of(bad, "batch_normalization")}
    good = bad.replace("sess.run(step", "sess.run(mode.assign(True))\nsess.run(step", 1)
    assert found(look(good)) == {}


def test_a_comment_takes_a_finding_out(look: Look) -> None:
    bad = GOOD.replace(STEP, "step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)\n")
    (line,) = [t for t in bad.splitlines() if "batch_normalization" in t]
    assert found(look(bad)) != {}
    assert found(look(bad.replace(line, f"{line}  # evenkeel: ignore[EK601]"))) == {}
    assert found(look(bad.replace(line, f"{line}  # evenkeel: ignore[EK602]"))) != {}


TFLEARN = """import tensorflow.compat.v1 as tf
import tflearn
net = tflearn.input_data(shape=[None, 4])
net = tflearn.layers.normalization.batch_normalization(net)
sess = tf.Session()
sess.run(tf.global_variables_initializer())
sess.run(net, {net.graph.get_tensor_by_name("InputData/X:0"): [[1, 2, 3, 4]]})
"""


def test_a_library_that_builds_gets_the_line_of_its_caller(look: Look) -> None:
    (one,) = look(TFLEARN).findings
    assert (one.code, one.place) == ("EK606", line_of(TFLEARN, "normalization"))
    assert one.says.startswith("1 normalization ran")


BARE = """w = tf.Variable(tf.truncated_normal([4, 3]))
h = tf.nn.relu(tf.layers.batch_normalization(tf.matmul(x, w), training=training))
loss = tf.reduce_mean(tf.square(tf.layers.dense(h, 2) - 1))
valid = tf.nn.relu(tf.matmul(tf.constant(data), w))
"""


def test_a_validation_graph_without(look: Look) -> None:
    bad = HEAD + BARE + STEP + RUN.format(train="True", evaluate="False") + "sess.run(valid)\n"
    assert found(look(bad)) == {"EK607": line_of(bad, "valid =")}


def test_a_saver_without_averages(look: Look, tmp_path: Path) -> None:
    bad = GOOD + "tf.train.Saver(tf.trainable_variables()).save(sess, './model')\n"
    assert found(look(bad)) == {"EK608": line_of(bad, "Saver")}
    assert found(look(bad.replace("tf.trainable_variables()", ""))) == {}


def test_a_program_that_fails(look: Look) -> None:
    with pytest.raises(BadRun):
        look("import tensorflow as tf\n1 / 0\n")


@pytest.mark.parametrize(
    ("text", "warns"),
    [
        (GOOD, False),
        (GOOD.replace(STEP, STEP.splitlines()[1].strip() + "\n"), True),
        (GOOD.replace(STEP, STEP.splitlines()[1].strip() + "\n") + "raise SystemExit(3)\n", True),
        (GOOD.replace(STEP, STEP.splitlines()[1].strip() + "\n") + "1 / 0\n", False),
    ],
)
def test_run_warns_at_its_end(
    text: str,
    warns: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(text)
    stacks.reset_default_graph()
    try:
        run_and_warn("train.py")
    except SystemExit as end:
        assert end.code == 3
    stacks.reset_default_graph()
    err = capsys.readouterr().err
    assert ("UPDATE_OPS holds 2 operations that no run ever executed" in err) is warns
    assert ("at:  train.py:7" in err) is warns
