"""A matplotlib Figure as SVG within an HTML page: the page's type and colours, no outside names.

Inside a page the text stays text, colours are the page's own properties (so that dark and light
follow the reader), identifiers are unique over the page, and nothing names an address.
"""

import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

from evenkeel.train.report.canvas import (
    BLUE,
    INK,
    MUTED,
    PAPER,
    RULE,
    VERMILLION,
    plain_style,
)
from evenkeel.train.report.summary import printable

COLOURS = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    PAPER: "--paper",
    BLUE: "--blue",
    VERMILLION: "--vermillion",
}
"""Which property of the page stands for which colour of a figure."""

_NUMBER = re.compile(r"-?\d+\.\d+")


def inline_svg(figure: Figure, name: str, alt: str, colours: Mapping[str, str] = COLOURS) -> str:
    """The figure as an ``<svg>`` element with ``alt`` in words; the figure is emptied.

    ``name`` makes identifiers unique: one name a figure and page.
    """
    root = ElementTree.fromstring(_drawn(figure, name))
    _drop(root, {"metadata", "style"})
    for element in root.iter():
        element.tag = _bare(element.tag)
        element.text = element.text and (element.text.strip() or None)
        element.tail = None
        element.attrib = {
            _bare(key): _rewritten(value, colours)
            for key, value in element.attrib.items()
            if not (key == "id" and element.tag == "g")
        }
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-label": printable(alt),
        "style": "stroke-linejoin: round; stroke-linecap: butt",
    }
    return ElementTree.tostring(root, encoding="unicode")


def _drawn(figure: Figure, name: str) -> bytes:
    file = io.BytesIO()
    # Text as text, and identifiers from the content, so that the same records give the same bytes.
    with plain_style(), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    figure.clear()
    return file.getvalue()


def _drop(root: ElementTree.Element, tags: set[str]) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if _bare(child.tag) in tags:
                parent.remove(child)


def _bare(name: str) -> str:
    """A name without its namespace, which HTML supplies by itself."""
    return name.rpartition("}")[2]


def _rewritten(value: str, colours: Mapping[str, str]) -> str:
    for colour, name in colours.items():
        value = value.replace(colour, f"var({name})")
    return _NUMBER.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value)
