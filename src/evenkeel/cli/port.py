"""`evenkeel port`: a TensorFlow 1 network as PyTorch code, weights, and a proof."""

import json
import sys
from typing import Annotated, Any

import typer

from evenkeel.errors import BadOption

DIFFERS = 1


def port(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A program (.py), .meta, frozen .pb, SavedModel folder, or a checkpoint's prefix.",
        ),
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[ARGUMENTS]", help="The program's own, after --.")
    ] = None,
    *,
    output: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What the module returns: a node, or a variable of it."),
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(metavar="PREFIX", help="Where the variables' values are.")
    ] = None,
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Where network.py and model.safetensors go.")
    ] = "ported",
    feed: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A placeholder's value, such as keep_prob=1.0."),
    ] = None,
    train_feed: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Its value in training.")
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SIZES", help="An input's sizes, as in image=28,28,1."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(metavar="NUMBER", help="The largest difference over the largest value.")
    ] = 1e-5,
    averages: Annotated[
        bool, typer.Option("--averages", help="Moving averages in the place of the weights.")
    ] = False,
    inference_only: Annotated[
        bool, typer.Option("--inference-only", help="Prove inference, not training.")
    ] = False,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Of a SavedModel. (default: serve)")
    ] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write model.onnx too.")] = False,
) -> None:
    """Write a network of TensorFlow 1 as PyTorch: readable code, weights, and a proof.

    A program is run until it first uses a session; nothing is trained. The graph and the new module
    are run on the same inputs. The exit code is 1, and nothing is written, when they differ.
    """
    from evenkeel import port as library
    from evenkeel.errors import OutputsDiffer

    opened = library.open_source(
        source, arguments or [], checkpoint=checkpoint, output=output, averages=averages,
        tags=tag,
    )  # fmt: skip
    try:
        ported = library.port(
            opened, output or _only(opened.ends()), tolerance=tolerance,
            training=not inference_only, feeds=_pairs(feed), training_feeds=_pairs(train_feed),
            shapes={k: _sizes(v) for k, v in _pairs(shape).items()},
        )  # fmt: skip
        files = library.write(ported, out, onnx=onnx)
    except OutputsDiffer as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(DIFFERS)
    for difference in ported.differences:
        typer.echo(str(difference))
    for file in files:
        typer.echo(f"wrote {file}")


def _only(ends: list[str]) -> str:
    if len(ends) == 1:
        return ends[0]
    raise BadOption(
        "which tensor is the network's result is not clear",
        got="no --output",
        do=f"give one of {', '.join(ends)}" if ends else "give the name of a node: --output NAME",
    )


def _pairs(given: list[str] | None) -> dict[str, Any]:
    """NAME=VALUE texts; values as JSON has them, else text."""
    found: dict[str, Any] = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadOption("a value has no name", got=text, do="write NAME=VALUE")
        try:
            found[name] = json.loads(value.lower() if value in ("True", "False") else value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def _sizes(value: Any) -> list[int]:
    parts = [value] if isinstance(value, int) else str(value).split(",")
    try:
        return [int(part) for part in parts]
    except ValueError:
        raise BadOption(
            "a shape is whole numbers, without the batch", got=value, do="write image=28,28,1"
        ) from None
