"""A program's graph: had without a training step, whatever the program does with sessions."""

from pathlib import Path

import pytest

from evenkeel.errors import BadOption
from evenkeel.port import from_program, port
from evenkeel.tf1 import session

PROGRAM = """
import tensorflow as tf

def build():
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    hidden = tf.layers.dense(x, 4, activation=tf.nn.relu, kernel_initializer=tf.ones_initializer())
    scores = tf.layers.dense(hidden, 2)
    loss = tf.reduce_mean(tf.square(scores))
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    with tf.Session() as sess:
        try:
            sess.run(tf.global_variables_initializer())
        except Exception:
            pass
        open("trained", "w").close()

build()
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    (folder / "program.py").write_text(text)
    return folder / "program.py"


def test_nothing_is_run(here: Path) -> None:
    source = from_program(written(here, PROGRAM))
    assert not (here / "trained").exists()
    assert {"x", "hidden", "scores", "loss"} <= set(source.names)
    assert source.tensor("scores").op.name == "dense_1/BiasAdd"
    assert not session.observers


def test_a_run_before_the_graph_is_whole_is_let_through(here: Path) -> None:
    early = "import tensorflow as tf\nwith tf.Session() as s:\n    s.run(tf.constant(1.0))\n"
    source = from_program(written(here, early + PROGRAM), output="scores")
    assert source.tensor("scores").op.type == "BiasAdd"


def test_a_program_that_only_builds_gives_its_default_graph(here: Path) -> None:
    text = "import tensorflow as tf\nx = tf.placeholder(tf.float32, [None, 2], name='x')\n"
    source = from_program(written(here, text + "y = tf.nn.relu(x, name='y')\n"), output="y")
    assert "relu" in port(source, "y").code.lower()


def test_its_arguments_reach_the_program(here: Path) -> None:
    text = PROGRAM.replace("[None, 3]", "[None, int(__import__('sys').argv[1])]")
    source = from_program(written(here, text), ["5"])
    assert source.tensor("x").shape.as_list() == [None, 5]


@pytest.mark.parametrize("text", ["raise ValueError('no')", "import sys\nsys.exit(3)", "x = 1"])
def test_a_program_without_a_graph_is_refused(here: Path, text: str) -> None:
    with pytest.raises(BadOption, match="before it used a session"):
        from_program(written(here, text), output="logits")


def test_an_output_that_never_comes_is_refused(here: Path) -> None:
    with pytest.raises(BadOption, match="output nowhere"):
        from_program(written(here, PROGRAM), output="nowhere")
