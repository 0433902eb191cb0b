"""Metrics over two batches, as TensorFlow 1.15.5 recorded their values (not their assertion nodes)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf

HERE = Path(__file__).parent


def recorded() -> dict[str, Any]:
    path = HERE.parent / "recorded" / "values" / "metrics.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def differences(found: Any, told: Any) -> list[int]:
    """The numbers of the metrics whose values are not TensorFlow's."""
    pairs = zip(found, told, strict=True)
    return [
        i
        for i, (one, other) in enumerate(pairs)
        if list(np.shape(one)) != other["shape"]
        or str(np.asarray(one).dtype) != other["dtype"]
        or not np.allclose(np.ravel(one), other["values"], rtol=1e-5, atol=1e-6)
    ]


def test_values_and_updates_are_tensorflows() -> None:
    told = recorded()
    space: dict[str, Any] = {"tf": tf, "np": np}
    with tf.Graph().as_default(), tf.Session() as session:
        exec((HERE / "values" / "metrics.txt").read_text(encoding="utf-8"), space)
        for name, fetches in space["show"].items():
            values = session.run(fetches, space["feeds"])
            if name != "init":
                listed = fetches if isinstance(fetches, list) else [fetches]
                values = values if isinstance(fetches, list) else [values]
                kept = told[name] if isinstance(fetches, list) else [told[name]]
                assert len(listed) == len(kept)
                assert not differences(values, kept), name
    changed = [{**kept, "values": [v + 1e-3 for v in kept["values"]]} for kept in told["after"]]
    assert len(differences([np.array(k["values"]) for k in told["after"]], changed)) == len(changed)


def test_of_the_k_highest_scores() -> None:
    scores = np.array([[0.1, 0.5, 0.4], [0.9, 0.02, 0.08], [0.2, 0.3, 0.5]], np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        labels = tf.constant([2, 1, 2], tf.int64)
        recall = tf.metrics.recall_at_k(labels, tf.constant(scores), 2)
        precision = tf.metrics.precision_at_k(labels, tf.constant(scores), 2)
        session.run(tf.local_variables_initializer())
        # By hand: the label is among the two highest in the first and the last example.
        assert session.run([recall[1], precision[1]]) == pytest.approx([2 / 3, 2 / 6])
        assert session.run([recall[0], precision[0]]) == pytest.approx([2 / 3, 2 / 6])
        names = [v.op.name for v in tf.local_variables()]
    assert names[:2] == ["recall_at_2/true_positive_at_2", "recall_at_2/false_negative_at_2"]


def test_streaming_names_take_predictions_first() -> None:
    from evenkeel.tf1.contrib import metrics

    with tf.Graph().as_default(), tf.Session() as session:
        guessed, right = tf.constant([1, 1, 0]), tf.constant([1, 0, 0])
        value, update = metrics.streaming_precision(predictions=guessed, labels=right)
        pair = metrics.aggregate_metrics(
            (value, update), metrics.streaming_accuracy(guessed, right)
        )
        now = metrics.accuracy(guessed, right)
        session.run(tf.local_variables_initializer())
        assert session.run(pair[1]) == pytest.approx([0.5, 2 / 3])
        assert session.run(pair[0]) == pytest.approx([0.5, 2 / 3])
        assert session.run(now) == pytest.approx(2 / 3)


def test_what_cannot_be_is_refused() -> None:
    labels, scores = tf.constant([True]), tf.constant([0.5])
    with pytest.raises(ValueError, match="ROC or PR"):
        tf.metrics.auc(labels, scores, curve="other")
    with pytest.raises(ValueError, match="range"):
        tf.metrics.sensitivity_at_specificity(labels, scores, 2.0)
