"""Small programs, node for node and value for value as real TensorFlow 1.15.5 recorded them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evenkeel.tf1 as tf
from tf1 import graphs, oracle, snippet

CASES = sorted(p.stem for p in oracle.CASES.glob("*.txt"))
# ShapeN is folded here where TensorFlow leaves a size open; weights are checked by fewer nodes.
VALUES_ONLY = ("ssim", "metrics")
every_case = pytest.mark.parametrize("case", CASES)


def ours(case: str) -> dict[str, Any]:
    """What the dialect says of a case, through JSON as TensorFlow's answer went."""
    text = (oracle.CASES / f"{case}.txt").read_text()
    answer: dict[str, Any] = json.loads(json.dumps(snippet.run(tf, text)))
    return answer


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    return {case: ours(case) for case in CASES}


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    """What several gradients made to wait later on stands in the order of TensorFlow's memory."""
    later = row["op"] in ("ControlTrigger", "NextIteration")
    return row | {"control": sorted(row["control"])} if later else row


@pytest.mark.parametrize("case", [c for c in CASES if c not in VALUES_ONLY])
def test_the_graph_is_tensorflows(case: str, answers: dict[str, Any]) -> None:
    expected = [comparable(row) for row in oracle.recorded(case)["operations"]]
    by_name = {row["name"]: comparable(row) for row in answers[case]["operations"]}
    assert [r for r in expected if by_name.get(r["name"]) != r] == []
    assert [r["name"] for r in answers[case]["operations"]] == [r["name"] for r in expected]


def close(found: Any, expected: Any) -> bool:
    """Equal types and shapes, values within rounding; NaN equals nothing but NaN."""
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(close, found, expected))
    if not isinstance(expected, dict) or "text" in expected:
        return bool(found == expected)
    same = (found["dtype"], found["shape"]) == (expected["dtype"], expected["shape"])
    finite = [abs(v) for v in expected["values"] if np.isfinite(v)]
    atol = 2e-6 * max(1.0, *finite) if len(finite) > 1 else 1e-6  # sums of many terms, in float32
    return same and np.allclose(
        found["values"], expected["values"], rtol=1e-6, atol=atol, equal_nan=True
    )


@every_case
def test_the_values_are_tensorflows(case: str, answers: dict[str, Any]) -> None:
    expected = oracle.recorded(case)["values"]
    found = answers[case]["values"]
    assert [k for k, v in expected.items() if not close(found[k], v)] == []


@every_case
def test_the_refusals_are_tensorflows(case: str, answers: dict[str, Any]) -> None:
    expected = oracle.recorded(case)["fails"]
    found = answers[case]["fails"]
    assert {k: found[k][0] for k in expected} == {k: v[0] for k, v in expected.items()}


def test_what_python_functions_raise_reads_as_tensorflows(answers: dict[str, Any]) -> None:
    assert answers["pyfunc"]["fails"] == oracle.recorded("pyfunc")["fails"]


def test_a_difference_is_seen() -> None:
    one = {"dtype": "float32", "shape": [1], "values": [1.0]}
    assert close(one, one)
    assert not close(one | {"values": [1.1]}, one)
    assert not close(one | {"dtype": "float64"}, one)
    assert not close(one | {"values": [float("nan")]}, one)


def test_a_node_that_differs_is_seen() -> None:
    with tf.Graph().as_default() as graph:
        tf.add(tf.constant(1.0), 2.0)
    rows = snippet.described(graph)
    assert graphs.differences(graph, rows) == []
    assert graphs.differences(graph, rows[:-1])
    assert graphs.differences(graph, rows[::-1])
    assert graphs.differences(graph, [rows[0] | {"dtypes": ["int32"]}, *rows[1:]])


@pytest.mark.slow
@every_case
def test_the_recording_is_what_tensorflow_says(case: str, shared: Path) -> None:
    now = oracle.ask(shared / "oracle" / "tf115.sh", oracle.CASES / f"{case}.txt")
    then = oracle.recorded(case)["operations"]
    assert [*map(comparable, now["operations"])] == [*map(comparable, then)]
