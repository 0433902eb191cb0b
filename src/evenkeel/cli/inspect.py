"""`evenkeel inspect`: what a file of weights or a graph holds, and what looks wrong."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evenkeel.port.inventory import Inventory


def inspect(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A checkpoint's prefix, .meta, .pb, SavedModel folder, .safetensors or .pt.",
        ),
    ],
) -> None:
    """List variables, batch-norm layers, moving averages, optimizer slots, and what looks wrong.

    Nothing in the file is executed.
    """
    from evenkeel.port.files import open_tensors
    from evenkeel.port.inventory import inventory
    from evenkeel.port.suspicions import by_shape, by_value

    tensors = open_tensors(file)
    found = inventory(tensors.entries)
    weights, slots = len(found.weights), len(found.slots)
    typer.echo(
        f"{file}: {tensors.kind}, {len(found.entries)} tensors: {weights} of the model, "
        f"{len(found.averages)} moving averages of them, {slots} of optimizers"
    )
    _show_tensors(found)
    _show_norms(found)
    suspicions = [*by_shape(found), *by_value(found, tensors.read)]
    typer.echo("\nwhat looks wrong" if suspicions else "\nnothing looks wrong")
    for suspicion in suspicions:
        typer.echo(f"  {suspicion}")


def _show_tensors(found: "Inventory") -> None:
    for title, names in (
        ("model", {e.name for e in found.weights}),
        ("moving averages", set(found.averages)),
        ("optimizer", set(found.slots)),
    ):
        rows = [e for e in found.entries if e.name in names]
        if rows:
            typer.echo(f"\n{title}")
            width = max(len(e.name) for e in rows)
            for e in rows:
                typer.echo(f"  {e.name:<{width}}  {e.dtype:<8} {list(e.shape)}")


def _show_norms(found: "Inventory") -> None:
    if not found.norms:
        return
    typer.echo("\nbatch-norm layers")
    width = max(len(norm.name) for norm in found.norms)
    for norm in found.norms:
        parts = ", ".join(e.name[len(norm.name) :].strip("/.") for e in norm.parts.values())
        typer.echo(f"  {norm.name:<{width}}  {norm.channels:>5} channels: {parts}")
