"""What an error says, in which order, and where the place comes from."""

import traceback

import pytest

from evenkeel.errors import BadShape, EmptyBatch, EvenkeelError, located


def test_the_message_has_three_parts_and_a_place() -> None:
    error = EvenkeelError("it broke", got="a stone", do="use bread", at="oven.door")
    assert str(error) == "it broke\n  at:  oven.door\n  got: a stone\n  do:  use bread"
    assert (error.problem, error.got, error.do, error.at) == (
        "it broke",
        "a stone",
        "use bread",
        "oven.door",
    )


def test_the_parts_are_required() -> None:
    for arguments in ({}, {"got": 1}, {"do": "x"}):
        with pytest.raises(TypeError):
            EvenkeelError("it broke", **arguments)


def test_what_was_given_is_kept_as_text() -> None:
    class Heavy:
        def __repr__(self) -> str:
            return "Heavy()"

    error = EvenkeelError("p", got=Heavy(), do="d")
    assert error.got == "Heavy()"


def test_it_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="no value"):
        raise EmptyBatch("no value", got="x", do="y")


def test_a_place_is_added_once_by_the_innermost() -> None:
    with pytest.raises(BadShape) as caught, located("net"), located("net.stem.bn"):
        raise BadShape("p", got="g", do="d")
    assert caught.value.at == "net.stem.bn"
    assert type(caught.value) is BadShape


def test_a_place_that_is_known_stays() -> None:
    with pytest.raises(BadShape) as caught, located("net"):
        raise BadShape("p", got="g", do="d", at="file.idx")
    assert caught.value.at == "file.idx"


def test_other_errors_pass_through() -> None:
    with pytest.raises(KeyError), located("net"):
        raise KeyError("x")


def test_a_placed_error_is_printed_once_and_shows_where_it_was_raised() -> None:
    def culprit() -> None:
        raise BadShape("p", got="g", do="d") from OSError("the disk")

    try:
        with located("net"):
            culprit()
    except BadShape as error:
        text = "".join(traceback.format_exception(error))
    assert text.count("evenkeel.errors.BadShape: p") == 1
    assert "in culprit" in text
    assert "the disk" in text
