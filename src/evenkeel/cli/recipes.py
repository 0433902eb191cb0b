"""`evenkeel recipes`: the networks that can be trained."""

import typer


def recipes() -> None:
    """List the networks that evenkeel train knows."""
    from evenkeel.recipes import RECIPES

    for recipe in RECIPES.values():
        length = f"{recipe.steps} steps" if recipe.steps else f"{recipe.epochs} epochs"
        norm = "with" if recipe.default.batch_norm else "without"
        typer.echo(f"{recipe.name}: {recipe.title}")
        typer.echo(
            f"    {length}, {recipe.batch_size} images a step, learning rate {recipe.lr:g}, "
            f"{norm} batch normalization unless asked otherwise"
        )
        typer.echo(f"    from {recipe.source}")
