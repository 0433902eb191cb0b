"""`evenkeel train`: train a recipe's network, or go on with a run."""

from typing import Annotated, Any

import typer

from evenkeel.errors import BadOption

RECIPE = "conv20"


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE", help=f"Which network: see evenkeel recipes. (default: {RECIPE})"
        ),
    ] = None,
    *,
    batch_norm: Annotated[
        bool | None,
        typer.Option(
            "--with-bn/--without-bn", help="Batch normalization or not. (default: the recipe's)"
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Train with and without it, same seed, one report.")
    ] = False,
    placement: Annotated[
        str | None,
        typer.Option(
            metavar="before|after",
            help="Normalize before or after the activation. (default: the recipe's)",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="digits, mnist, fashion-mnist, or a folder of idx files. (default: digits)",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Training steps. (default: the recipe's)")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images a step. (default: the recipe's)")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate at the start. (default: the recipe's)")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of weights, shuffling and dropout. (default: 0)")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="float32|float64", help="Of weights and computation. (default: float32)"
        ),
    ] = None,
    nproc: Annotated[
        int | None,
        typer.Option(help="Processes that share every batch; same results. (default: 1)"),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads a process. (default: torch's / nproc)")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="cpu|cuda|auto", help="Where to train. (default: cpu)")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Where to write. (default: runs/RECIPE-NNN)"),
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard events.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Never use the network; the data must be here.")
    ] = False,
    resume: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Go on with the run in this folder, as it was started."),
    ] = None,
) -> None:
    """Train a network of the literature, check it, and leave weights, checkpoint and report.

    Alone it trains conv20 on the embedded digits, with no network access. Ctrl-C saves and stops; a
    kill loses at most 50 steps or 30 seconds of work. --resume goes on as if nothing had happened,
    bit for bit.
    """
    from evenkeel.cli.show import show_run
    from evenkeel.train import run as library
    from evenkeel.train.ranks import started_with

    options: dict[str, Any] = {
        "batch_norm": batch_norm,
        "compare": compare or None,
        "placement": placement,
        "data": data,
        "steps": steps,
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "dtype": dtype,
        "threads": threads,
        "device": device,
        "out": out,
        "tensorboard": tensorboard or None,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if resume is None:
        run = library.train(recipe or RECIPE, nproc=nproc, offline=offline, **given)
    else:
        _check_alone(recipe, given)
        run = library.resume(resume, nproc=nproc, offline=offline)
    if started_with().first:
        show_run(run)


def _check_alone(recipe: str | None, given: dict[str, Any]) -> None:
    extra = ([recipe] if recipe else []) + [f"--{name.replace('_', '-')}" for name in given]
    if extra:
        raise BadOption(
            "a resumed run keeps the options it was started with",
            got=f"--resume with {', '.join(extra)}",
            do="give --resume alone, or start a new run",
        )
