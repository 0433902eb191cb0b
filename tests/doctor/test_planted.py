"""Faults planted in real networks are found at the right layer, and nothing else is blamed."""

import warnings
from pathlib import Path

import pytest
import torch

from doctor.healthy import NETWORKS, batches_for, trained
from doctor.planted import ROWS, Plant, Planted
from evenkeel.doctor import Report, diagnose
from evenkeel.doctor.finding import NOTE
from evenkeel.recipes import RECIPES

TABLE = Path(__file__).parents[2] / "docs" / "doctor" / "planted.md"
HEAD = """# Faults planted in real networks, and what was reported

Networks of transformers (small configurations) and the recipes, trained for 60 steps, each with one
fault planted in it. "Reported" is every warning and error of the rule that was planted, "others" those
of any other rule. `python tests/doctor/test_planted.py` writes this page.

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
            mine = [f for f in report.findings if f.code == code and f.place in planted.places]
            others = sum(f.code != code and f.severity > NOTE for f in report.findings)
            at = planted.places[0] if len(planted.places) == 1 else f"all {len(planted.places)}"
            found = f"{mine[0].severity.label}" if mine else "missed"
            many = f" at {len(mine)}" if len(mine) > 1 else ""
            name = plant.__name__.replace("_", " ")
            number = f"{mine[0].number:.3g}" if mine else ""
            rows.append(
                f"| {code} | {name} | {network} | `{at}` | {found}{many} | {number} | {others} |"
            )
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table())
