"""`evenkeel port` as a person calls it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = """
import numpy as np
import tensorflow as tf

x = tf.placeholder(tf.float32, [None, 6, 6, 1], name="image")
training = tf.placeholder_with_default(False, [], name="training")
y = tf.layers.conv2d(x, 3, 3, 2, "same", use_bias=False)
y = tf.nn.relu(tf.layers.batch_normalization(y, training=training))
logits = tf.layers.dense(tf.layers.flatten(y), 2)
saver = tf.train.Saver()
with tf.Session() as sess:
    print("a line of the program")
    sess.run(tf.global_variables_initializer())
    saver.save(sess, "model.ckpt")
"""
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def trained(command: Callable[..., Done]) -> Callable[..., Done]:
    """The command, in a folder with a program and its checkpoint."""
    Path("program.py").write_text(PROGRAM)
    assert command("run", "program.py").returncode == 0
    return command


def test_a_program_is_ported(trained: Callable[..., Done]) -> None:
    done = trained("port", "program.py", "--checkpoint", "model.ckpt", "--output", "logits")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("outputs in inference: largest difference ")
    assert lines[1].startswith("outputs in training: largest difference ")
    assert lines[-2:] == ["wrote ported/network.py", "wrote ported/model.safetensors"]
    assert "class Network(nn.Module):" in Path("ported/network.py").read_text()


def test_onnx_is_written_on_demand(trained: Callable[..., Done]) -> None:
    pytest.importorskip("onnxruntime")
    options = ("--checkpoint", "model.ckpt", "--output", "logits", "--onnx", "--out", "there")
    done = trained("port", "program.py", *options)
    assert done.returncode == 0, done.stderr
    assert Path("there/model.onnx").stat().st_size > 0


def test_above_the_tolerance_nothing_is_written(trained: Callable[..., Done]) -> None:
    options = ("--checkpoint", "model.ckpt", "--output", "logits", "--tolerance", "-1")
    done = trained("port", "program.py", *options)
    assert done.returncode == 1
    assert "nothing was written" in done.stderr
    assert not Path("ported").exists()


def test_the_output_is_asked_for(trained: Callable[..., Done]) -> None:
    done = trained("port", "program.py", "--checkpoint", "model.ckpt", "--output", "logit")
    assert done.returncode == 2
    assert "output logit" in done.stderr


@pytest.mark.parametrize("option", ["--feed=keep_prob", "--shape=image=a,b"])
def test_a_malformed_option_is_refused(trained: Callable[..., Done], option: str) -> None:
    done = trained("port", "program.py", "--checkpoint", "model.ckpt", "--output", "logits", option)
    assert done.returncode == 2
    assert "do:" in done.stderr


def test_what_does_not_fit_the_graph_is_refused(trained: Callable[..., Done]) -> None:
    Path("file").touch()
    output = ("--output", "dense/BiasAdd")
    for given, word in (
        (("--feed", "training=maybe"), "no value of the placeholder's type"),
        (("--shape", "image=5,6,1"), "no shape of the input"),
        (("--shape", "image=6,6"), "no shape of the input"),
        (("--shape", "image=-6,6,1"), "no shape of the input"),
        (("--tag", "serve"), "only a SavedModel takes tags"),
        (("--out", "file"), "the folder cannot be made"),
    ):
        done = trained("port", "model.ckpt", *output, *given)
        assert done.returncode == 2, done.stderr
        assert word in done.stderr
    assert "takes arguments" in trained("port", "model.ckpt", "more", *output).stderr


def test_a_shape_that_the_graph_cannot_compute(command: Callable[..., Done]) -> None:
    lines = (
        "import tensorflow as tf",
        'x = tf.placeholder(tf.float32, [None, None], name="rows")',
        'y = tf.matmul(x, tf.constant([[1.0], [2.0], [3.0]]), name="y")',
    )
    Path("program.py").write_text("\n".join(lines))
    done = command("port", "program.py", "--output", "y", "--shape", "rows=4")
    assert done.returncode == 2, done.stderr
    assert "a node cannot be computed from these inputs" in done.stderr
    assert "MatMul 'y'" in done.stderr


def test_an_assignment_is_no_result(trained: Callable[..., Done]) -> None:
    done = trained("port", "program.py", "--checkpoint", "model.ckpt")
    assert done.returncode == 0, done.stderr  # the kernels' Assign nodes are ends too
    assert "outputs in inference" in done.stdout
