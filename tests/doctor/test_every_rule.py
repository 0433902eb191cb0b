"""Every rule fires where it must, is silent where it must, has a page; traces survive JSON."""

import math

import pytest

from doctor.pages import FOLDER, pages
from evenkeel.doctor import RULES, Trace, judge

CODES = sorted(RULES)


@pytest.mark.parametrize("code", CODES)
def test_it_fires(code: str) -> None:
    rule = RULES[code]
    assert rule.fires_on
    for trace in rule.fires_on:
        found = rule.findings(trace)
        assert found
        assert {f.code for f in found} == {code}
        assert all(f.says and f.do and isinstance(f.number, float | int) for f in found)


@pytest.mark.parametrize("code", CODES)
def test_it_is_silent(code: str) -> None:
    rule = RULES[code]
    assert rule.silent_on
    assert [f for trace in rule.silent_on for f in rule.findings(trace)] == []


@pytest.mark.parametrize("code", CODES)
def test_its_traces_survive_json(code: str) -> None:
    for trace in (*RULES[code].fires_on, *RULES[code].silent_on):
        again = Trace.from_json(trace.to_json())
        assert again.to_json() == trace.to_json()
        same = [str(f) for f in judge(again).findings] == [str(f) for f in judge(trace).findings]
        assert same


@pytest.mark.parametrize("code", CODES)
def test_its_page_has_every_part(code: str) -> None:
    page = RULES[code].page
    assert page.splitlines()[0].endswith(".")
    assert all(f"\n{part}:" in page for part in ("Symptom", "Measured", "Do", "Source"))


def test_the_pages_are_current() -> None:
    written = {p.name: p.read_text() for p in FOLDER.glob("*.md") if p.name != "planted.md"}
    assert written == pages()


def test_a_healthy_model_fires_nothing() -> None:
    assert judge(RULES["EK101"].silent_on[0]).findings == ()


def test_a_trace_keeps_what_is_not_finite() -> None:
    trace = RULES["EK103"].fires_on[0]
    assert math.isnan((Trace.from_json(trace.to_json()).layers[0].running_mean or (0.0,))[0])
