import math
from dataclasses import replace
from typing import Any

import pytest

from evenkeel.errors import BadOption, UnknownName
from evenkeel.recipes import RECIPES, Variant
from evenkeel.train.config import RunConfig, check_ranges, steps_of
from evenkeel.train.plain import from_json, to_json
from train.configs import SHORT

CONFIG = replace(SHORT, recipe="convnet-lrn", placement="after", data="mnist", compare=True)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": -5}, "steps"),
        ({"steps": 1.5}, "steps"),
        ({"steps": True}, "steps"),
        ({"batch_size": 0}, "batch-size"),
        ({"threads": 0}, "threads"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"lr": 0.0}, "lr"),
        ({"lr": -0.1}, "lr"),
        ({"lr": math.nan}, "lr"),
        ({"lr": math.inf}, "lr"),
        ({"device": "tpu"}, "device"),
        ({"dtype": "float16"}, "dtype"),
        ({"nproc": 0}, "nproc"),
        ({"nproc": 33}, "at least one image"),
        ({"placement": "beside"}, "before or after"),
    ],
)
def test_a_value_outside_its_range_is_named(change: dict[str, Any], word: str) -> None:
    with pytest.raises(BadOption, match=word):
        replace(CONFIG, **change)


def test_an_unknown_recipe_gets_its_neighbour() -> None:
    with pytest.raises(UnknownName, match="conv20"):
        replace(CONFIG, recipe="conv2")


def test_what_is_still_open_is_not_checked() -> None:
    check_ranges(steps=None, batch_size=None, lr=None, seed=2**32 - 1, threads=None)


def test_a_comparison_is_two_runs_that_differ_in_batch_normalization_alone() -> None:
    arms = CONFIG.arms()
    assert list(arms) == ["with-bn", "without-bn"]
    assert arms["with-bn"] == replace(CONFIG, compare=False, batch_norm=True)
    assert arms["without-bn"] == replace(CONFIG, compare=False, batch_norm=False)
    assert replace(CONFIG, compare=False).arms() == {"": replace(CONFIG, compare=False)}


def test_the_label_says_which_network() -> None:
    assert CONFIG.label() == "convnet-lrn: batch normalization after the activation"
    assert RECIPES["convnet-lrn"].without in replace(CONFIG, batch_norm=False).label()
    assert CONFIG.variant() == Variant(batch_norm=True, placement="after")


def test_json_brings_it_back_and_checks_it() -> None:
    text = to_json(CONFIG)
    assert from_json(RunConfig, text) == CONFIG
    with pytest.raises(BadOption, match="steps"):
        from_json(RunConfig, text.replace('"steps": 10', '"steps": 0'))


def test_what_older_runs_did_not_know_has_its_default() -> None:
    lines = [line for line in to_json(CONFIG).splitlines() if "nproc" not in line]
    text = "\n".join(line for line in lines if "dtype" not in line)
    assert from_json(RunConfig, text.replace("false,\n}", "false\n}")) == CONFIG


def test_a_recipe_in_epochs_is_turned_into_steps_of_full_batches() -> None:
    assert steps_of(RECIPES["dnn-elu"], 55000, 250) == 25 * 220
    assert steps_of(RECIPES["dnn-elu"], 1297, 250) == 25 * 5
    assert steps_of(RECIPES["conv20"], 1297, 64) == 800
