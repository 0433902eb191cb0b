"""`evenkeel run`: a TensorFlow 1 program, as it stands, on PyTorch."""

import sys
from typing import Annotated

import typer

# Everything after PROGRAM is the program's, options too.
SETTINGS = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "allow_interspersed_args": False,
}


def run(
    context: typer.Context,
    program: Annotated[
        str,
        typer.Argument(
            metavar="PROGRAM", help="A Python file or a notebook that imports tensorflow."
        ),
    ],
    *,
    device: Annotated[
        str, typer.Option(metavar="cpu|cuda|cuda:N", help="Where sessions compute.")
    ] = "cpu",
    check: Annotated[
        bool, typer.Option("--check", help="List the symbols that are missing; run nothing.")
    ] = False,
) -> None:
    """Run a TensorFlow 1 program unchanged; options go before PROGRAM, its arguments after.

    With --check nothing runs, so that --device and the arguments mean nothing.

    The exit code is the program's; 1 after an exception of its own, or when --check finds a
    missing symbol.
    """
    if check:
        _check(program)
        return
    from evenkeel.doctor.programs import run_and_warn

    status = run_and_warn(program, context.args, device=device)
    if status:
        sys.exit(status)


def _check(program: str) -> None:
    from evenkeel.tf1.program.check import check_program

    checked = check_program(program)
    for lack in checked.lacks:
        typer.echo(lack)
    if checked.lacks:
        sys.exit(1)
    typer.echo(f"{program}: all {checked.count} names of TensorFlow are here")
