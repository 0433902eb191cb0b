"""SVG for a page: text, the page's colours, unique identifiers, no address, the same every time."""

import re
from xml.etree import ElementTree

import pytest

from evenkeel.train.records import RunResult
from evenkeel.train.report import figures
from evenkeel.train.report.inline_svg import COLOURS, inline_svg


@pytest.fixture
def svg(one_step: RunResult) -> str:
    return inline_svg(figures.statistics_gaps(one_step), "gaps", 'bars of "2" layers & <words>')


def ids(svg: str) -> list[str]:
    return [e.attrib["id"] for e in ElementTree.fromstring(svg).iter() if "id" in e.attrib]


def test_it_is_one_element_with_words_in_its_place(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg"
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == 'bars of "2" layers & <words>'
    assert root.attrib["viewBox"].startswith("0 0 648 ")
    assert "width" not in root.attrib


def test_names_stay_text_and_are_escaped(svg: str) -> None:
    texts = [element.text for element in ElementTree.fromstring(svg).iter("text")]
    assert "<script>alert(1)</script>" in texts
    assert "not finite" in texts
    assert "<script>" not in svg


def test_it_names_no_address_and_brings_no_style_sheet(svg: str) -> None:
    assert "://" not in svg
    assert "xmlns" not in svg
    assert "<style" not in svg
    assert "<metadata" not in svg


def test_every_colour_is_the_pages_own(run: RunResult, plain: RunResult) -> None:
    svg = inline_svg(figures.learning_curves([run, plain]), "learning", "")
    assert not re.findall(r"#[0-9a-f]{6}\b", svg)
    used = set(re.findall(r"var\((--[a-z]+)\)", svg))
    assert used <= set(COLOURS.values())
    assert {"--ink", "--muted", "--rule", "--blue", "--vermillion"} <= used


def test_every_reference_finds_its_target(run: RunResult) -> None:
    svg = inline_svg(figures.percentile_history([run]), "percentiles", "")
    targets = re.findall(r'(?:href="#|url\(#)([^")]+)', svg)
    assert targets
    assert set(targets) <= set(ids(svg))


def test_identifiers_differ_between_figures_of_a_page(run: RunResult) -> None:
    both = [ids(inline_svg(figures.statistics_gaps(run), name, "")) for name in ("one", "two")]
    assert both[0]
    assert not set(both[0]) & set(both[1])
    assert len(set(both[0])) == len(both[0])


def test_the_same_records_give_the_same_characters(run: RunResult) -> None:
    first, second = (inline_svg(figures.statistics_gaps(run), "one", "") for _ in range(2))
    assert first == second


def test_numbers_keep_two_decimals(run: RunResult) -> None:
    svg = inline_svg(figures.learning_curves([run]), "learning", "")
    path = max((e.get("d", "") for e in ElementTree.fromstring(svg).iter("path")), key=len)
    assert re.search(r"\d\.\d\d\b", path)
    assert not re.search(r"\.\d{3}", path)


def test_the_figure_is_emptied(run: RunResult) -> None:
    figure = figures.percentile_history([run])
    inline_svg(figure, "one", "")
    assert figure.axes == []
