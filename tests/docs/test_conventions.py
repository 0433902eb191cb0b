"""The table of docs/conventions.md against the rows it shows."""

from pathlib import Path

import pytest

from evenkeel.conventions import CONVENTIONS, convention


def table() -> dict[str, list[str]]:
    page = (Path(__file__).parents[2] / "docs" / "conventions.md").read_text()
    lines = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): [cell.strip(" `¹") for cell in cells[1:]] for cells in lines}


def test_docs_hold_every_row() -> None:
    names = {id(row): name for name, row in reversed(list(CONVENTIONS.items()))}  # first name wins
    assert set(table()) == set(names.values())


@pytest.mark.parametrize("name", table())
def test_docs_say_what_the_row_says(name: str) -> None:
    row, meaning = CONVENTIONS[name], convention(name)
    ranks = ", ".join(map(str, row.fused_ranks))
    fused = f"{row.running_var}; unbiased at rank {ranks}" if ranks else row.running_var
    assert table()[name] == [
        row.knob,
        "required" if row.momentum is None else f"{row.momentum:g}",
        row.weighs,
        "" if meaning.momentum is None else f"{meaning.momentum:g}",
        "required" if row.eps is None else f"{row.eps:g}",
        "unbiased; rank 4 only" if row.only_ranks == (4,) else fused,
        "both" if meaning.scale else "β",
    ]
