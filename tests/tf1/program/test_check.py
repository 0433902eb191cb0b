"""Names that a program uses, found without running it."""

import ast
from pathlib import Path

import pytest

from evenkeel.errors import BadData, BadOption
from evenkeel.tf1.program.check import check_program, exists
from evenkeel.tf1.program.symbols import uses


def names(text: str) -> list[tuple[int, str]]:
    return [(use.line, use.name.replace("tensorflow", "tf")) for use in uses(ast.parse(text))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import tensorflow as tf\ntf.a.b(tf.c)[tf.d]", ["tf", "tf.a.b", "tf.c", "tf.d"]),
        ("import tensorflow\ntensorflow.a", ["tf", "tf.a"]),
        ("import tensorflow.x.y\ntensorflow.x.z", ["tf.x.y", "tf.x.z"]),
        ("import tensorflow.x as x\nx.a", ["tf.x", "tf.x.a"]),
        ("from tensorflow.x import y as z\nz.a", ["tf.x.y", "tf.x.y.a"]),
        ("from tensorflow import *", ["tf"]),
        ("import tensorflow as tf\nslim = tf.s\nx = slim\nx.conv()", ["tf", "tf.s", "tf.s.conv"]),
        ("def f():\n    return tf.a\nimport tensorflow as tf", ["tf.a", "tf"]),
        # a name that is also something else says nothing
        ("import tensorflow as tf\nn = tf.nn\nn = 3\nn.relu", ["tf", "tf.nn"]),
        ("import tensorflow as tf\nl = tf.layers\ndef f(l):\n    l.dense", ["tf", "tf.layers"]),
        ("import tensorflow as tf\nx = tf.a(1)\nx.shape\nx.y = 2", ["tf", "tf.a"]),
        # somebody who expects a name to be absent
        (
            "import tensorflow as tf\ntry:\n    tf.a\nexcept AttributeError:\n    tf.b",
            ["tf", "tf.b"],
        ),
        ("try:\n    import tensorflow.x\nexcept:\n    pass", []),
        ("import tensorflow as tf\ntry:\n    tf.a\nexcept KeyError:\n    pass", ["tf", "tf.a"]),
        ("import numpy as np\nfrom . import tensorflow\nnp.zeros(1)", []),
    ],
)
def test_the_names_in_a_text(text: str, found: list[str]) -> None:
    assert [name for _, name in names(text)] == found


def test_exists() -> None:
    here = (
        "tf",
        "tf.Session",
        "tf.Session.run",
        "tensorflow.python.ops.math_ops.add",
        "tensorflow.python.ops.rnn_cell_impl.LSTMStateTuple",
        "tf.float32.name",
    )
    gone = (
        "tf.Sesion",
        "tf.Session.walk",
        "tf.contrib.crf",
        "tensorflow.python.ops.core_rnn",
        "tensorflow.python.ops.rnn.no_such_network",
        "tf.xyzzy.a.b",
    )
    assert all(map(exists, here))
    assert not any(map(exists, gone))


def test_missing_names_are_listed_with_place_and_advice(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        "import tensorflow as tf\nimport model\n\nx = tf.reduce_meen(tf.zeros([2]))\n"
        "loss = tf.contrib.crf.crf_log_likelihood(3)\n"
    )
    (tmp_path / "model.py").write_text("import tensorflow as tf\ny = tf.pack([1, 2])\n")
    checked = check_program(program)
    assert [str(lack).removeprefix(f"{tmp_path}/") for lack in checked.lacks] == [
        "train.py:4: tf.reduce_meen is missing; nearest: tf.reduce_mean, tf.reduce_min",
        "train.py:5: tf.contrib.crf.crf_log_likelihood is missing; "
        "instead: torchcrf does the same in PyTorch",
        "model.py:2: tf.pack is missing; instead: tf.stack, as since TensorFlow 1.0",
    ]
    assert checked.count == 5


def test_what_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="No such file"):
        check_program(tmp_path / "nothing.py")
    (tmp_path / "a.py").write_text("print 'x'\n")
    with pytest.raises(BadData, match=r"Python 2[\s\S]*a\.py:1"):
        check_program(tmp_path / "a.py")
    (tmp_path / "b.py").write_text("x = (\n")
    with pytest.raises(BadData, match="not Python"):
        check_program(tmp_path / "b.py")
