"""Results on standard output: figures, the check with its gaps, where the files are."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from evenkeel.train.folder import CHECKPOINT, EVENTS, METRICS, RESULT, WEIGHTS
from evenkeel.train.records import InferenceCheck

if TYPE_CHECKING:
    from evenkeel.train.run import Run  # Lightning takes seconds to import

FILES = {
    "weights": WEIGHTS,
    "checkpoint": CHECKPOINT,
    "metrics": METRICS,
    "result": RESULT,
    "events": EVENTS,
}


def show_run(run: "Run") -> None:
    """Print a run's figures, its check and its files; of both sides of a comparison."""
    for result in run.results:
        show_scores(
            result.label,
            f"{result.data}, {result.steps} steps of {result.batch_size}, {result.seconds:.1f} s",
            {"validation": result.valid_accuracy, "test": result.test_accuracy},
        )
        show_check(result.check)
    show_files(run)
    show_verdict(run.folder)


def show_verdict(folder: Path) -> None:
    """Print what the doctor says of the trained network."""
    from evenkeel.doctor.targets import judge_run

    report = judge_run(folder, None)
    _say(f"\nevenkeel doctor {folder}")
    _say(report.text(width=max(80, Console().width)).rstrip())


def show_scores(label: str, about: str, accuracies: dict[str, float]) -> None:
    """Print accuracies under a heading."""
    _say(f"\n{label}\n{about}")
    for split, accuracy in accuracies.items():
        _say(f"  {f'{split} accuracy':<20}{accuracy:.4f}")


def show_check(check: InferenceCheck) -> None:
    """Print the check: figures, one row a layer, the verdict."""
    _say(f"single images in inference mode, the first {check.images} of the test split")
    _say(f"  {'accuracy':<20}{check.accuracy:.4f}")
    _say(f"  {'agreement':<20}{check.agreement} of {check.images} with batch statistics")
    if check.layers:
        table = Table("layer", box=None, padding=(0, 2, 0, 2))
        for column in ("channels", "mean gap", "variance gap", "updates"):
            table.add_column(column, justify="right")
        for gap in check.layers:
            figures = (f"{gap.channels}", f"{gap.mean_gap:.3f}", f"{gap.var_gap:.3f}")
            table.add_row(gap.layer, *figures, f"{gap.updates}")
        Console().print(table)
    _say(f"  {'PASSED' if check.passed else 'FAILED'}: {check.reason}")


def show_files(run: "Run") -> None:
    """Print where each file is."""
    _say(f"\n  {'report':<12}{run.report}")
    _say(f"  {'picture':<12}{run.report.with_suffix('.png')}")
    for folder in _folders(run.folder):
        for name, file in FILES.items():
            if (folder / file).exists():
                _say(f"  {name:<12}{folder / file}")


def _folders(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.rglob(RESULT))


def _say(line: str) -> None:
    Console().print(line, highlight=False, markup=False, soft_wrap=True)
