"""One network's training in one folder: go on or begin, train, score, check, leave the files."""

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import Tensor

from evenkeel.data import Dataset
from evenkeel.errors import BadRun
from evenkeel.files import replace_file
from evenkeel.recipes import RECIPES
from evenkeel.threads import borrowed_threads
from evenkeel.train.check import check_inference
from evenkeel.train.checkpoint import Checkpoint, load_checkpoint
from evenkeel.train.config import RunConfig
from evenkeel.train.folder import CHECKPOINT, EVENTS, METRICS, RESULT, WEIGHTS
from evenkeel.train.interrupt import Interrupted, StopWish
from evenkeel.train.keeper import Keeper
from evenkeel.train.learner import Learner
from evenkeel.train.listeners import Events, Listener, progress_listener
from evenkeel.train.loop import fit
from evenkeel.train.plain import to_json
from evenkeel.train.records import RunResult
from evenkeel.train.rng import borrowed_rng, seed_all
from evenkeel.train.score import score
from evenkeel.train.weights import save_weights


def run_arm(
    folder: Path, config: RunConfig, dataset: Dataset, wish: StopWish, *, progress: bool
) -> RunResult:
    """Train one network, from the folder's checkpoint if there is one, and leave its files there.

    Raises:  BadRun for a checkpoint that cannot be used; Diverged; Interrupted when asked to stop
    """
    identity = identity_of(config, dataset)
    start = _start(folder, identity)
    with borrowed_rng(), borrowed_threads(config.threads), ExitStack() as stack:
        listeners = [
            stack.enter_context(each) for each in _listeners(folder, config, start, progress)
        ]
        learner = _learner(config, listeners, start)
        seconds = start.seconds if start else 0.0
        keeper = Keeper(learner, dataset.valid, folder, identity, wish, seconds)
        if learner.step < config.steps and not wish.number:
            fit(
                learner,
                keeper,
                dataset.train,
                batch_size=config.batch_size,
                seed=config.seed,
                device=config.device,
            )
        if learner.step < config.steps:
            raise Interrupted(folder, learner.step, config.steps, wish.number)
        return _finish(folder, config, dataset, learner, keeper.seconds)


def identity_of(config: RunConfig, dataset: Dataset) -> dict[str, Any]:
    """What makes a run this run and no other: a checkpoint with another identity is refused."""
    return {
        "recipe": config.recipe,
        "batch_norm": config.batch_norm,
        "placement": config.placement,
        "steps": config.steps,
        "batch_size": config.batch_size,
        "lr": config.lr,
        "seed": config.seed,
        "data": _checksum(dataset.train.labels, dataset.train.images[:1000]),
    }


def _checksum(*tensors: Tensor) -> str:
    value = 0
    for tensor in tensors:
        value = zlib.crc32(tensor.contiguous().numpy().tobytes(), value)
    return f"{value:08x}"


def _start(folder: Path, identity: dict[str, Any]) -> Checkpoint | None:
    """The checkpoint to go on from; None for a run that never came to its first."""
    if (folder / CHECKPOINT).exists():
        return load_checkpoint(folder / CHECKPOINT, identity)
    later = [name for name in (METRICS, WEIGHTS, RESULT) if (folder / name).exists()]
    if later:
        raise BadRun(
            f"this run has no {CHECKPOINT} any more, and it had one",
            got=f"{folder} with {', '.join(later)}",
            do="restore the file from a copy, or train again in a new folder",
        )
    return None


def _learner(config: RunConfig, listeners: list[Listener], start: Checkpoint | None) -> Learner:
    recipe = RECIPES[config.recipe]
    seed_all(config.seed)
    network = recipe.build(config.variant())
    return Learner(
        recipe, network, lr=config.lr, steps=config.steps, listeners=listeners, start=start
    )


def _listeners(
    folder: Path, config: RunConfig, start: Checkpoint | None, progress: bool
) -> Iterator[Listener]:
    step = start.step if start else 0
    if progress:
        yield progress_listener(config.label(), config.steps, step)
    if config.tensorboard:
        yield Events(folder / EVENTS, step)


def _finish(
    folder: Path, config: RunConfig, dataset: Dataset, learner: Learner, seconds: float
) -> RunResult:
    """Score and check the trained network; write weights, metrics and result."""
    network, history = learner.network, learner.history
    save_weights(folder / WEIGHTS, network, config)
    replace_file(folder / METRICS, history.csv())
    result = RunResult(
        label=config.label(),
        recipe=config.recipe,
        batch_norm=config.batch_norm,
        placement=config.placement,
        data=config.data or dataset.name,
        steps=config.steps,
        batch_size=config.batch_size,
        lr=config.lr,
        seed=config.seed,
        threads=config.threads,
        device=config.device,
        seconds=seconds,
        train=tuple(history.train),
        evaluations=tuple(history.evaluations),
        probe=learner.recipe.probe,
        percentiles=tuple(history.percentiles),
        valid_accuracy=history.evaluations[-1].accuracy,
        test_accuracy=score(network, dataset.test, learner.recipe.loss).accuracy,
        check=check_inference(network, dataset.test),
    )
    replace_file(folder / RESULT, to_json(result) + "\n")
    return result
