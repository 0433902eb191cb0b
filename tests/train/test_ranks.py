import itertools

import pytest
import torch

from evenkeel.errors import BadOption
from evenkeel.train.ranks import ALONE, VARIABLES, Ranks, joined, started_with


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("total", [1, 7, 64, 65])
def test_the_parts_are_the_whole_in_order_and_of_nearly_one_size(size: int, total: int) -> None:
    parts = [list(range(total))[Ranks(rank, size).part(total)] for rank in range(size)]
    assert [*itertools.chain(*parts)] == [*range(total)]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_alone_everything_is_its_own() -> None:
    x = torch.randn(5)
    with joined(ALONE) as ranks:
        assert ranks.first
        assert ranks.total(x) is x
        assert ranks.gathered(x) is x
        assert ranks.largest([3, 0]) == [3, 0]
        assert ranks.told("runs/é") == "runs/é"
        ranks.check_same("thing", "a")
        ranks.wait()


def test_without_a_launcher_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started_with() == ALONE
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert started_with() == ALONE


def test_a_launchers_variables_are_read_or_what_lacks_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = dict(zip(VARIABLES, ("2", "4", "0", "node", "29500"), strict=True))
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert started_with() == Ranks(2, 4)
    for name, value in (("RANK", "two"), ("MASTER_ADDR", ""), ("LOCAL_RANK", "")):
        monkeypatch.setenv(name, value)
        with pytest.raises(BadOption, match=f"{name}={value}"):
            started_with()
        monkeypatch.setenv(name, given[name])
