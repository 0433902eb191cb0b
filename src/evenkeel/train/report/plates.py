"""A figure as the report shows it: drawn twice, told in words, and its numbers in a table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from evenkeel.train.records import Evaluation, LayerGap, RunResult
from evenkeel.train.report import figures
from evenkeel.train.report.curves import floats, smoothed, smoothing_window
from evenkeel.train.report.figures import gap_in_words
from evenkeel.train.report.inline_svg import inline_svg
from evenkeel.train.report.summary import (
    arm_names,
    best_accuracy,
    count,
    missing,
    over,
    percent,
    sentence,
)

ROWS = 24
"""A table under a figure is read, not processed: a longer history gives evenly spaced rows."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of text."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Plate:
    """A figure for a page and for a telephone, what it lacks, and its numbers.

    ``wide`` and ``narrow`` are SVG elements, or "" where there is nothing to draw; the notes say why.
    """

    wide: str
    narrow: str
    notes: tuple[str, ...]
    sheets: tuple[Sheet, ...]


def spaced(rows: Sequence[Item], limit: int = ROWS) -> list[Item]:
    """At most ``limit`` rows, evenly spaced, the first and the last among them.

    >>> spaced(range(101), 5)
    [0, 25, 50, 75, 100]
    """
    if len(rows) <= limit:
        return list(rows)
    return [rows[round(place * (len(rows) - 1) / (limit - 1))] for place in range(limit)]


def learning_plate(results: Sequence[RunResult]) -> Plate:
    """Training loss and validation accuracy."""
    notes = [
        _for_arm(note, name, results)
        for result, name in _named(results)
        for note in _learning_notes(result)
    ]
    sheets = [_accuracy_sheet(results), *_loss_sheets(results)]
    drawable = any(
        math.isfinite(value)
        for result in results
        for value in [*(r.loss for r in result.train), *(e.accuracy for e in result.evaluations)]
    )
    alt = " ".join(
        ["Two line charts over the training steps: training loss and validation accuracy."]
        + [_learning_alt(result, name) for result, name in _named(results)]
    )
    wide = narrow = ""
    if drawable:
        wide = inline_svg(figures.learning_curves(results), "learning-wide", alt)
        narrow = inline_svg(figures.learning_curves(results, narrow=True), "learning-narrow", alt)
    return Plate(wide, narrow, tuple(notes), tuple(sheet for sheet in sheets if sheet.rows))


def gaps_plate(result: RunResult, name: str) -> Plate:
    """Batch against running statistics, layer by layer; ``name`` keeps identifiers apart."""
    layers = result.check.layers
    if not layers:
        why = (
            "No layer of this network keeps running statistics."
            if result.batch_norm
            else "This network has no batch normalization, hence no running statistics to compare."
        )
        return Plate("", "", (why,), ())
    alt = _gaps_alt(layers)
    wide = inline_svg(figures.statistics_gaps(result), f"gaps-wide-{name}", alt)
    narrow = inline_svg(figures.statistics_gaps(result, narrow=True), f"gaps-narrow-{name}", alt)
    shown = figures.widest(layers, figures.MOST_LAYERS)
    notes = []
    if len(shown) < len(layers):
        notes.append(f"Drawn: the {len(shown)} widest of {len(layers)} layers; the table has all.")
    return Plate(wide, narrow, tuple(notes), (_gaps_sheet(layers),))


def percentiles_plate(results: Sequence[RunResult]) -> Plate:
    """Percentiles of a unit's input over training."""
    notes = []
    for result, name in _named(results):
        values = [(row.p15, row.p50, row.p85) for row in result.percentiles]
        lacks = missing([row.step for row in result.percentiles], values, "percentiles")
        notes += [_for_arm(lacks, name, results)] if lacks else []
    wide = narrow = ""
    if any(map(figures.has_percentiles, results)):
        alt = _percentiles_alt(results)
        wide = inline_svg(figures.percentile_history(results), "percentiles-wide", alt)
        narrow = inline_svg(
            figures.percentile_history(results, narrow=True), "percentiles-narrow", alt
        )
    sheets = tuple(_percentiles_sheet(result, name) for result, name in _named(results))
    return Plate(wide, narrow, tuple(notes), tuple(sheet for sheet in sheets if sheet.rows))


def _named(results: Sequence[RunResult]) -> list[tuple[RunResult, str]]:
    return list(zip(results, arm_names(results), strict=True))


def _for_arm(words: str, name: str, results: Sequence[RunResult]) -> str:
    return words if len(results) == 1 else f"{sentence(name)}: {words}"


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "not finite"


