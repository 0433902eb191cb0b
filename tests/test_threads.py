"""Threads: the count is borrowed; ``evenkeel run`` says how they wait, and never over the user."""

import os
import sys
from pathlib import Path

import pytest
import torch

from evenkeel import threads
from evenkeel.threads import borrowed_threads, others_running, spin_less

RUN = ["/bin/evenkeel", "run", "train.py"]


def test_the_count_is_put_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), borrowed_threads(1):
        assert torch.get_num_threads() == 1
        raise RuntimeError
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("argv", "given", "told"),
    [
        (RUN, {}, "1000"),
        (RUN, {"GOMP_SPINCOUNT": "5"}, "5"),
        (RUN, {"OMP_WAIT_POLICY": "active"}, None),
        (["/bin/evenkeel", "info"], {}, None),
        (["/bin/pytest", "run"], {}, None),
        ([str(Path("train.py"))], {}, None),
    ],
)
def test_who_is_told_to_spin_less(
    argv: list[str], given: dict[str, str], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(given))
    monkeypatch.setattr(threads, "others_running", lambda: 99)
    monkeypatch.delitem(sys.modules, "torch")
    spin_less(argv)
    assert os.environ.get("GOMP_SPINCOUNT") == told


def test_nobody_is_told_where_the_cores_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(threads, "others_running", lambda: 0)
    monkeypatch.delitem(sys.modules, "torch")
    spin_less(RUN)
    assert not os.environ


def test_others_are_counted_without_ourselves(tmp_path: Path) -> None:
    told = tmp_path / "loadavg"
    told.write_text("9.00 9.00 9.00 3/80 15306\n")
    assert others_running(told) == 2
    assert others_running(tmp_path / "none") == 0


def test_it_is_too_late_once_torch_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    spin_less(RUN)
    assert not os.environ
