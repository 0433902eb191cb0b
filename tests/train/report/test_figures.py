"""What is drawn is what was recorded: lines, bars, labels, colours; words where nothing can be."""

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import matplotlib
import numpy as np
import pytest
from matplotlib import colors, image
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from evenkeel.train.records import Evaluation, LayerGap, Percentiles, RunResult, TrainRow
from evenkeel.train.report import canvas, figures
from evenkeel.train.report.curves import smoothed
from evenkeel.train.report.summary import MEAN_GUIDE, VAR_GUIDE

NAN = math.nan


def values_of(line: Line2D) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    return x, y


def same(line: Line2D, steps: Sequence[float], values: Sequence[float]) -> None:
    x, y = values_of(line)
    np.testing.assert_array_equal(x, np.asarray(steps, float))
    np.testing.assert_array_equal(y, np.asarray(values, float))


def hexes(lines: Sequence[Line2D]) -> list[str]:
    return [colors.to_hex(line.get_color()) for line in lines]


def bars_of(axes: Axes) -> list[Rectangle]:
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def words_of(figure: Figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


@pytest.mark.parametrize("narrow", [False, True])
def test_the_learning_curves_are_the_records(
    run: RunResult, plain: RunResult, narrow: bool
) -> None:
    loss, accuracy = figures.learning_curves([run, plain], narrow=narrow).axes
    assert len(loss.lines) == 4
    for result, raw, mean in zip((run, plain), loss.lines[::2], loss.lines[1::2], strict=True):
        steps, losses = [r.step for r in result.train], [r.loss for r in result.train]
        same(raw, steps, losses)
        same(mean, steps, smoothed(np.array(losses), 20).tolist())
    for result, line in zip((run, plain), accuracy.lines, strict=True):
        same(line, [e.step for e in result.evaluations], [e.accuracy for e in result.evaluations])
    assert hexes(accuracy.lines) == [canvas.BLUE, canvas.VERMILLION]
    assert [line.is_dashed() for line in accuracy.lines] == [False, True]
    assert [text.get_text() for text in accuracy.texts] == ["with BN\n97.3%", "without BN\n87.6%"]
    last = [sum(row.loss for row in result.train[-20:]) / 20 for result in (run, plain)]
    words = [f"with BN\n{last[0]:.2g}", f"without BN\n{last[1]:.2g}"]
    assert [text.get_text() for text in loss.texts] == words


def test_two_networks_have_a_legend_and_one_needs_none(run: RunResult, plain: RunResult) -> None:
    (legend,) = figures.learning_curves([run, plain]).legends
    assert [text.get_text() for text in legend.get_texts()] == ["with BN", "without BN"]
    alone = figures.learning_curves([run])
    assert alone.legends == []
    assert alone.axes[1].texts[0].get_text() == "97.3%"


def test_a_network_keeps_its_colour_alone_and_in_any_order(
    run: RunResult, plain: RunResult
) -> None:
    alone = figures.learning_curves([plain]).axes[1]
    turned = figures.learning_curves([plain, run]).axes[1]
    alike = figures.learning_curves([run, run]).axes[1]
    assert hexes(alone.lines) == [canvas.VERMILLION]
    assert hexes(turned.lines) == [canvas.VERMILLION, canvas.BLUE]
    assert hexes(alike.lines) == [canvas.BLUE, canvas.VERMILLION]


def test_labels_of_close_ends_do_not_overlap(run: RunResult, plain: RunResult) -> None:
    figure = figures.learning_curves([run, replace(plain, evaluations=run.evaluations)])
    figure.draw_without_rendering()
    upper, lower = (text.get_window_extent() for text in figure.axes[1].texts)
    assert not upper.overlaps(lower)


def test_a_loss_over_decades_has_a_logarithmic_axis_unless_it_touches_zero(run: RunResult) -> None:
    assert figures.learning_curves([run]).axes[0].get_yscale() == "log"
    to_zero = replace(run, train=(TrainRow(1, 1.0, 0, 0.1), TrainRow(2, 0.0, 0, 0.1)))
    assert figures.learning_curves([to_zero]).axes[0].get_yscale() == "linear"


def test_an_accuracy_axis_ends_at_one_hundred(run: RunResult) -> None:
    perfect = replace(run, evaluations=(Evaluation(1, 0.1, 0.2), Evaluation(2, 0.1, 1.0)))
    axes = figures.learning_curves([perfect]).axes[1]
    assert 1.0 <= axes.get_ylim()[1] < 1.01


def test_chance_moves_of_an_accuracy_are_not_magnified(run: RunResult) -> None:
    flat = replace(run, evaluations=(Evaluation(1, 0.1, 0.5), Evaluation(2, 0.1, 0.502)))
    low, high = figures.learning_curves([flat]).axes[1].get_ylim()
    assert low < 0.5 < 0.502 < high
    assert high - low == pytest.approx(0.1)


def test_a_long_history_is_drawn_by_its_extremes(run: RunResult) -> None:
    losses = [2.0 + math.sin(step) for step in range(60000)]
    losses[31234] = 9.0
    rows = tuple(TrainRow(step, loss, 0.5, 0.1) for step, loss in enumerate(losses))
    x, y = values_of(figures.learning_curves([replace(run, train=rows)]).axes[0].lines[0])
    assert len(x) <= 1600
    assert (x[0], x[-1], y.max()) == (0, 59999, 9.0)
    assert all(losses[int(step)] == value for step, value in zip(x, y, strict=True))


@pytest.mark.parametrize("narrow", [False, True])
def test_the_bars_are_the_gaps_of_every_layer(failed: RunResult, narrow: bool) -> None:
    mean, variance = figures.statistics_gaps(failed, narrow=narrow).axes
    layers = failed.check.layers
    assert [bar.get_width() for bar in bars_of(mean)] == [layer.mean_gap for layer in layers]
    assert [bar.get_width() for bar in bars_of(variance)] == [layer.var_gap for layer in layers]
    assert [text.get_text() for text in mean.texts] == ["0.04", "3.25", "0.90", "0.61"]
    names = [label.get_text() for label in mean.get_yticklabels()]
    assert names == [layer.layer for layer in layers]
    assert mean.get_ylim()[0] > mean.get_ylim()[1], "the first layer is at the top"
    for axes, guide in ((mean, MEAN_GUIDE), (variance, VAR_GUIDE)):
        same(axes.lines[0], [guide, guide], [0, 1])
        beyond = [bar.get_width() > guide for bar in bars_of(axes)]
        coloured = [
            colors.to_hex(bar.get_facecolor()) == canvas.VERMILLION for bar in bars_of(axes)
        ]
        assert beyond == coloured
        assert True in beyond and False in beyond


def test_a_gap_that_is_not_finite_is_said_not_drawn(one_step: RunResult) -> None:
    mean, variance = figures.statistics_gaps(one_step).axes
    assert [bar.get_width() for bar in bars_of(mean)] == [0.0, 0.9]
    assert [mean.texts[0].get_text(), variance.texts[0].get_text()] == ["not finite"] * 2


def test_names_are_text_and_fit(one_step: RunResult) -> None:
    figure = figures.statistics_gaps(one_step, narrow=True)
    figure.draw_without_rendering()
    labels = figure.axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["<script>a…</script>", "$x_1$ & �…ny.figure"]
    assert not any(label.get_parse_math() for label in labels)
    assert all(label.get_window_extent().x0 >= 0 for label in labels)


def test_twenty_names_do_not_run_into_each_other(run: RunResult) -> None:
    figure = figures.statistics_gaps(run, narrow=True)
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert len(boxes) == 20
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_the_widest_layers_are_kept_in_the_networks_order() -> None:
    gaps = [0.1, 2.0, math.nan, 0.3, 1.0]
    layers = [LayerGap(f"bn{index}", 4, gap, 0.1, 9) for index, gap in enumerate(gaps)]
    assert [layer.layer for layer in figures.widest(layers, 3)] == ["bn1", "bn2", "bn4"]
    assert figures.widest(layers, 9) == layers


@pytest.mark.parametrize("narrow", [False, True])
def test_the_percentiles_are_the_records_on_one_scale(
    run: RunResult, plain: RunResult, narrow: bool
) -> None:
    panels = figures.percentile_history([run, plain], narrow=narrow).axes
    assert panels[0].get_ylim() == panels[1].get_ylim()
    for result, axes in zip((run, plain), panels, strict=True):
        steps = [row.step for row in result.percentiles]
        same(axes.lines[0], steps, [row.p85 for row in result.percentiles])
        same(axes.lines[1], steps, [row.p50 for row in result.percentiles])
        same(axes.lines[2], steps, [row.p15 for row in result.percentiles])
        assert [text.get_text() for text in axes.texts] == ["85th", "50th", "15th"]
        assert result.batch_norm == ("with BN" in axes.get_title(loc="left"))


def test_a_percentile_that_is_not_a_number_leaves_a_gap(run: RunResult) -> None:
    rows = (Percentiles(0, -1, 0, 1), Percentiles(10, NAN, NAN, NAN), Percentiles(20, -2, 0, 2))
    axes = figures.percentile_history([replace(run, percentiles=rows)]).axes[0]
    same(axes.lines[0], [0, 10, 20], [1, NAN, 2])


def degenerate(run: RunResult) -> dict[str, RunResult]:
    not_finite = (TrainRow(1, NAN, 0, 0.1), TrainRow(2, math.inf, 0, 0.1))
    return {
        "nothing": replace(
            run,
            train=(),
            evaluations=(),
            percentiles=(),
            check=replace(run.check, layers=()),
        ),
        "nothing finite": replace(
            run,
            train=not_finite,
            evaluations=(Evaluation(1, NAN, NAN),),
            percentiles=(Percentiles(1, NAN, math.inf, -math.inf),),
            check=replace(run.check, layers=(LayerGap("bn", 4, NAN, math.inf, 0),)),
        ),
        "infinite in between": replace(
            run,
            train=(TrainRow(1, 1.0, 0, 0.1), *not_finite, TrainRow(3, 0.01, 0, 0.1)),
            percentiles=(Percentiles(0, -1, 0, 1), Percentiles(1, -math.inf, NAN, math.inf)),
        ),
        "constant": replace(
            run,
            train=(TrainRow(1, 0.0, 0, 0.1), TrainRow(2, 0.0, 0, 0.1)),
            evaluations=(Evaluation(1, 0, 0.0), Evaluation(2, 0, 0.0)),
            percentiles=(Percentiles(0, 0, 0, 0),),
            check=replace(run.check, layers=(LayerGap("", 0, 0.0, 0.0, 0),)),
        ),
        "huge": replace(
            run,
            train=(TrainRow(1, 1e30, 0, 0.1), TrainRow(2, 1e38, 0, 0.1)),
            percentiles=(Percentiles(10**9, -1e38, 0, 1e38),),
            check=replace(run.check, layers=(LayerGap("層", 4, 1e20, 1e300, 1),)),
        ),
    }


CASES = ("nothing", "nothing finite", "infinite in between", "constant", "huge")


@pytest.mark.parametrize("case", CASES)
def test_odd_records_give_figures(run: RunResult, plain: RunResult, case: str) -> None:
    odd = degenerate(run)[case]
    for figure in (
        figures.learning_curves([odd], narrow=True),
        figures.statistics_gaps(odd, narrow=True),
        figures.percentile_history([odd, plain], narrow=True),
        figures.overview([odd]),
        figures.overview([odd, plain]),
    ):
        assert canvas.as_png(figure, dpi=40).startswith(b"\x89PNG")


@pytest.mark.parametrize("case", ["nothing", "nothing finite"])
def test_where_nothing_can_be_drawn_words_stand(run: RunResult, case: str) -> None:
    odd = degenerate(run)[case]
    assert "No finite training loss" in words_of(figures.learning_curves([odd]))
    assert "No finite validation accuracy" in words_of(figures.learning_curves([odd]))
    assert "No finite percentiles" in words_of(figures.percentile_history([odd]))
    gaps = words_of(figures.statistics_gaps(odd))
    assert ("No layer keeps running statistics" if case == "nothing" else "not finite") in gaps


def test_one_step_has_one_tick(one_step: RunResult) -> None:
    axes = figures.learning_curves([one_step]).axes[0]
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
    assert axes.lines[0].get_marker() == "o", "a line of one point is invisible"


def decoded(png: bytes) -> NDArray[np.float32]:
    pixels: NDArray[np.float32] = image.imread(io.BytesIO(png), format="png")
    return pixels


def test_the_overview_is_a_picture_of_the_size_asked_for(run: RunResult, plain: RunResult) -> None:
    figure = figures.overview([run, plain])
    width, height = figure.get_size_inches()
    pixels = decoded(canvas.as_png(figure, dpi=100))
    assert pixels.shape[:2] == (int(height * 100), int(width * 100))
    assert (pixels[:3, :3] == 1).all(), "the paper is white, and not transparent"
    rows, columns = pixels.shape[0] // 3, pixels.shape[1] // 2
    for row in range(3):
        for column in range(2):
            tile = pixels[row * rows : (row + 1) * rows, column * columns : (column + 1) * columns]
            assert tile[..., :3].std() > 0.02, f"nothing at row {row}, column {column}"
    for colour in (canvas.BLUE, canvas.VERMILLION):
        near = np.abs(pixels[..., :3] - colors.to_rgb(colour)).max(axis=-1) < 0.02
        assert near.sum() > 200, f"no {colour}"


def test_a_figure_is_emptied_once_it_is_a_picture(run: RunResult) -> None:
    figure = figures.percentile_history([run])
    canvas.as_png(figure, dpi=40)
    assert figure.axes == []


def test_the_users_settings_neither_show_nor_change(run: RunResult) -> None:
    before = canvas.as_png(figures.learning_curves([run]), dpi=50)
    with matplotlib.rc_context({"axes.facecolor": "red", "xtick.direction": "in", "font.size": 30}):
        settings = dict(matplotlib.rcParams)
        again = canvas.as_png(figures.learning_curves([run]), dpi=50)
        assert dict(matplotlib.rcParams) == settings
    assert again == before
