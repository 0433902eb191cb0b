"""TensorFlow's modules while a program runs, and after."""

import importlib
import sys
import types
from typing import Any

import pytest

from evenkeel.tf1.catalogue import MissingSymbol
from evenkeel.tf1.program.facade import exists, source
from evenkeel.tf1.program.failure import text_of
from evenkeel.tf1.program.finder import installed
from evenkeel.tf1.program.missing import MissingModule
from evenkeel.tf1.program.names import MODULES, PACKAGES


def imported(code: str, name: str) -> object:
    names: dict[str, object] = {}
    exec(code, names)
    return names[name]


SAME = {
    "import tensorflow as tf": "evenkeel.tf1.session.Session",
    "import tensorflow.compat.v1 as tf": "evenkeel.tf1.session.Session",
    "from tensorflow.compat import v1 as tf": "evenkeel.tf1.session.Session",
    "import tensorflow; tf = tensorflow.compat.v1": "evenkeel.tf1.session.Session",
    "from tensorflow.python.client import session as tf": "evenkeel.tf1.session.Session",
    "import tensorflow.python.client.session as tf": "evenkeel.tf1.session.Session",
    "import tensorflow; tf = tensorflow.python.client.session": "evenkeel.tf1.session.Session",
}


@pytest.mark.parametrize("code", SAME)
def test_every_way_to_import_gives_the_dialect(code: str) -> None:
    from evenkeel.tf1.session import Session

    with installed():
        module = imported(code, "tf")
        assert getattr(module, "Session") is Session  # noqa: B009  # a module known at run time


@pytest.mark.parametrize(
    "code",
    [
        "from tensorflow.examples.tutorials.mnist import input_data",
        "import tensorflow.examples.tutorials.mnist.input_data as input_data",
        "import tensorflow.contrib.learn.python.learn.datasets.mnist as input_data",
    ],
)
def test_the_tutorials_reader(code: str) -> None:
    from evenkeel.tf1.datasets.mnist import read_data_sets

    with installed():
        found = imported(code, "input_data")
        assert getattr(found, "read_data_sets") is read_data_sets  # noqa: B009


BY_RULE = {
    "ops.array_ops.reshape": "reshape",
    "ops.gen_math_ops.mat_mul": "",
    "ops.nn_impl.moments": "nn.moments",
    "ops.nn_ops.relu": "nn.relu",
    "ops.init_ops.VarianceScaling": "initializers.variance_scaling",
    "ops.variable_scope.variable_scope": "variable_scope",
    "ops.metrics_impl.accuracy": "metrics.accuracy",
    "ops.losses.util.get_losses": "losses.get_losses",
    "ops.rnn.static_rnn": "nn.static_rnn",
    "layers.normalization.BatchNormalization": "layers.BatchNormalization",
    "layers.normalization.batch_normalization": "layers.batch_normalization",
    "layers.convolutional.conv2d": "layers.conv2d",
    "ops.nn_ops.conv2d": "nn.conv2d",
    "training.adam.AdamOptimizer": "train.AdamOptimizer",
    "training.training_util.get_global_step": "train.get_global_step",
    "framework.dtypes.as_dtype": "as_dtype",
    "framework.errors_impl.OutOfRangeError": "errors.OutOfRangeError",
    "framework.ops.get_default_graph": "get_default_graph",
    "client.session.Session": "Session",
    "summary.summary.scalar": "summary.scalar",
    "util.nest.flatten": "nest.flatten",
    "keras.layers.Dense": "",  # Keras's layers are not those of tf.layers
    "platform.test.TestCase": "test.TestCase",
    "framework.test_util.TensorFlowTestCase": "test.TestCase",
    "ops.gradient_checker.compute_gradient": "test.compute_gradient",
    "pywrap_tensorflow.NewCheckpointReader": "train.NewCheckpointReader",
    "ops.math_ops._private": "",
    "ops.array_ops.no_such_function": "",
}


@pytest.mark.parametrize("name", BY_RULE)
def test_inner_modules_show_the_function_of_that_name(name: str) -> None:
    module, _, last = f"tensorflow.python.{name}".rpartition(".")
    with installed():
        found = getattr(importlib.import_module(module), last, None) if exists(module) else None
        assert found is (source(BY_RULE[name]) if BY_RULE[name] else None)


def test_a_module_shows_what_tensorflows_module_imported() -> None:
    with installed():
        rnn = imported("from tensorflow.python.ops.rnn import rnn_cell_impl as m", "m")
        ops = imported("from tensorflow.python.ops.math_ops import ops as m", "m")
        assert rnn is sys.modules["tensorflow.python.ops.rnn_cell_impl"]
        assert ops is sys.modules["tensorflow.python.framework.ops"]


def test_messages_come_from_core() -> None:
    with installed():
        kind: Any = imported("from tensorflow.core.framework.summary_pb2 import Summary", "Summary")
        made = kind(value=[{"tag": "a", "simple_value": 2.0}])
        assert kind.FromString(made.SerializeToString()).value[0].simple_value == 2.0


