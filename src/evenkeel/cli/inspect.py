"""`evenkeel inspect`: what a file of weights or a graph holds, and what looks wrong."""

from typing import Annotated

import typer

from evenkeel.cli.output import check_places, write


def inspect(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A checkpoint's prefix, .meta, .pb, SavedModel folder, .safetensors or .pt.",
        ),
    ],
    *,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write JSON; - prints it.")
    ] = None,
) -> None:
    """List variables, batch-norm layers, moving averages, optimizer slots, and what looks wrong.

    Nothing in the file is executed.
    """
    from evenkeel.port.inspection import inspected

    check_places([json] if json else [])
    found = inspected(file)
    if json != "-":
        typer.echo(found.text(), nl=False)
    write(found.json() if json else "", json)
