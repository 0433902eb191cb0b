"""A report as one HTML page: findings, plots over depth, and a card for each layer."""

from dataclasses import dataclass
from importlib import resources
from math import nan
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evenkeel.doctor.cards import card
from evenkeel.doctor.finding import NOTE, Finding
from evenkeel.doctor.measures import Drift, drift, fewest, finite
from evenkeel.doctor.rules import RULES
from evenkeel.doctor.trace import Layer, Trace
from evenkeel.train.report import canvas
from evenkeel.train.report.canvas import BLUE, VERMILLION, plain_style
from evenkeel.train.report.inline_svg import inline_svg

if TYPE_CHECKING:
    from evenkeel.doctor.report import Report

OPEN = 12  # cards that are shown unfolded
_ROOM = 1.35  # above the highest line, for the legend's two lines on a telephone


@dataclass(frozen=True, slots=True)
class Page:
    """A rule's page as the report quotes it."""

    code: str
    title: str
    text: str


def page(report: "Report") -> str:
    """The page, whole in itself: no style, script, font or image from elsewhere."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("evenkeel.doctor").joinpath("page.html.jinja").read_text("utf-8")
    layers = [layer for layer in report.trace.layers if layer.running_mean or layer.calls]
    blamed = {found.place for found in report.findings if found.severity > NOTE}
    if len(layers) > OPEN:  # those with a finding among the unfolded ones
        layers.sort(key=lambda layer: layer.path not in blamed)
    return environment.from_string(source).render(
        verdict=report.verdict,
        worst=_worst(report),
        findings=list(report.together()),
        pages=_pages(report.findings),
        over_depth=_plots(report.trace),
        cards=[card(layer, *_about(layer, report)) for layer in layers],
        open=OPEN,
    )


def _worst(report: "Report") -> str:
    return report.worst.label if report.worst and report.exit_code else "pass"


def _pages(findings: tuple[Finding, ...]) -> list[Page]:
    codes = sorted({found.code for found in findings})
    return [Page(code, RULES[code].title, RULES[code].page.strip()) for code in codes]


def _about(layer: Layer, report: "Report") -> tuple[tuple[Finding, ...], int]:
    """The findings at a layer, and its number on the axes over depth; 0 for none."""
    seen = [one.path for one in report.trace.layers if one.calls]
    number = seen.index(layer.path) + 1 if layer.calls else 0
    return tuple(found for found in report.findings if found.place == layer.path), number


def _plots(trace: Trace) -> list[tuple[str, str]]:
    """Each plot over depth for a page and for a telephone."""
    seen = [layer for layer in trace.layers if layer.calls]
    plots = []
    if any(_drawn(layer) for layer in seen):
        words = "distance of running from batch statistics, layer by layer"
        plots.append((_over_depth_of_drift, seen, "drift", words))
    if seen:
        plots.append((_over_depth_of_counts, seen, "count", "values per channel, layer by layer"))
    return [
        (
            inline_svg(draw(layers, narrow=False), f"{name}-wide", words),
            inline_svg(draw(layers, narrow=True), f"{name}-narrow", words),
        )
        for draw, layers, name, words in plots
    ]


def _over_depth_of_drift(layers: list[Layer], *, narrow: bool) -> Figure:
    gap = Drift(nan, nan, nan, nan)  # in the line, where a layer has no finite statistics
    found = [drift(layer) if _drawn(layer) else gap for layer in layers]
    lines = {
        "mean, in standard deviations": ([d.mean for d in found], BLUE),
        "variance, as |log ratio|": ([d.var for d in found], VERMILLION),
    }
    return _over_depth("Running from batch statistics", lines, narrow, logarithmic=False)


def _drawn(layer: Layer) -> bool:
    return layer.running_mean is not None and finite(layer)


def _over_depth_of_counts(layers: list[Layer], *, narrow: bool) -> Figure:
    counts = [float(fewest(layer)) for layer in layers]
    return _over_depth("Values for each statistic", {"": (counts, BLUE)}, narrow, logarithmic=True)


def _over_depth(
    title: str, lines: dict[str, tuple[list[float], str]], narrow: bool, *, logarithmic: bool
) -> Figure:
    with plain_style():
        figure = canvas.blank(narrow, 2.6, 2.8)
        (axes,) = canvas.panels(figure, 1, stacked=False)
        for label, (values, colour) in lines.items():
            marker = "o" if len(values) <= canvas.FEW else ""
            places = range(1, len(values) + 1)
            axes.plot(
                places, values, color=colour, marker=marker, markersize=3, label=label or None
            )
        axes.set_title(title)
        axes.set_xlabel("layer, in the model's order")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        axes.margins(y=0.15)
        if logarithmic:
            canvas.logarithmic(axes)
        else:
            axes.set_ylim(0, axes.get_ylim()[1] * _ROOM)
            axes.legend(loc="upper right")
    return figure
