"""Faults planted in real networks are found at the right layer, and nothing else is blamed."""

import contextlib
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from doctor.healthy import NETWORKS, batches_for, trained
from doctor.planted import ROWS, Plant, Planted
from doctor.planted_elsewhere import ROWS as ELSEWHERE
from doctor.planted_elsewhere import Look
from doctor.planted_programs import GOOD, PROGRAMS
from evenkeel.doctor import Report, diagnose, judge
from evenkeel.doctor.finding import NOTE
from evenkeel.doctor.programs import observe_program
from evenkeel.recipes import RECIPES
from evenkeel.tf1 import stacks

TABLE = Path(__file__).parents[2] / "docs" / "doctor" / "planted.md"
HEAD = """# Faults planted in real networks, and what was reported

Networks of transformers (small configurations) and the recipes, trained for 60 steps, networks over
padded sequences, TensorFlow 1 programs with batch normalization of five makes, files of weights, two
processes: each with one fault planted in it. "Reported" is every warning and error of the rule that
was planted, "others" those of any other rule. `python tests/doctor/test_planted.py` writes this page.

| planted | how | network | at | reported | number | others |
|---|---|---|---|---|---|---|
"""
# One network for each row in the quick tests; the others are slow.
QUICK = [(code, plant, networks[0]) for code, plant, networks in ROWS]
ALL = [(code, plant, network) for code, plant, networks in ROWS for network in networks[1:]]


def look(plant: Plant, network: str) -> tuple[Planted, Report]:
    torch.manual_seed(0)
    planted = plant(trained(network), network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's, of what was planted
        return planted, diagnose(planted.model, planted.batches, **planted.options)


def check(code: str, plant: Plant, network: str) -> None:
    planted, report = look(plant, network)
    mine = {found.place for found in report.findings if found.code == code}
    assert set(planted.places) <= mine
    blamed = [str(f) for f in report.findings if f.severity > NOTE]
    right = tuple(f" at {place}:" for place in planted.places)
    assert not [b for b in blamed if not b.startswith(code) or not any(r in b for r in right)]


@pytest.mark.parametrize(("code", "plant", "network"), QUICK)
def test_planted(code: str, plant: Plant, network: str) -> None:
    check(code, plant, network)


@pytest.mark.slow
@pytest.mark.parametrize(("code", "plant", "network"), ALL)
def test_planted_elsewhere(code: str, plant: Plant, network: str) -> None:
    check(code, plant, network)


def look_at(text: str, folder: Path) -> Report:
    """The report of a program, named train.py."""
    stacks.reset_default_graph()
    (folder / "train.py").write_text(text)
    with contextlib.chdir(folder):
        report = judge(observe_program("train.py"))
    stacks.reset_default_graph()
    return report


def line_of(text: str, part: str) -> str:
    return f"train.py:{next(i for i, t in enumerate(text.splitlines(), 1) if part in t)}"


def blamed(report: Report) -> set[tuple[str, str]]:
    return {(f.code, f.place) for f in report.findings if f.severity > NOTE}


def _first(rows: list[Any]) -> list[Any]:
    """Rows, all but the first of each code slow."""
    seen: set[str] = set()
    slow = [row[0] in seen or seen.add(row[0]) for row in rows]  # type: ignore[func-returns-value]  # None
    return [
        pytest.param(*r, marks=pytest.mark.slow if s else ())
        for r, s in zip(rows, slow, strict=True)
    ]


@pytest.mark.parametrize(("code", "how", "library", "text", "part"), _first(PROGRAMS))
def test_planted_in_programs(
    code: str, how: str, library: str, text: str, part: str, tmp_path: Path
) -> None:
    assert blamed(look_at(text, tmp_path)) == {(code, line_of(text, part))}


@pytest.mark.parametrize(("library", "text"), GOOD)
def test_healthy_programs(library: str, text: str, tmp_path: Path) -> None:
    report = look_at(text, tmp_path)
    assert report.findings == ()
    assert report.trace.program is not None
    assert len(report.trace.program.norms) == 2


@pytest.mark.parametrize(("code", "how", "kind", "look"), _first(ELSEWHERE))
def test_planted_outside_of_models(
    code: str, how: str, kind: str, look: Look, tmp_path: Path
) -> None:
    report, places = look(tmp_path)
    assert places
    assert blamed(report) == {(code, place) for place in places}


@pytest.mark.parametrize("network", [*NETWORKS, *RECIPES])
def test_healthy(network: str) -> None:
    report = diagnose(trained(network), batches_for(network))
    assert [str(f) for f in report.findings if f.severity > NOTE] == []
    assert report.exit_code == 0


def table() -> str:
    rows = []
    for code, plant, networks in ROWS:
        for network in networks:
            planted, report = look(plant, network)
            rows.append(
                _row(code, plant.__name__.replace("_", " "), network, planted.places, report)
            )
    with tempfile.TemporaryDirectory() as folder:
        for code, how, library, text, part in PROGRAMS:
            report = look_at(text, Path(folder))
            rows.append(_row(code, how, library, (line_of(text, part),), report))
    for code, how, kind, look_elsewhere in ELSEWHERE:
        with tempfile.TemporaryDirectory() as folder:
            report, places = look_elsewhere(Path(folder))
            rows.append(_row(code, how, kind, places, report))
    return HEAD + "\n".join(sorted(rows, key=lambda row: row[:9])) + "\n"


def _row(code: str, how: str, kind: str, places: tuple[str, ...], report: Report) -> str:
    mine = [f for f in report.findings if f.code == code and f.place in places]
    others = len(blamed(report) - {(code, place) for place in places})
    at = places[0] if len(places) == 1 else f"all {len(places)}"
    many = f" at {len(mine)}" if len(mine) > 1 else ""
    told = f"{mine[0].severity.label}{many} | {mine[0].number:.3g}" if mine else "missed | "
    return f"| {code} | {how} | {kind} | `{at}` | {told} | {others} |"


if __name__ == "__main__":
    TABLE.write_text(table())
