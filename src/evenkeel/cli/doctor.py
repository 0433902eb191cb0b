"""`evenkeel doctor`: what is wrong with batch normalization, the number, what to do."""

import os
import sys
import traceback
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from evenkeel.cli.output import check_places, write
from evenkeel.errors import BadOption, EvenkeelError, UnknownName

if TYPE_CHECKING:
    from evenkeel.doctor import Report

COULD_NOT_RUN = 4
# What follows TARGET is a program's own.
SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": False}


def doctor(
    context: typer.Context,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET",
            help="module:factory, a run's folder, a TensorFlow 1 program, or a checkpoint.",
        ),
    ] = None,
    *,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="module:function that gives batches, a .npz or .safetensors file of inputs (and "
            "labels), digits, mnist, or a folder.",
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=0, help="How many steps it was trained.")] = None,
    origin: Annotated[
        str, typer.Option(metavar="FRAMEWORK", help="Whose weights: tf.layers, keras, flax, …")
    ] = "",
    select: Annotated[
        list[str] | None, typer.Option(metavar="CODE", help="Only rules that begin so: EK1, EK301.")
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="All but these; EK301:stem.* for some layers."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="A line for each place.")] = False,
    explain: Annotated[
        str | None, typer.Option(metavar="CODE", help="Print a rule's page, and stop.")
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write JSON; - prints it.")
    ] = None,
    sarif: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write SARIF; - prints it.")
    ] = None,
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a page with plots for each layer.")
    ] = None,
) -> None:
    """Diagnose a model, a training run, a TensorFlow 1 program or a checkpoint.

    The exit code is 0 with at most notes, 1 with warnings, 3 with errors, 4 when the target could not
    run. A program's own arguments follow --.
    """
    from evenkeel.doctor import RULES

    if explain is not None:
        rule = RULES[explain]
        typer.echo(f"{rule.code} {rule.name}\n\n{rule.page.strip()}")
        return
    if target is None:
        raise BadOption(
            "there is nothing to diagnose", got="no TARGET", do="evenkeel doctor --help"
        )
    _check_codes([*(select or []), *(ignore or [])])
    written = [("json", json), ("sarif", sarif), ("html", html)]
    check_places([file for _, file in written if file])
    report = _examined(target, context.args, data, steps, origin, select or [], ignore or [])
    if not any(file == "-" for _, file in written):
        typer.echo(report.text(width=_width(), every=every), nl=False)
    for name, file in written:
        write(getattr(report, name)() if file else "", file)
    if report.exit_code:
        sys.exit(report.exit_code)


def _examined(
    target: str,
    arguments: list[str],
    data: str | None,
    steps: int | None,
    origin: str,
    select: list[str],
    ignore: list[str],
) -> "Report":
    from evenkeel.doctor.targets import examine

    try:
        return examine(
            target, arguments, data=data, steps=steps, origin=origin, select=select, ignore=ignore
        )
    except (BadOption, UnknownName):
        raise
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] not in target:
            raise
        _could_not_run(error)
    except Exception as error:  # the target's, whatever it is
        if os.environ.get("EVENKEEL_DEBUG"):
            raise
        _could_not_run(error)


def _could_not_run(error: Exception) -> NoReturn:
    kind = "" if isinstance(error, EvenkeelError) else f"{type(error).__name__}: "
    typer.echo(f"could not run: {kind}{error}{_place(error)}", err=True)
    sys.exit(COULD_NOT_RUN)


def _place(error: Exception) -> str:
    """Where the target failed, and how to see the way there; our own errors say it themselves."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename[0] != "<"]
    if isinstance(error, EvenkeelError) or not frames:
        return ""
    debug = "EVENKEEL_DEBUG=1 shows the traceback"
    return f"\n  at:  {frames[-1].filename}:{frames[-1].lineno}\n  do:  {debug}"


def _check_codes(words: list[str]) -> None:
    from evenkeel.doctor.report import judge
    from evenkeel.doctor.trace import Trace

    judge(Trace(), words)


def _width() -> int:
    from rich.console import Console

    return max(80, Console().width)
