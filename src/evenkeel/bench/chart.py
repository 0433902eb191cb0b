"""The chart of a suite: one picture a rival, one panel an operation, one bar a row and layout."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evenkeel.bench.record import Record
from evenkeel.bench.row import Row
from evenkeel.bench.summary import Summary
from evenkeel.train.report.canvas import BLUE, INK, MUTED, VERMILLION, as_png, plain_style

BAR = 0.38  # two bars and a gap fill the height of 1 that a shape has
COLOURS = {"nchw": BLUE, "nhwc": VERMILLION, "nc": BLUE}
# The axis is logarithmic and ends where a few rows of a busy machine would squeeze all others; what
# lies beyond is drawn to the end, with its number.
LEAST, MOST = 0.25, 8.0
TICKS = (0.25, 0.5, 1, 2, 4, 8)
OFFSETS = {"nchw": -BAR / 2, "nhwc": BAR / 2, "nc": 0.0}
LEGEND = {"nchw": "NCHW and dense", "nhwc": "NHWC"}


def charts(record: Record) -> dict[str, bytes]:
    """PNG files by name: ``<suite>-<rival>.png`` for every rival with a ratio."""
    rivals = dict.fromkeys(summary.rival for summary in record.summary)
    return {f"{record.suite}-{rival}.png": as_png(picture(record, rival)) for rival in rivals}


def picture(record: Record, rival: str) -> Figure:
    """Bars of how many times as long the rival takes; the line at 1 is evenkeel."""
    summaries = [summary for summary in record.summary if summary.rival == rival]
    rows = [row for row in record.rows if rival in row.sides]
    shapes = list(dict.fromkeys(_label(row) for row in rows))
    with plain_style():
        size = (3.0 + 3.1 * max(len(summaries), 2), 1.7 + 0.33 * len(shapes))
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(_title(record, rival), x=0.01, ha="left", size=12, weight="bold")
        panels = figure.subplots(1, len(summaries), squeeze=False, sharey=True)[0]
        for axes, summary in zip(panels, summaries, strict=True):
            own = [row for row in rows if row.operation == summary.operation]
            _draw(axes, own, shapes, rival, summary)
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower left", ncols=2)
    return figure


def _draw(
    axes: Axes, rows: Sequence[Row], shapes: Sequence[str], rival: str, summary: Summary
) -> None:
    for layout in dict.fromkeys(row.layout for row in rows):
        own = [row for row in rows if row.layout == layout]
        places = [shapes.index(_label(row)) + OFFSETS[layout] for row in own]
        values = [_ratio(row, rival) for row in own]
        ends = [min(max(value, LEAST), MOST) for value in values]
        label = LEGEND.get(layout, "_")
        axes.barh(places, [end - 1 for end in ends], BAR, 1.0, color=COLOURS[layout], label=label)
        for place, end, value in zip(places, ends, values, strict=True):
            axes.annotate(f"{value:.2f}", (end, place), **_beside(end))
    axes.axvline(1.0, color=INK, linewidth=1.2)
    axes.set_xscale("log", base=2)
    axes.set_xlim(LEAST / 2, MOST * 2)
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.set_yticks(range(len(shapes)), shapes)
    axes.set_ylim(len(shapes) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_title(f"{summary.operation}: geometric mean {summary.ratio:.2f}")
    axes.set_xlabel(f"{rival}'s time ÷ evenkeel's")


def _beside(end: float) -> dict[str, Any]:  # annotate's arguments, of several types
    """Where a bar's number stands: beyond its end."""
    right = end >= 1
    return {
        "xytext": (2 if right else -2, 0),
        "textcoords": "offset points",
        "ha": "left" if right else "right",
        "va": "center",
        "color": MUTED,
        "size": 7,
    }


def _ratio(row: Row, rival: str) -> float:
    found = row.sides[rival].ratio
    return found.median if found else 0.0


def _label(row: Row) -> str:
    return f"{row.network} {'×'.join(map(str, row.shape))}"


def _title(record: Record, rival: str) -> str:
    machine, dtype = record.machine, record.options.get("dtype", "float32")
    return (
        f"evenkeel against {rival}, {dtype}; right of the line evenkeel is faster\n"
        f"{machine.cpu}, threads: {machine.threads}, torch {machine.torch}"
    )
