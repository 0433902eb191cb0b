"""`evenkeel evaluate`: score a finished run's weights again."""

import sys
from typing import Annotated

import typer

CHECK_FAILED = 1


def evaluate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A folder that evenkeel train wrote.")],
    *,
    data: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Other data than the run's. (default: the run's)"),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Never use the network; the data must be here.")
    ] = False,
) -> None:
    """Load a run's weights, score the test images and check single images in inference mode.

    The exit code is 1 when the check fails.
    """
    from evenkeel.cli.show import show_check, show_scores
    from evenkeel.train.evaluate import evaluate as library

    found = library(run, data=data, offline=offline)
    for one in found:
        show_scores(one.label, one.data, {"test": one.test.accuracy})
        show_check(one.check)
    if not all(one.check.passed for one in found):
        sys.exit(CHECK_FAILED)