def test_names_and_versions() -> None:
    with installed():
        tf: Any = importlib.import_module("tensorflow")
        device_lib: Any = importlib.import_module("tensorflow.python.client.device_lib")
        dtypes: Any = importlib.import_module("tensorflow.python.framework.dtypes")
        ops: Any = importlib.import_module("tensorflow.python.framework.ops")
        assert (tf.__version__, tf.VERSION) == ("1.15.5", "1.15.5")
        assert dtypes.float32 is tf.float32
        assert ops.Graph is tf.Graph
        assert device_lib.list_local_devices()[0].device_type == "CPU"
        assert tf.keras.datasets.mnist.load_data.__module__.startswith("evenkeel.")
        assert {"Session", "float32", "python", "examples"} <= set(dir(tf))


def test_a_star_brings_the_names() -> None:
    names: dict[str, object] = {}
    with installed():
        exec("from tensorflow import *", names)
    assert {"Session", "reduce_sum", "float32"} <= names.keys()


def test_modules_are_the_same_however_they_were_reached() -> None:
    with installed():
        a = imported("import tensorflow.python.ops.math_ops as a", "a")
        b = imported("from tensorflow.python.ops import math_ops as b", "b")
        c = imported("import tensorflow; c = tensorflow.python.ops.math_ops", "c")
    assert a is b is c


@pytest.mark.parametrize("name", sorted({*MODULES, *PACKAGES}))
def test_what_the_table_leads_to_is_importable_or_known_to_lack(name: str) -> None:
    """Parts of the dialect may be missing; the error is then ours, and none else."""
    with installed():
        try:
            imported(f"import {name}", "tensorflow")
        except MissingModule:
            assert not exists(name)


def test_a_real_tensorflow_is_hidden_and_comes_back() -> None:
    real, inner = types.ModuleType("tensorflow"), types.ModuleType("tensorflow.python")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorflow", real)
        patch.setitem(sys.modules, "tensorflow.python", inner)
        with installed():
            assert imported("import tensorflow", "tensorflow") is not real
            assert imported("from tensorflow import python", "python") is not inner
        assert sys.modules["tensorflow"] is real
        assert sys.modules["tensorflow.python"] is inner


def test_nothing_is_left_after_an_error() -> None:
    before = list(sys.meta_path)
    with pytest.raises(KeyError), installed():
        imported("import tensorflow.python.ops.math_ops", "tensorflow")
        raise KeyError
    assert sys.meta_path == before
    assert not [name for name in sys.modules if name.startswith("tensorflow")]


@pytest.mark.parametrize(
    ("code", "name", "advice"),
    [
        ("import tensorflow as tf; tf.reduce_meen", "tf.reduce_meen", "try tf.reduce_mean"),
        (
            "import tensorflow as tf; tf.nn.ctc_loss",
            "tf.nn.ctc_loss",
            "torch.nn.functional.ctc_loss",
        ),
        ("import tensorflow as tf; tf.Sesion", "tf.Sesion", "try tf.Session"),
        ("import tensorflow as tf; tf.pack", "tf.pack", "tf.stack"),
        ("import tensorflow as tf; tf.xyzzy", "tf.xyzzy", "dir(tf)"),
    ],
)
def test_a_name_that_is_not_here(code: str, name: str, advice: str) -> None:
    program = compile(code, "train.py", "exec")
    with installed(), pytest.raises(MissingSymbol) as caught:
        exec(program, {})
    assert f"{name} is not in this dialect" in str(caught.value)
    assert "at:  train.py:1" in str(caught.value)
    # A namespace's own error does not know the equivalent; what shows it adds that.
    assert advice in text_of(caught.value)


@pytest.mark.parametrize(
    ("code", "name", "advice"),
    [
        ("from tensorflow import Sesion", "tf.Sesion", "try tf.Session"),
        ("from tensorflow.contrib import crf", "tf.contrib.crf", "torchcrf"),
        (
            "from tensorflow.python.client.timeline import Timeline",
            "tf.python.client.timeline.Timeline",
            "torch.profiler",
        ),
        ("import tensorflow.python.ops.core_rnn", "tf.python.ops.core_rnn", "dir(tf)"),
        ("import tensorflow.contrib.nothing", "tf.contrib.nothing", "dir(tf)"),
        ("from tensorflow.python.ops import math_opps", "tf.python.ops.math_opps", "math_ops"),
    ],
)
def test_a_module_that_is_not_here_is_an_import_error(code: str, name: str, advice: str) -> None:
    program = compile(f"\n{code}", "train.py", "exec")
    with installed(), pytest.raises(ImportError) as caught:
        exec(program, {})
    assert f"{name} is not in this dialect" in str(caught.value)
    assert "at:  train.py:2" in str(caught.value)
    assert advice in str(caught.value)
