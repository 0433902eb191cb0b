"""What a report shows: text, JSON, SARIF, a page; and the order, the exit code, what is left out."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.doctor import RULES, Report, Trace, judge
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.errors import BadData


def sick(count: int = 5) -> Report:
    layers = [layer(f"net.{i}.bn", momentum=0.9) for i in range(count)]
    broken = layer("net.last.bn", running_mean=(float("nan"), 0.0, 0.0, 0.0))
    return judge(model(*layers, broken, layer("net.first.bn", decay=0.1)))


def test_the_worst_comes_first_and_decides_the_exit_code() -> None:
    report = sick()
    assert [f.severity.label for f in report.findings] == ["error"] + ["warning"] * 5 + ["note"]
    assert report.exit_code == 3
    assert judge(sick().trace, ignore=["EK103"]).exit_code == 1
    assert judge(sick().trace, select=["EK310"]).exit_code == 0


def test_text_has_a_line_for_each_kind() -> None:
    text = sick().text(width=140)
    assert re.search(r"error +EK103 +net\.last\.bn ", text)
    assert re.search(r"warning +EK105 +net\.0\.bn and 4 more", text)
    assert text.endswith("Model: 1 error, 5 warnings, 1 note in 7 layers\n")
    every = sick().text(width=140, every=True)
    assert every.count("EK105") == 5


@given(st.sampled_from(sorted(RULES)), st.sampled_from([60, 80, 200]))
def test_text_of_every_rule_is_written(code: str, width: int) -> None:
    for trace in RULES[code].fires_on:
        report = judge(trace, select=[code])
        assert code in report.text(width=width)
        assert all(len(line) <= width for line in report.text(width=width).splitlines()[:-1])


def test_json_holds_findings_and_trace() -> None:
    plain = json.loads(sick().json())
    assert plain["exit_code"] == 3
    assert plain["findings"][0]["code"] == "EK103"
    again = Trace.from_json(json.dumps(plain["trace"]))
    assert [str(f) for f in judge(again).findings] == [str(f) for f in sick().findings]


def test_sarif_names_lines_and_layers() -> None:
    run = json.loads(sick().sarif())["runs"][0]
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {"EK103", "EK105", "EK310"}
    first = run["results"][0]
    assert first["level"] == "error"
    place = first["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
    assert place == "net.last.bn"
    trap = judge(RULES["EK601"].fires_on[0], select=["EK601"])
    location = json.loads(trap.sarif())["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location == {"artifactLocation": {"uri": "train.py"}, "region": {"startLine": 5}}


@pytest.mark.parametrize("code", sorted(RULES))
def test_a_page_of_every_rule_is_whole_in_itself(code: str) -> None:
    page = judge(RULES[code].fires_on[0]).html()
    assert "<h1>" in page
    assert code in page
    assert not re.search(r'(src|href)="(?!#)', page)
    assert "<script" not in page


def test_a_page_escapes_what_it_shows() -> None:
    page = judge(model(layer("<b>bn</b>", momentum=0.9))).html()
    assert "<b>bn</b>" not in page
    assert "&lt;b&gt;bn" in page


def test_a_page_of_many_layers_is_light() -> None:
    report = judge(model(*(layer(f"bn{i}", momentum=0.9) for i in range(300))))
    page = report.html()
    assert len(page) < 1_500_000
    assert "288 more layers" in page
    assert page.count('<div class="finding">') == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"layers": 3}', "", "null"])
def test_what_is_no_trace_is_named(text: str) -> None:
    with pytest.raises(BadData, match="this is no trace"):
        Trace.from_json(text)


def test_nothing_seen_is_not_called_healthy() -> None:
    assert judge(Trace(subject="a.py")).verdict.endswith("no batch normalization was seen")
