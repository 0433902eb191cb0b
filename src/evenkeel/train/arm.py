"""One network's training in one folder: go on or begin, train, score, check, leave the files."""

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evenkeel.data import Dataset
from evenkeel.errors import BadRun
from evenkeel.files import replace_file
from evenkeel.recipes import RECIPES
from evenkeel.threads import borrowed_threads
from evenkeel.train.check import check_inference
from evenkeel.train.checkpoint import Checkpoint, load_checkpoint
from evenkeel.train.config import RunConfig
from evenkeel.train.folder import CHECKPOINT, EVENTS, METRICS, RESULT, WEIGHTS, load_result
from evenkeel.train.interrupt import Interrupted, StopWish
from evenkeel.train.keeper import Keeper
from evenkeel.train.learner import Learner
from evenkeel.train.listeners import Events, Listener, progress_listener
from evenkeel.train.loop import fit
from evenkeel.train.plain import to_json
from evenkeel.train.ranks import ALONE, Ranks
from evenkeel.train.records import RunResult
from evenkeel.train.rng import borrowed_rng, seed_all
from evenkeel.train.score import score
from evenkeel.train.spread import spread
from evenkeel.train.weights import save_weights


def run_arms(
    folder: Path,
    config: RunConfig,
    dataset: Dataset,
    wish: StopWish,
    ranks: Ranks,
    *,
    progress: bool,
) -> tuple[RunResult, ...]:
    """Train the network of a run in this process, or both of a comparison.

    Raises:  as ``run_arm``
    """
    return tuple(
        run_arm(folder / name, arm, dataset, wish, ranks=ranks, progress=progress)
        for name, arm in config.arms().items()
    )


def run_arm(
    folder: Path,
    config: RunConfig,
    dataset: Dataset,
    wish: StopWish,
    *,
    progress: bool,
    ranks: Ranks = ALONE,
) -> RunResult:
    """Train one network, from the folder's checkpoint if there is one, and leave its files there.

    Of several processes each trains its part of every batch, and the first one writes.

    Raises:  BadRun for a checkpoint that cannot be used; Diverged; Interrupted when asked to stop;
             RanksDiffer where processes have not the same data or checkpoint
    """
    identity = identity_of(config, dataset)
    start = _start(folder, identity)
    ranks.check_same("run, data and checkpoint", f"{identity} at step {start.step if start else 0}")
    with borrowed_rng(), borrowed_threads(config.threads), ExitStack() as stack:
        heard = _listeners(folder, config, start, progress) if ranks.first else ()
        listeners = [stack.enter_context(each) for each in heard]
        learner = _learner(config, listeners, start, ranks)
        seconds = start.seconds if start else 0.0
        keeper = Keeper(learner, dataset.valid, folder, identity, wish, seconds)
        [stop] = ranks.largest([wish.number])
        if learner.step < config.steps and not stop:
            fit(learner, keeper, dataset.train, seed=config.seed, device=config.device)
        if learner.step < config.steps:
            raise Interrupted(folder, learner.step, config.steps, wish.number or stop)
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
        "dtype": config.dtype,
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


def _learner(
    config: RunConfig, listeners: list[Listener], start: Checkpoint | None, ranks: Ranks
) -> Learner:
    recipe = RECIPES[config.recipe]
    seed_all(config.seed)
    network = recipe.build(config.variant()).to(getattr(torch, config.dtype))
    return Learner(
        recipe,
        spread(network, config.batch_size, ranks),
        lr=config.lr,
        steps=config.steps,
        batch_size=config.batch_size,
        listeners=listeners,
        start=start,
        ranks=ranks,
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
    network, history, ranks = learner.network, learner.history, learner.ranks
    accuracy = score(network, dataset.test, learner.recipe.loss, ranks).accuracy
    if not ranks.first:
        ranks.wait()
        return load_result(folder)
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
        test_accuracy=accuracy,
        check=check_inference(network, dataset.test),
        nproc=ranks.size,
        dtype=config.dtype,
    )
    replace_file(folder / RESULT, to_json(result) + "\n")
    ranks.wait()
    return result
