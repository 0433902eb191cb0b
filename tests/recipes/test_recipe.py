"""Variants."""

import pytest

from evenkeel.errors import BadOption, UnknownName
from evenkeel.recipes import RECIPES, Variant


def test_placement_is_checked() -> None:
    assert Variant().placement == "before"
    with pytest.raises(BadOption, match="before or after the activation") as caught:
        Variant(placement="befor")
    assert "befor" in str(caught.value.got)


def test_unknown_recipe_suggests_its_neighbour() -> None:
    with pytest.raises(UnknownName, match="try conv20"):
        RECIPES["conv2"]