def _learning_notes(result: RunResult) -> list[str]:
    histories = [
        missing([r.step for r in result.train], [(r.loss,) for r in result.train], "training loss"),
        missing(
            [e.step for e in result.evaluations],
            [(e.accuracy,) for e in result.evaluations],
            "validation accuracy",
        ),
    ]
    if len(result.train) == 1:
        histories.append("One training step was logged: a point, not yet a curve.")
    return [words for words in histories if words]


def _learning_alt(result: RunResult, name: str) -> str:
    parts = []
    if result.train:
        first, last = result.train[0], result.train[-1]
        parts.append(
            f"loss {_number(first.loss)} at step {first.step}, "
            f"{_number(last.loss)} at step {last.step}"
        )
    if result.evaluations:
        end = result.evaluations[-1]
        parts.append(
            f"validation accuracy {percent(end.accuracy)} at step {end.step}, "
            f"at best {percent(best_accuracy(result))}"
        )
    return f"{sentence(name)}: {'; '.join(parts) or 'nothing recorded'}."


def _accuracy_sheet(results: Sequence[RunResult]) -> Sheet:
    steps = spaced(sorted({e.step for result in results for e in result.evaluations}))
    histories = [{e.step: e for e in result.evaluations} for result in results]
    head = [f"{what} {name}" for name in arm_names(results) for what in ("accuracy", "loss")]
    rows = [
        (f"{step:,}", *(text for history in histories for text in _evaluated(history.get(step))))
        for step in steps
    ]
    return Sheet("Validation images, whole split, inference mode", ("step", *head), tuple(rows))


def _evaluated(evaluation: Evaluation | None) -> tuple[str, str]:
    if evaluation is None:
        return "–", "–"
    return percent(evaluation.accuracy), _number(evaluation.loss)


def _loss_sheets(results: Sequence[RunResult]) -> list[Sheet]:
    sheets = []
    for result, name in _named(results):
        window = smoothing_window(len(result.train))
        means = smoothed(floats([row.loss for row in result.train]), window).tolist()
        rows = [
            (f"{row.step:,}", _number(row.loss), _number(mean), percent(row.accuracy))
            for row, mean in spaced(list(zip(result.train, means, strict=True)))
        ]
        head = ("step", "loss", f"mean of {count(window, 'row')}", "accuracy in the batch")
        sheets.append(Sheet(f"Training batches, {name}", head, tuple(rows)))
    return sheets


def _gaps_alt(layers: Sequence[LayerGap]) -> str:
    widest_mean = max(layers, key=lambda layer: layer.mean_gap)
    widest_var = max(layers, key=lambda layer: layer.var_gap)
    above = sum(map(over, layers))
    return (
        f"Bar charts over {count(len(layers), 'layer')}, {above} above a guide. Largest gap of the "
        f"means: {gap_in_words(widest_mean.mean_gap)} in {widest_mean.layer}. Largest gap of the "
        f"variances: {gap_in_words(widest_var.var_gap)} in {widest_var.layer}."
    )


def _gaps_sheet(layers: Sequence[LayerGap]) -> Sheet:
    rows = [
        (
            layer.layer,
            str(layer.channels),
            f"{layer.updates:,}" if layer.updates else "never",
            gap_in_words(layer.mean_gap),
            gap_in_words(layer.var_gap),
            "above a guide" if over(layer) else "",
        )
        for layer in layers
    ]
    head = ("layer", "channels", "updates", "gap of means", "gap of variances", "")
    return Sheet("Batch against running statistics, every layer", head, tuple(rows))


def _percentiles_alt(results: Sequence[RunResult]) -> str:
    told = ["Line charts over the training steps: percentiles of a unit's input."]
    for result, name in _named(results):
        if result.percentiles:
            first, last = result.percentiles[0], result.percentiles[-1]
            told.append(
                f"{sentence(name)}: 15th, 50th, 85th percentile "
                f"{_triple(first.p15, first.p50, first.p85)} at step {first.step}, "
                f"{_triple(last.p15, last.p50, last.p85)} at step {last.step}."
            )
    return " ".join(told)


def _triple(*values: float) -> str:
    return ", ".join(map(_number, values))


def _percentiles_sheet(result: RunResult, name: str) -> Sheet:
    rows = [
        (f"{row.step:,}", _number(row.p15), _number(row.p50), _number(row.p85))
        for row in spaced(result.percentiles)
    ]
    head = ("step", "15th", "50th", "85th")
    return Sheet(f"Percentiles of the unit's input, {name}", head, tuple(rows))
