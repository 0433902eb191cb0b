"""What a report shows: text, JSON, SARIF, a page; and the order, the exit code, what is left out."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.doctor import RULES, Report, Trace, judge
from evenkeel.doctor.rules.samples import layer, model
from evenkeel.doctor.sarif import sarif
from evenkeel.errors import BadData, UnknownName


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
    text = sick().text(width=200)
    assert re.search(r"^error +EK103 +net\.last\.bn +1 of 8 .*batches\)", text)
    assert re.search(r"\nwarning +EK105 +net\.0\.bn and 4 more +momentum 0\.9: .*\n", text)
    assert text.endswith("Model: 1 error, 5 warnings, 1 note in 7 layers\n")
    every = sick().text(width=200, every=True)
    assert every.count("EK105") == 5


def test_text_keeps_paths_and_code_whole_where_it_is_narrow() -> None:
    path = "resnet.encoder.stages.3.layers.0.shortcut.normalization"
    report = judge(model(layer(path, momentum=0.9), layer("[b]", momentum=0.9)))
    assert report.text(width=80).splitlines() == [
        f"warning  EK105  {path}",
        "  momentum 0.9: the last batch is 90.0% of the average",
        "warning  EK105  [b]",
        "  momentum 0.9: the last batch is 90.0% of the average",
        "  do:  momentum=0.1, the weight of the new batch",
        "Model: no errors, 2 warnings, no notes in 2 layers",
    ]
    code = "with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):"
    assert code in judge(RULES["EK601"].fires_on[0], select=["EK601"]).text(width=80)


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


def no_constant(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


@pytest.mark.parametrize("code", sorted(RULES))
def test_json_is_strict(code: str) -> None:
    for trace in RULES[code].fires_on:
        report = judge(trace)
        for text in (report.json(), report.sarif(), trace.to_json()):
            json.loads(text, parse_constant=no_constant)


def test_json_keeps_what_is_not_finite() -> None:
    bad = (float("nan"), float("inf"), float("-inf"), 1.0)
    again = Trace.from_json(model(layer("bn", running_mean=bad)).to_json())
    assert repr(again.layers[0].running_mean) == repr(bad)


def check_sarif(log: dict[str, Any]) -> None:
    """What SARIF 2.1.0 and the upload of a code host require."""
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"]
    for rule in driver["rules"]:
        assert set(rule) == {"id", "name", "shortDescription", "fullDescription", "help"}
        assert all(rule[key]["text"] for key in ("shortDescription", "fullDescription", "help"))
        assert len(rule["fullDescription"]["text"]) <= 1024
    known = [rule["id"] for rule in driver["rules"]]
    assert len(set(known)) == len(known)
    for result in run["results"]:
        assert set(result) == {"ruleId", "level", "message", "locations"}
        assert result["ruleId"] in known
        assert result["level"] in ("note", "warning", "error")
        assert result["message"]["text"]
        (place,) = result["locations"]
        check_location(place)


def check_location(place: dict[str, Any]) -> None:
    if "logicalLocations" in place:
        (one,) = place["logicalLocations"]
        assert one["fullyQualifiedName"]
        return
    (physical,) = place.values()
    assert physical["region"]["startLine"] >= 1
    uri = physical["artifactLocation"]["uri"]
    assert re.fullmatch(r"(file:///)?([\w.~-]|%[0-9A-F]{2})([\w./~-]|%[0-9A-F]{2})*", uri), uri


@pytest.mark.parametrize("code", sorted(RULES))
def test_sarif_has_what_it_must(code: str) -> None:
    for trace in RULES[code].fires_on:
        log = json.loads(judge(trace).sarif())
        assert log["runs"][0]["results"]
        check_sarif(log)


def test_sarif_names_lines_and_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = json.loads(sick().sarif())["runs"][0]
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {"EK103", "EK105", "EK310"}
    first = run["results"][0]
    assert first["level"] == "error"
    place = first["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
    assert place == "net.last.bn"
    trap = judge(RULES["EK601"].fires_on[0], select=["EK601"])
    location = json.loads(trap.sarif())["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location == {"artifactLocation": {"uri": "train.py"}, "region": {"startLine": 5}}
    monkeypatch.chdir(tmp_path)
    found = replace(trap.findings[0], place=f"{tmp_path}/my code/a#1.py:7")
    assert '"uri": "my%20code/a%231.py"' in sarif((found,))
    assert '"uri": "file:///elsewhere/a.py"' in sarif((replace(found, place="/elsewhere/a.py:7"),))


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


def test_a_page_says_which_layer_an_axis_means() -> None:
    page = judge(model(layer("a.bn", momentum=0.9), layer("b.bn"))).html()
    assert re.search(r"a\.<wbr>bn</h3>.*?<dt>layer</dt><dd>1</dd>", page, re.DOTALL)
    assert re.search(r"b\.<wbr>bn</h3>.*?<dt>layer</dt><dd>2</dd>", page, re.DOTALL)


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


def test_codes_with_commas_and_codes_that_are_none() -> None:
    assert {f.code for f in judge(sick().trace, select="EK105,EK310").findings} == {
        "EK105",
        "EK310",
    }
    with pytest.raises(UnknownName, match="codes: EK101, EK102"):
        judge(Trace(), ignore=["EK9"])
