"""The registry: order, duplicates, near misses."""

import pytest

from evenkeel.errors import DuplicateRow, UnknownName
from evenkeel.tables import Table


def shapes() -> Table[int]:
    table = Table[int]("shape")
    table.add("triangle", "three")(3)
    table.add("square")(4)
    return table


def test_rows_come_back_in_the_order_in_which_they_were_added() -> None:
    table = shapes()
    assert dict(table) == {"triangle": 3, "three": 3, "square": 4}
    assert list(table) == ["triangle", "three", "square"]
    assert len(table) == 3
    assert list(table.values()) == [3, 3, 4]


def test_the_decorator_returns_its_row() -> None:
    table = Table[type]("class")

    @table.add("a")
    class A:
        pass

    assert table["a"] is A
    assert isinstance(A, type)


def test_membership() -> None:
    table = shapes()
    assert "square" in table
    assert "circle" not in table
    for other in (4, None, ["square"]):
        assert not table.__contains__(other)


def test_get_has_a_default_as_in_every_mapping() -> None:
    assert shapes().get("square") == 4
    assert shapes().get("circle") is None
    assert shapes().get("circle", 0) == 0


def test_a_duplicate_is_refused_and_changes_nothing() -> None:
    table = shapes()
    with pytest.raises(DuplicateRow, match="two rows for the shape 'square'"):
        table.add("circle", "square")(0)
    assert dict(table) == dict(shapes())


def test_a_miss_suggests_its_neighbours() -> None:
    with pytest.raises(UnknownName) as caught:
        shapes()["sqare"]
    assert "no shape is called 'sqare'" in str(caught.value)
    assert "known: triangle, three, square" in caught.value.got
    assert caught.value.do == "try square"


def test_a_miss_is_a_key_error_whose_text_is_not_quoted() -> None:
    with pytest.raises(KeyError) as caught:
        shapes()["sqare"]
    assert str(caught.value).startswith("no shape is called 'sqare'\n  got: ")


def test_a_wild_miss_suggests_everything() -> None:
    with pytest.raises(UnknownName) as caught:
        shapes()["xyzzy"]
    assert caught.value.do == "try triangle or three or square"


@pytest.mark.parametrize("name", [None, 4, ["square"]])
def test_what_is_no_name_is_a_miss(name: object) -> None:
    with pytest.raises(UnknownName):
        shapes()[name]  # type: ignore[index]
