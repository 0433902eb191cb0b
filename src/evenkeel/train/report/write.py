"""Records to ``report.html`` and ``report.png``: what each section holds, and writing it whole."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from evenkeel.errors import BadOption
from evenkeel.files import replace_file
from evenkeel.train.folder import CHECKPOINT, CONFIG, METRICS, REPORT, RESULT, WEIGHTS
from evenkeel.train.records import RunResult
from evenkeel.train.report import figures
from evenkeel.train.report.canvas import as_png
from evenkeel.train.report.curves import smoothing_window
from evenkeel.train.report.plates import (
    Plate,
    Sheet,
    gaps_plate,
    learning_plate,
    percentiles_plate,
)
from evenkeel.train.report.summary import (
    account,
    advice,
    arm_names,
    command,
    count,
    duration,
    headline,
    meaning,
    percent,
    race,
    sentence,
    steps_to_reach,
)

NOT_SETTINGS = ("train", "evaluations", "percentiles", "valid_accuracy", "test_accuracy", "check")
FILES = (
    (WEIGHTS, "the trained weights and running statistics"),
    (METRICS, "every logged row"),
    (RESULT, "all that this report shows, to make it again"),
    (CONFIG, "the settings"),
    (CHECKPOINT, "where training stood, to go on from"),
)
SPELT_OUT = {"batch_norm": "batch normalization", "lr": "learning rate"}


@dataclass(frozen=True, slots=True)
class Arm:
    """One result as the page names and judges it."""

    name: str
    result: RunResult
    account: str
    meaning: str
    advice: tuple[str, ...]
    gaps: Plate


def write_report(results: Sequence[RunResult], folder: Path) -> tuple[Path, Path]:
    """Write ``report.html`` and ``report.png`` of one run, or of a comparison of two, into a folder.

    Both are made before either is written, and each replaces its predecessor as a whole. They
    depend on the records alone, so a report can be made again from a run's own files.

    Raises:  BadOption for no result or more than two; BadRun for a folder that cannot be written;
             MissingExtra without matplotlib and jinja2 (when this module is imported)
    """
    if len(results) not in (1, 2):
        raise BadOption(
            "a report shows one run, or two side by side",
            got=count(len(results), "result"),
            do="write one report for each run",
        )
    ordered = sorted(results, key=lambda result: not result.batch_norm)
    page, picture = html(ordered), as_png(figures.overview(ordered))
    paths = folder / REPORT, folder / "report.png"
    replace_file(paths[0], page.encode("utf-8", "replace"))  # a path may hold odd bytes
    replace_file(paths[1], picture)
    return paths


def html(results: Sequence[RunResult]) -> str:
    """The page, whole in itself: no style, script, font or image from elsewhere."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["sentence"] = sentence
    source = (
        resources.files("evenkeel.train.report").joinpath("report.html.jinja").read_text("utf-8")
    )
    return environment.from_string(source).render(
        headline=headline(results),
        arms=[_arm(*one) for one in zip(results, arm_names(results), "ab", strict=False)],
        scores=scores(results),
        learning=learning_plate(results),
        window=max(smoothing_window(len(result.train)) for result in results),
        race=race(results) if len(results) == 2 else "",
        reach=reach(results) if len(results) == 2 else None,
        percentiles=percentiles_plate(results),
        settings=settings(results),
        command=command(results),
        files=FILES,
    )


def scores(results: Sequence[RunResult]) -> Sheet:
    """The final figures of each result."""
    rows = []
    for result, name in _named(results):
        check = result.check
        agreement = f"{check.agreement} of {check.images}" if check.layers else "–"
        accuracies = result.test_accuracy, result.valid_accuracy, check.accuracy
        rows.append((name, *map(percent, accuracies), agreement))
    head = ("", "test images", "validation images", "single images", "agree with batch")
    return Sheet("Final accuracy", head, tuple(rows))


def reach(results: Sequence[RunResult]) -> Sheet:
    """Steps to given accuracies, side by side."""
    names = arm_names(results)
    rows = []
    for mark in steps_to_reach(results):
        level = f"{percent(mark.accuracy)} (best {mark.of})" if mark.of else percent(mark.accuracy)
        steps = [f"{step:,}" if step is not None else "not reached" for step in mark.steps]
        ratio = f"{mark.ratio:.1f}" if mark.ratio is not None else "–"
        rows.append((level, *steps, ratio))
    head = ("validation accuracy", *names, f"steps {names[1]} per step {names[0]}")
    return Sheet("Steps to reach an accuracy", head, tuple(rows))


def settings(results: Sequence[RunResult]) -> Sheet:
    """Every setting of the records, by field; a new field appears by itself."""
    names = [field.name for field in fields(RunResult) if field.name not in NOT_SETTINGS]
    rows = [
        (
            SPELT_OUT.get(name, name.replace("_", " ")),
            *(_setting(name, getattr(result, name)) for result in results),
        )
        for name in names
    ]
    seen = tuple(f"{result.steps * result.batch_size:,}" for result in results)
    return Sheet("Settings", ("", *arm_names(results)), (*rows, ("images seen", *seen)))


def _setting(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "seconds" and isinstance(value, float):
        return f"{value:.1f} ({duration(value)})" if value >= 60 else f"{value:.3g}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _named(results: Sequence[RunResult]) -> list[tuple[RunResult, str]]:
    return list(zip(results, arm_names(results), strict=True))


def _arm(result: RunResult, name: str, letter: str) -> Arm:
    plate = gaps_plate(result, letter)
    return Arm(
        name, result, account(result), meaning(result.check), tuple(advice(result.check)), plate
    )
