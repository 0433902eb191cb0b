"""Updates taken together give the bits of updates one by one, in any program."""

from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from evenkeel.tf1.lower import rewrites
from evenkeel.tf1.lower.peepholes import updates_together


def trained(kind: Any, chained: bool) -> list[Any]:
    """Every variable after three steps of an optimizer on three variables."""
    with tf.Graph().as_default() as graph:
        start = [np.arange(n, dtype=np.float32) - 1.5 for n in (2, 3, 4)]
        variables = [tf.Variable(value) for value in start]
        loss = tf.add_n([tf.reduce_sum(tf.tanh(v) * (i + 1)) for i, v in enumerate(variables)])
        optimizer = kind(0.1)
        pairs = optimizer.compute_gradients(loss)
        if chained:  # the second variable's gradient waits for the first one's update
            first = optimizer.apply_gradients(pairs[:1])
            with tf.control_dependencies([first]):
                later = [(tf.identity(g) * 2.0, v) for g, v in pairs[1:]]
            train = optimizer.apply_gradients(later)
        else:
            train = optimizer.apply_gradients(pairs)
        init = tf.global_variables_initializer()
    with tf.Session(graph=graph) as session:
        session.run(init)
        for _ in range(3):
            session.run(train)
        after = session.run([train, variables[0]])[1]
        return [after, *session.run(graph.get_collection("variables"))]


@pytest.mark.parametrize("kind", [tf.train.AdamOptimizer, tf.train.GradientDescentOptimizer])
@pytest.mark.parametrize("chained", [False, True])
def test_the_bits_of_updates_one_by_one(
    kind: Any, chained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    whole = updates_together._run

    def noted(state: Any, kind: Any, names: list[Any], *rest: Any) -> Any:
        sizes.append(len(names))
        return whole(state, kind, names, *rest)

    monkeypatch.setattr(updates_together, "_run", noted)
    together = trained(kind, chained)
    assert set(sizes) == ({2} if chained else {3})
    monkeypatch.setattr(rewrites, "PEEPHOLES", [])
    count = len(sizes)
    apart = trained(kind, chained)
    assert len(sizes) == count
    for one, other in zip(together, apart, strict=True):
        assert np.array_equal(one, other)
