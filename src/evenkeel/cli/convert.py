"""`evenkeel convert`: other batch-norm layers in the place of a model's."""

from typing import Annotated, Any

import typer

from evenkeel.cli.model import Factory, Out, Weights
from evenkeel.cli.source import BatchSize, Source
from evenkeel.errors import BadOption


def convert(
    model: Factory,
    *,
    to: Annotated[
        str, typer.Option(metavar="KIND", help="What to: fused, torch, frozen, renorm, ghost, …")
    ] = "fused",
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Of that kind of layer, such as ghost_size=32."),
    ] = None,
    weights: Weights = None,
    data: Source = None,
    out: Out = None,
    batch_size: BatchSize = 64,
) -> None:
    """Convert every batch-norm layer, show what became of each, and write the weights.

    With --data both models run on the first batch, and nothing is written where they differ by more
    than rounding.
    """
    from evenkeel.cli import model as models
    from evenkeel.cli import surgery_shown as shown
    from evenkeel.cli.source import batches, probe_of
    from evenkeel.surgery import convert as library
    from evenkeel.surgery import report_of

    path = models.out_path(out, model, f"-{to}.safetensors")
    given = dict(_option(text) for text in option or ())
    built = models.built(model, weights)
    probe = None if data is None else probe_of(batches(data, batch_size))
    with models.running(str(data)):
        made = _made(library, built, probe, to, given)
    shown.show_sites(report_of(made))
    if probe is None:
        shown.show_unverified()
    else:
        shown.show_verified("both models do the same on the first batch")
    models.save(made, path)
    words = "".join(f", {name}={value!r}" for name, value in given.items())
    do = f'ek.surgery.load_model(ek.convert(build(), to={to!r}{words}), "{path}")'
    shown.show_files({"weights": path}, do)


def _made(library: Any, model: Any, probe: Any, to: str, given: dict[str, Any]) -> Any:
    try:
        return library(model, probe, to=to, **given)
    except TypeError as error:  # an option that the layers do not have, or one that they need
        raise BadOption(
            "the options do not fit this kind of layer",
            got=f"{to} with {given or 'none'}: {error}",
            do="give --option NAME=VALUE for each that it needs, and no other",
        ) from error


def _option(text: str) -> tuple[str, Any]:
    import ast

    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise BadOption("an option is NAME=VALUE", got=text, do="write ghost_size=32, say")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
