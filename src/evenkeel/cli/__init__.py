"""The command: one file a subcommand, each a call into the library.

Heavy modules are imported inside the functions that need them, so that ``--help`` answers at once.
"""

import typer

from evenkeel.cli import bench, evaluate, info, recipes, run, train
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
for _command in (train.train, evaluate.evaluate, recipes.recipes, bench.bench, info.info):
    app.command()(guarded(_command))
app.command(context_settings=run.SETTINGS)(guarded(run.run))


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
