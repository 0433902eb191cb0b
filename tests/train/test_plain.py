import json
import math
from dataclasses import dataclass

import pytest

from evenkeel.errors import BadRun
from evenkeel.train.plain import from_json, to_json
from evenkeel.train.records import InferenceCheck, LayerGap

CHECK = InferenceCheck(
    images=100,
    accuracy=0.97,
    agreement=98,
    layers=(LayerGap("bn1", 4, 0.1, 0.25, 800), LayerGap("bn2", 8, 1e-17, 0.5, 800)),
    passed=True,
    reason="98 of 100 – fine",
)


@dataclass(frozen=True, slots=True)
class Optional:
    data: str | None
    rate: float


def test_what_was_written_comes_back_equal() -> None:
    assert from_json(InferenceCheck, to_json(CHECK)) == CHECK


@pytest.mark.parametrize("data", [None, "digits"])
def test_an_optional_field_comes_back(data: str | None) -> None:
    assert from_json(Optional, to_json(Optional(data, 0.5))) == Optional(data, 0.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_not_finite_is_null_in_strict_json(value: float) -> None:
    text = to_json(Optional(None, value))
    assert json.loads(text) == {"data": None, "rate": None}
    assert math.isnan(from_json(Optional, text).rate)


def test_a_whole_number_is_a_float_where_a_float_belongs() -> None:
    rate = from_json(Optional, '{"data": null, "rate": 1}').rate
    assert type(rate) is float
    assert rate == 1.0


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"images": "100"}, "InferenceCheck.images must be int"),
        ({"images": True}, "InferenceCheck.images must be int"),
        ({"images": 1.0}, "InferenceCheck.images must be int"),
        ({"images": None}, "InferenceCheck.images must be int"),
        ({"passed": 1}, "InferenceCheck.passed must be bool"),
        ({"accuracy": "0.9"}, "InferenceCheck.accuracy must be float"),
        ({"accuracy": False}, "InferenceCheck.accuracy must be float"),
        ({"layers": {}}, "InferenceCheck.layers must be a list"),
        ({"layers": [3]}, "InferenceCheck.layers[0] must be an object"),
        ({"surprise": 1}, "unknown ones"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], place: str) -> None:
    value = {**json.loads(to_json(CHECK)), **change}
    with pytest.raises(BadRun) as caught:
        from_json(InferenceCheck, json.dumps(value))
    assert place in str(caught.value)


def test_a_missing_field_is_named() -> None:
    value = json.loads(to_json(CHECK))
    del value["reason"]
    with pytest.raises(BadRun, match="reason"):
        from_json(InferenceCheck, json.dumps(value))


@pytest.mark.parametrize("text", ["", "{", "[1, 2", "[" * 100_000, "\x00", "null", "[]", "3"])
def test_text_that_is_no_such_json_is_refused(text: str) -> None:
    with pytest.raises(BadRun, match="InferenceCheck"):
        from_json(InferenceCheck, text)
