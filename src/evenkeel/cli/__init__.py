"""The command: one file a subcommand, each a call into the library.

Heavy modules are imported inside the functions that need them, so that ``--help`` answers at once.
"""

from collections.abc import Callable

import typer

from evenkeel.cli import (
    bench,
    convert,
    doctor,
    evaluate,
    export,
    fold,
    info,
    inspect,
    port,
    recalibrate,
    recipes,
    run,
    train,
)
from evenkeel.cli.guard import guarded
from evenkeel.version import __version__

app = typer.Typer(
    name="evenkeel",
    help="Batch normalization for PyTorch: train and check networks, run TensorFlow 1 programs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    *(train.train, evaluate.evaluate, recipes.recipes, bench.bench, info.info),
    *(fold.fold, recalibrate.recalibrate, convert.convert, export.export),
    *(port.port, inspect.inspect),
)
for _command in _COMMANDS:
    app.command()(guarded(_command))
app.command(context_settings=run.SETTINGS)(guarded(run.run))
app.command(context_settings=doctor.SETTINGS)(guarded(doctor.doctor))


def main() -> None:
    """What the installed command ``evenkeel`` calls."""
    app()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"evenkeel {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", callback=_version, is_eager=True
    ),
) -> None:
    pass
