"""The look of the report's figures: colours, type, and axes that need no explanation."""

import io
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from evenkeel.train.report.curves import Floats, spread, thin

INK, MUTED, RULE, PAPER = "#1a1f26", "#5a636e", "#dde1e6", "#ffffff"
BLUE, VERMILLION = "#0072b2", "#d55e00"
"""Two of the eight colours of Okabe & Ito (2008), told apart with any colour vision."""

WIDE, NARROW = 9.0, 4.2  # inches
FEW = 40  # points that are marked one by one
STYLE = {
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.xmargin": 0.02,
    "figure.facecolor": "none",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "text.color": INK,
    "text.parse_math": False,  # a layer may be called $x$
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}

Dashes = str | tuple[int, tuple[float, float]]

End = tuple[float, str, str]
"""Where a line ends, the words to put there, and their colour."""


@contextmanager
def plain_style() -> Iterator[None]:
    """The report's look, whatever the user's matplotlibrc says; rcParams come back as they were."""
    with style.context([STYLE], after_reset=True), warnings.catch_warnings():
        # A name in a script that the font lacks becomes boxes, which is no reason to stop.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def blank(narrow: bool, wide_height: float, narrow_height: float) -> Figure:
    """An empty figure, for a page or for a telephone."""
    size = (NARROW, narrow_height) if narrow else (WIDE, wide_height)
    return Figure(figsize=size, layout=ConstrainedLayoutEngine(hspace=0.07, wspace=0.04))


def panels(parent: FigureBase, number: int, *, stacked: bool, sharey: bool = False) -> list[Axes]:
    """Axes side by side, or one above the other."""
    rows, columns = (number, 1) if stacked else (1, number)
    return list(parent.subplots(rows, columns, squeeze=False, sharey=sharey).flat)


def line(
    axes: Axes,
    steps: Sequence[int],
    values: Floats,
    colour: str,
    *,
    width: float = 1.8,
    alpha: float = 1.0,
    dashes: Dashes = "-",
    label: str = "",
) -> None:
    """A line over steps: every value of a short history, the same picture of a long one."""
    kept = thin(values)
    axes.plot(
        [steps[index] for index in kept],
        values[kept],
        color=colour,
        alpha=alpha,
        linewidth=width,
        linestyle=dashes,
        marker="o" if len(kept) <= FEW else "",
        markersize=3,
        label=label or None,
    )


def frame(axes: Axes, title: str, unit: str) -> None:
    """Title, axis labels and quiet horizontal rules for a history over training steps."""
    axes.set_title(title)
    axes.set_ylabel(unit)
    axes.set_xlabel("training step")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))


def logarithmic(axes: Axes) -> None:
    """A logarithmic y axis with numbers that read as numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def percentages(axes: Axes) -> None:
    """A y axis of shares, labelled in percent, that ends where shares end."""
    low, high = axes.get_ylim()
    # Closer up, chance moves of half a percent would look like events.
    slack = max(0.0, 0.1 - (high - low)) / 2
    axes.set_ylim(max(low - slack, -0.005), min(high + slack, 1.005))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g}"))


def label_ends(axes: Axes, ends: Sequence[End], *, gap: float) -> None:
    """Words at the right end of each line, moved apart where they would overlap."""
    to_axes = axes.transScale + axes.transLimits
    right = axes.get_xlim()[1]
    heights = [float(to_axes.transform((right, value))[1]) for value, _, _ in ends]
    for height, (_, words, colour) in zip(spread(heights, gap), ends, strict=True):
        axes.annotate(
            words,
            (1.0, height),
            xycoords="axes fraction",
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=colour,
        )


def say(axes: Axes, words: str) -> None:
    """Words in the place of a picture."""
    axes.set_axis_off()
    text = textwrap.fill(words, 44)
    axes.text(0.5, 0.5, text, ha="center", va="center", color=MUTED, transform=axes.transAxes)


def as_png(figure: Figure, *, dpi: int = 160) -> bytes:
    """The figure on white, as the bytes of a PNG file; the figure is emptied."""
    file = io.BytesIO()
    with plain_style():
        figure.savefig(file, format="png", dpi=dpi, facecolor="white")
    figure.clear()
    return file.getvalue()
