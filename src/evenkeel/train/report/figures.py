"""The figures of a run's report, as functions from records to matplotlib Figures."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from evenkeel.train.records import LayerGap, Percentiles, RunResult
from evenkeel.train.report import canvas
from evenkeel.train.report.canvas import BLUE, MUTED, PAPER, VERMILLION, plain_style
from evenkeel.train.report.curves import Floats, floats, smoothed, smoothing_window
from evenkeel.train.report.summary import (
    MEAN_GUIDE,
    VAR_GUIDE,
    arm_names,
    headline,
    percent,
    printable,
    shortened,
)

# More bars than this make a figure longer than anyone scrolls.
MOST_LAYERS = 80


def learning_curves(results: Sequence[RunResult], *, narrow: bool = False) -> Figure:
    """Training loss, as logged and smoothed, beside the accuracy on the validation images."""
    with plain_style():
        figure = canvas.blank(narrow, 3.2, 5.8)
        _draw_learning(figure, results, narrow)
    return figure


def statistics_gaps(result: RunResult, *, narrow: bool = False, limit: int = MOST_LAYERS) -> Figure:
    """Per layer, how far the running mean and variance are from those of a batch."""
    layers = widest(result.check.layers, limit)
    height = _height(layers)
    with plain_style():
        figure = canvas.blank(narrow, height, 2 * height)
        _draw_gaps(figure, layers, narrow)
    return figure


def percentile_history(results: Sequence[RunResult], *, narrow: bool = False) -> Figure:
    """The 15th, 50th and 85th percentile of a unit's input over training, one panel a result.

    Source:  Ioffe & Szegedy 2015, Figure 1(b, c)
    """
    with plain_style():
        figure = canvas.blank(narrow, 3.0, 2.8 * len(results))
        _draw_percentiles(figure, results, narrow)
    return figure


def overview(results: Sequence[RunResult]) -> Figure:
    """The main plots in one picture."""
    layers = widest(next((r.check.layers for r in results if r.check.layers), ()), 24)
    drawn = any(map(has_percentiles, results))
    heights = [3.4, 3.2 if drawn else 0.6, _height(layers) if layers else 0.6]
    with plain_style():
        figure = Figure(figsize=(11.0, sum(heights) + 0.6), layout="constrained")
        figure.suptitle(printable(headline(results)), x=0.01, ha="left", size=14, weight="bold")
        learning, percentiles, gaps = figure.subfigures(3, 1, squeeze=False, height_ratios=heights)[
            :, 0
        ]
        _draw_learning(learning, results, narrow=False)
        _draw_percentiles(percentiles, results, narrow=False)
        _draw_gaps(gaps, layers, narrow=False)
    return figure


def widest(layers: Sequence[LayerGap], limit: int) -> list[LayerGap]:
    """At most ``limit`` layers, those with the widest gaps, in the network's order."""

    def width(index: int) -> float:
        gap = layers[index].mean_gap / MEAN_GUIDE + layers[index].var_gap / VAR_GUIDE
        return gap if math.isfinite(gap) else math.inf

    kept = sorted(sorted(range(len(layers)), key=width, reverse=True)[:limit])
    return [layers[index] for index in kept]


def has_percentiles(result: RunResult) -> bool:
    """Whether there is a percentile to draw."""
    return any(
        math.isfinite(value) for row in result.percentiles for value in (row.p15, row.p50, row.p85)
    )


def _arms(results: Sequence[RunResult]) -> list[tuple[RunResult, str, str]]:
    colours = [BLUE if result.batch_norm else VERMILLION for result in results]
    if len(set(colours)) < len(results):
        colours = [BLUE, VERMILLION][: len(results)]
    return list(zip(results, colours, arm_names(results), strict=True))


def _dashes(colour: str) -> canvas.Dashes:
    return "-" if colour == BLUE else (0, (5, 1.5))


def _draw_learning(parent: FigureBase, results: Sequence[RunResult], narrow: bool) -> None:
    loss, accuracy = canvas.panels(parent, 2, stacked=narrow)
    _draw_loss(loss, results)
    _draw_accuracy(accuracy, results)
    if len(results) > 1 and loss.axison:
        handles, names = loss.get_legend_handles_labels()
        parent.legend(handles, names, loc="outside upper left", ncols=len(results))


def _draw_loss(axes: Axes, results: Sequence[RunResult]) -> None:
    shown: list[float] = []
    ends: list[canvas.End] = []
    for result, colour, name in _arms(results):
        steps = [row.step for row in result.train]
        losses = floats([row.loss for row in result.train])
        means = smoothed(losses, smoothing_window(len(losses)))
        canvas.line(axes, steps, losses, colour, alpha=0.3, width=0.8)
        canvas.line(axes, steps, means, colour, dashes=_dashes(colour), label=name)
        shown += means[np.isfinite(means)].tolist()
        ends += [(loss, _end(f"{loss:.2g}", name, results), colour) for loss in _last(means)]
    if not ends:
        canvas.say(axes, "No finite training loss was recorded.")
        return
    smooth = any(smoothing_window(len(result.train)) > 1 for result in results)
    title = "Training loss, smoothed (light: as logged)" if smooth else "Training loss"
    canvas.frame(axes, title, "mean over the batch")
    if min(shown) > 0 and max(shown) > 10 * min(shown):
        canvas.logarithmic(axes)
    canvas.label_ends(axes, ends, gap=_line_height(results))


