import subprocess
from collections.abc import Callable

from evenkeel.recipes import RECIPES

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_every_recipe_is_listed_with_its_figures(command: Command) -> None:
    out = command("recipes").stdout
    for recipe in RECIPES.values():
        assert f"{recipe.name}: {recipe.title}" in out
        assert recipe.source in out
        assert f"{recipe.batch_size} images a step, learning rate {recipe.lr:g}" in out
    assert "800 steps, 64 images" in out
    assert "25 epochs, 250 images" in out
