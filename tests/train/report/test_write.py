"""The page as a reader gets it: whole in itself, well formed, escaped, and replaced as a whole."""

import io
import re
import runpy
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.image
import pytest

from evenkeel.errors import BadOption, BadRun, MissingExtra
from evenkeel.train import report
from evenkeel.train.plain import from_json, to_json
from evenkeel.train.records import RunResult
from evenkeel.train.report import plates, summary, write_report
from evenkeel.train.report.write import html

VOID = {"meta", "link", "br", "hr", "img", "input", "source"}
POINTERS = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "background"}


class Page(HTMLParser):
    """Every element, attribute and text of a page; what is wrong with its nesting is in ``faults``."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.stack: list[str] = []
        self.faults: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.shown: list[str] = []
        self.styles = ""
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.stack]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes something else")

    def handle_data(self, data: str) -> None:
        if self.stack[-1:] == ["style"]:
            self.styles += data
        elif data.strip():
            self.shown.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.shown)

    def references(self) -> list[str]:
        """Everything that a browser would fetch or follow."""
        pointed = [value for name, value in self.attributes if name in POINTERS]
        styled = "\n".join([self.styles, *(value for _, value in self.attributes)])
        return [*pointed, *re.findall(r"url\(([^)]*)\)", styled), *re.findall(r"@import.*", styled)]


@cache
def page_of(*results: RunResult) -> Page:
    return Page(html(results))


@pytest.fixture(params=["run", "comparison", "failed", "one_step"])
def results(request: pytest.FixtureRequest) -> list[RunResult]:
    names = {"comparison": ["run", "plain"]}.get(request.param, [request.param])
    return [request.getfixturevalue(name) for name in names]


def test_the_page_is_well_formed(results: Sequence[RunResult]) -> None:
    page = page_of(*results)
    assert page.faults == []
    assert page.tags.count("h1") == 1
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(set(ids)) == len(ids)


def test_a_page_that_is_not_well_formed_is_seen() -> None:
    assert Page("<p><b>x</p></b>").faults
    assert Page("<div><p>x</p>").faults
    assert not Page("<div><p>x<br></p></div>").faults


def test_the_page_needs_nothing_from_elsewhere(results: Sequence[RunResult]) -> None:
    page = page_of(*results)
    assert all(reference.startswith("#") for reference in page.references())
    assert not {"script", "link", "iframe", "object", "embed", "img", "base"} & set(page.tags)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert "://" not in page.source


def test_a_reference_to_elsewhere_is_seen() -> None:
    found = (
        '<a href="http://x/y"></a><p style="background: url(//x/z)"></p><style>@import "q";</style>'
    )
    assert Page(found).references() == ["http://x/y", "//x/z", '@import "q";']


def test_it_is_small(run: RunResult, plain: RunResult) -> None:
    def repeated(result: RunResult) -> RunResult:
        return replace(
            result,
            train=tuple(
                replace(row, step=k * 800 + row.step) for k in range(60) for row in result.train
            ),
            percentiles=result.percentiles * 50,
        )

    assert len(html([repeated(run), repeated(plain)]).encode()) < 1_500_000


def test_the_page_tells_every_number(results: Sequence[RunResult]) -> None:
    text = page_of(*results).text
    for result in results:
        for layer in result.check.layers:
            assert layer.layer in text
            for gap in (layer.mean_gap, layer.var_gap):
                assert gap != gap or gap == float("inf") or f"{gap:.2f}" in text
        for evaluation in result.evaluations:
            assert f"{100 * evaluation.accuracy:.1f}%" in text
        assert f"{100 * result.test_accuracy:.1f}%" in text
        assert f"{100 * result.check.accuracy:.1f}%" in text
        assert result.probe in text


def test_each_figure_is_there_for_page_and_telephone(run: RunResult, plain: RunResult) -> None:
    page = page_of(run, plain)
    assert page.tags.count("svg") == 6
    words = [value for name, value in page.attributes if name == "aria-label"]
    assert all(words) and len(words) >= 6
    assert page.attributes.count(("role", "img")) == 6


def test_names_are_escaped(one_step: RunResult) -> None:
    page = page_of(one_step)
    assert "script" not in page.tags and "b" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    assert "<b>bold</b>" in page.text
    assert "/home/me/'my' data & more" in page.text


def test_pass_and_fail_are_words_with_a_colour(run: RunResult, failed: RunResult) -> None:
    good, bad = page_of(run), page_of(failed)
    assert ("class", "badge pass") in good.attributes and "PASS" in good.shown
    assert ("class", "badge fail") in bad.attributes and "FAIL" in bad.shown
    assert "What to do" in bad.text and "No training batch ever entered" in bad.text
    assert "What to do" not in good.text and "FAIL" not in good.text


def test_every_sentence_is_on_the_page(results: Sequence[RunResult]) -> None:
    page = page_of(*results)
    assert page.text.count(summary.headline(results)) == 2, "the title and the heading"
    for result in results:
        sentences = [
            summary.account(result),
            summary.meaning(result.check),
            result.check.reason[1:],
        ]
        for words in [*sentences, *summary.advice(result.check)]:
            assert " ".join(words.split()) in page.text
    notes = [*plates.learning_plate(results).notes, *plates.percentiles_plate(results).notes]
    assert all(note in page.text for note in notes)
    if len(results) == 2:
        assert summary.race(results) in page.text


def test_only_a_comparison_tells_the_steps_to_reach(run: RunResult, plain: RunResult) -> None:
    assert "Steps to reach" in page_of(run, plain).text
    assert "not reached" in page_of(run, plain).text
    assert "Steps to reach" not in page_of(run).text


def test_every_setting_is_told(results: Sequence[RunResult]) -> None:
    page = page_of(*results)
    other = ("train", "evaluations", "percentiles", "valid_accuracy", "test_accuracy", "check")
    spelt = {"batch_norm": "batch normalization", "lr": "learning rate"}
    for field in fields(RunResult):
        if field.name not in other:
            assert spelt.get(field.name, field.name.replace("_", " ")) in page.shown
    assert f"{results[0].steps * results[0].batch_size:,}" in page.shown


def test_the_command_and_the_files_are_told(run: RunResult, plain: RunResult) -> None:
    text = page_of(run, plain).text
    command = "evenkeel train conv20 --data digits --steps 800 --batch-size 64 --lr 0.002 --seed 7"
    assert f"{command} --threads 2 --placement before --compare" in text
    for name in ("model.safetensors", "metrics.csv", "result.json", "last.ckpt", "report.png"):
        assert name in text


def test_both_files_are_written_and_the_picture_is_one(
    run: RunResult, plain: RunResult, tmp_path: Path
) -> None:
    page, picture = write_report([plain, run], tmp_path)
    assert (page, picture) == (tmp_path / "report.html", tmp_path / "report.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.png"]
    assert page.read_text("utf-8") == page_of(run, plain).source, "batch normalization comes first"
    pixels = matplotlib.image.imread(io.BytesIO(picture.read_bytes()), format="png")
    assert pixels.shape[1] == 1760
    assert pixels[..., :3].std() > 0.05


def test_the_report_depends_on_the_records_alone(
    run: RunResult, plain: RunResult, tmp_path: Path
) -> None:
    restored = [from_json(RunResult, to_json(result)) for result in (run, plain)]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for first, second in zip(
        write_report([run, plain], tmp_path / "a"),
        write_report(restored, tmp_path / "b"),
        strict=True,
    ):
        assert first.read_bytes() == second.read_bytes()


def test_a_failure_leaves_the_old_report(run: RunResult, plain: RunResult, tmp_path: Path) -> None:
    write_report([run], tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    damaged = replace(plain, percentiles=(*plain.percentiles, None))  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        write_report([damaged], tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_written_is_named(run: RunResult, tmp_path: Path) -> None:
    with pytest.raises(BadRun, match=r"report\.html cannot be written") as caught:
        write_report([run], tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in str(caught.value)


def test_bytes_that_are_no_text_do_not_stop_it(run: RunResult, tmp_path: Path) -> None:
    odd = replace(run, data="/data/\udcff\x07", label="\udcff", probe="\udcff")
    page, _ = write_report([odd, replace(odd, label="\udcfe")], tmp_path)
    assert "/data/?" in page.read_text("utf-8")


@pytest.mark.parametrize("number", [0, 3])
def test_a_report_is_of_one_or_two(run: RunResult, tmp_path: Path, number: int) -> None:
    with pytest.raises(BadOption, match="one run, or two") as caught:
        write_report([run] * number, tmp_path)
    assert f"got: {number} results" in str(caught.value)


@pytest.mark.parametrize("extra", ["jinja2", "matplotlib"])
def test_without_an_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    monkeypatch.setitem(sys.modules, extra, None)
    with pytest.raises(MissingExtra, match=f"the report of a run needs {extra}") as caught:
        runpy.run_path(str(report.__file__))
    assert "pip install 'evenkeel[train]'" in str(caught.value)


def test_pyplot_is_never_imported(run: RunResult, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(to_json(run), encoding="utf-8")
    code = """
import sys
from pathlib import Path
from evenkeel.train.plain import from_json
from evenkeel.train.records import RunResult
from evenkeel.train.report import plates, summary, write_report
folder = Path(sys.argv[1])
write_report([from_json(RunResult, (folder / "result.json").read_text("utf-8"))], folder)
print("matplotlib.figure" in sys.modules, "matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True", "False"], done.stderr
    assert (tmp_path / "report.html").stat().st_size > 10_000
