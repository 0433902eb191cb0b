"""Batch normalization that a program makes itself is known by what it computes."""

from pathlib import Path

import pytest

from doctor.planted_programs import AVERAGE, EVERY, OWN, program
from doctor.test_planted import blamed, line_of, look_at
from evenkeel.doctor.trace import Program

FED = ", phase: True", ", phase: False"


def seen(text: str, folder: Path) -> Program:
    found = look_at(text, folder).trace.program
    assert found is not None
    return found


@pytest.mark.parametrize(("block", "averages"), [(OWN, 2), (AVERAGE, 2)])
def test_what_is_known_of_it(block: str, averages: int, tmp_path: Path) -> None:
    for norm in seen(program(block), tmp_path).norms:
        assert norm.mode == "fed"
        assert norm.trained_with == ("training",)
        assert norm.evaluated_with == ("inference",)
        assert len(norm.moving) == averages
        assert not norm.at_initial
        assert norm.lost == ""


def test_a_layers_own_operations_are_not_counted_twice(tmp_path: Path) -> None:
    assert len(seen(program(EVERY["tf.layers"]), tmp_path).norms) == 2


@pytest.mark.parametrize("axes", ["[1, 2, 3], keep_dims=True", "[1, 2], keep_dims=True"])
def test_normalization_of_one_example_is_none_of_the_batch(axes: str, tmp_path: Path) -> None:
    block = f"""def block(h, size):
    h = tf.layers.conv2d(h, size, 3)
    return tf.nn.batch_normalization(h, *tf.nn.moments(h, {axes}), None, None, 1e-3)
"""
    assert seen(program(block), tmp_path).norms == ()


def test_always_inference(tmp_path: Path) -> None:
    text = program(OWN.replace("tf.cond(phase", "tf.cond(tf.constant(False)"))
    assert blamed(look_at(text, tmp_path)) == {("EK601", line_of(text, "moved = ["))}


def test_a_default_counts_where_nothing_is_fed(tmp_path: Path) -> None:
    text = program(OWN).replace("tf.placeholder(tf.bool)", "tf.placeholder_with_default(True, [])")
    assert blamed(look_at(text, tmp_path)) == set()
    for fed in FED:
        text = text.replace(fed, "")
    assert blamed(look_at(text, tmp_path)) == {("EK604", line_of(text, "(h, m, v, beta"))}