def _draw_accuracy(axes: Axes, results: Sequence[RunResult]) -> None:
    ends: list[canvas.End] = []
    for result, colour, name in _arms(results):
        steps = [evaluation.step for evaluation in result.evaluations]
        shares = floats([evaluation.accuracy for evaluation in result.evaluations])
        canvas.line(axes, steps, shares, colour, dashes=_dashes(colour), label=name)
        ends += [(share, _end(percent(share), name, results), colour) for share in _last(shares)]
    if not ends:
        canvas.say(axes, "No finite validation accuracy was recorded.")
        return
    canvas.frame(axes, "Accuracy on the validation images", "right answers, %")
    canvas.percentages(axes)
    canvas.label_ends(axes, ends, gap=_line_height(results))


def _end(number: str, name: str, results: Sequence[RunResult]) -> str:
    """What stands at the end of a line: the number, and whose it is where there are two."""
    return f"{name}\n{number}" if len(results) > 1 else number


def _line_height(results: Sequence[RunResult]) -> float:
    """The height of an end label of a learning curve, as a share of the axes."""
    return 0.08 * len(results)


def _draw_percentiles(parent: FigureBase, results: Sequence[RunResult], narrow: bool) -> None:
    arms = _arms(results)
    panels = canvas.panels(parent, len(results), stacked=narrow, sharey=True)
    ends = [
        _draw_band(axes, result.percentiles, colour)
        for axes, (result, colour, _) in zip(panels, arms, strict=True)
    ]
    for axes, (_, _, name), labels in zip(panels, arms, ends, strict=True):
        if labels:
            unit = "input of the activation" if narrow or axes is panels[0] else ""
            canvas.frame(axes, f"Percentiles of a unit's input, {name}", unit)
            canvas.label_ends(axes, labels, gap=0.08)
        else:
            canvas.say(axes, f"No finite percentiles were recorded {name}.")


def _draw_band(axes: Axes, history: Sequence[Percentiles], colour: str) -> list[canvas.End]:
    steps = [row.step for row in history]
    lines = {
        "85th": floats([row.p85 for row in history]),
        "50th": floats([row.p50 for row in history]),
        "15th": floats([row.p15 for row in history]),
    }
    for name, values in lines.items():
        width = 1.8 if name == "50th" else 1.0
        canvas.line(axes, steps, values, colour, width=width, label=name)
    return [(end, name, colour) for name, values in lines.items() for end in _last(values)]


def _draw_gaps(parent: FigureBase, layers: Sequence[LayerGap], narrow: bool) -> None:
    mean, variance = canvas.panels(parent, 2, stacked=narrow, sharey=not narrow)
    if not layers:
        canvas.say(mean, "No layer keeps running statistics.")
        variance.set_axis_off()
        return
    names = [shortened(layer.layer, 18 if narrow else 26) for layer in layers]
    _draw_bars(mean, names, [layer.mean_gap for layer in layers], MEAN_GUIDE)
    mean.set_title(f"Mean gap (dashed: {MEAN_GUIDE:g})")
    mean.set_xlabel("|batch − running mean| / batch std")
    _draw_bars(variance, names, [layer.var_gap for layer in layers], VAR_GUIDE)
    variance.set_title("Variance gap (dashed: factor 2)")
    variance.set_xlabel("|log(batch / running variance)|")


def _draw_bars(axes: Axes, names: Sequence[str], gaps: Sequence[float], guide: float) -> None:
    widths = [gap if math.isfinite(gap) else 0.0 for gap in gaps]
    colours = [BLUE if gap <= guide else VERMILLION for gap in gaps]
    bars = axes.barh(range(len(names)), widths, height=0.62, color=colours)
    axes.axvline(guide, color=MUTED, linewidth=1, linestyle="--", zorder=0)
    words = [gap_in_words(gap) for gap in gaps]
    under = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.5}
    axes.bar_label(bars, words, padding=3, color=MUTED, bbox=under)
    axes.set_xlim(0, 1.18 * max(*widths, guide))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _height(layers: Sequence[LayerGap]) -> float:
    return 0.21 * max(len(layers), 4) + 0.9


def _last(values: Floats) -> list[float]:
    """The last finite value, if there is one."""
    return [float(value) for value in values[np.isfinite(values)][-1:]]


def gap_in_words(gap: float) -> str:
    """A gap with the digits that matter."""
    if not math.isfinite(gap):
        return "not finite"
    return f"{gap:.2f}" if gap < 100 else f"{gap:.3g}"
