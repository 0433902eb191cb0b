"""`dir()` of a namespace: the names that programs use, not what the modules are made of."""

from types import ModuleType

import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1 import catalogue

PARTS = [n for n in catalogue.NAMESPACES if n not in ("ops", "dtypes", "random")]


@pytest.mark.parametrize("name", [n for n in PARTS if catalogue.namespace(n) is not None])
def test_a_namespace_lists_names_that_it_has(name: str) -> None:
    space = catalogue.namespace(name)
    listed = dir(space)
    assert listed == sorted(set(listed))
    internal = {"Any", "Callable", "missing", "apply", "convert", "importlib", "sys", "os"}
    assert not internal & set(listed)
    assert [n for n in listed if n.startswith("_")] == []
    for one in listed:
        assert getattr(space, one) is not None


def test_contrib_lists_its_parts() -> None:
    assert {"layers", "losses", "slim"} <= set(dir(tf.contrib))
    assert "conv2d" in dir(tf.contrib.slim)
    assert "missing" not in dir(tf.contrib.framework)
    assert isinstance(tf.contrib.losses, ModuleType)


def test_slim_takes_predictions_first() -> None:
    """Unlike tf.losses; the arguments of TensorFlow's tf.contrib.losses."""
    logits, classes = [[2.0, -1.0], [0.5, 0.25]], [0, 1]
    slim, losses = tf.contrib.slim.losses, tf.losses
    with tf.Graph().as_default(), tf.Session() as session:
        pairs = [
            (slim.sparse_softmax_cross_entropy(tf.constant(logits), tf.constant(classes)),
             losses.sparse_softmax_cross_entropy(classes, logits)),
            (slim.softmax_cross_entropy(tf.constant(logits), [[1, 0], [0, 1]]),
             losses.softmax_cross_entropy([[1, 0], [0, 1]], logits)),
            (slim.log_loss([0.9, 0.2], [1.0, 0.0]), losses.log_loss([1.0, 0.0], [0.9, 0.2])),
        ]  # fmt: skip
        assert len(tf.get_collection("losses")) == 6
        for one, other in pairs:
            assert session.run(one) == pytest.approx(session.run(other))
        hinge = session.run(slim.hinge_loss(tf.constant([0.5, -2.0]), tf.constant([1.0, 0.0])))
        assert hinge.tolist() == [0.5, 0.0]
