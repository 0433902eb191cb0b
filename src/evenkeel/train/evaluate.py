"""Score a finished run's weights again, from its files."""

from dataclasses import dataclass
from pathlib import Path

from evenkeel.data import load
from evenkeel.recipes import RECIPES
from evenkeel.train.check import check_inference
from evenkeel.train.folder import WEIGHTS, open_folder
from evenkeel.train.records import InferenceCheck
from evenkeel.train.score import Score, score
from evenkeel.train.weights import load_network


@dataclass(frozen=True, slots=True)
class Rescored:
    """A network's figures on the test split, from the weights in its folder."""

    label: str
    folder: Path
    data: str
    test: Score
    check: InferenceCheck


def evaluate(
    folder: str | Path, *, data: str | Path | None = None, offline: bool = False
) -> tuple[Rescored, ...]:
    """Load a run's weights, score the test split and run the check; two results for a comparison.

    ``data`` defaults to the run's own.

    Raises:  BadRun for a folder or weights that are missing, damaged or foreign; BadData
    """
    path, config = open_folder(folder)
    networks = {name: load_network(path / name / WEIGHTS) for name in config.arms()}
    dataset = load(config.data if data is None else data, offline=offline)
    return tuple(
        Rescored(
            label=arm.label(),
            folder=path / name,
            data=dataset.name,
            test=score(networks[name], dataset.test, RECIPES[arm.recipe].loss),
            check=check_inference(networks[name], dataset.test),
        )
        for name, arm in config.arms().items()
    )
