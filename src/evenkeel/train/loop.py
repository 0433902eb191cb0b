"""Lightning's loop, quiet: one epoch of batches from the learner's step to the last."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer

from evenkeel.data import Batches, Split
from evenkeel.errors import NonFiniteBatch
from evenkeel.train.keeper import Keeper
from evenkeel.train.learner import Learner
from evenkeel.train.ranks import Ranks
from evenkeel.train.spread import OrderedDDP

ACCELERATORS = {"cpu": "cpu", "cuda": "gpu"}


def fit(learner: Learner, keeper: Keeper, train: Split, *, seed: int, device: str) -> None:
    """Train from ``learner.step`` to ``learner.steps``; returns early when the keeper says stop.

    The whole run is one epoch of Lightning's, over batches that depend on (seed, step) alone: so
    Lightning has no place in the data to lose, and a run goes on wherever it stopped.

    Raises:  Diverged, BadRun; BadOption for a batch larger than the split
    """
    ranks, size = learner.ranks, learner.batch_size
    start, part = learner.step, ranks.part(size)
    batches = Batches(train, size, seed=seed, start=start, stop=learner.steps, part=part)
    with _quiet(), torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        trainer = Trainer(
            accelerator=ACCELERATORS[device],
            **_processes(ranks),
            max_epochs=1,
            callbacks=[keeper],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
            use_distributed_sampler=False,
        )
        trainer.fit(learner, batches)


def _processes(ranks: Ranks) -> dict[str, Any]:
    """Lightning's options for one process, or for those of all machines."""
    if ranks.size == 1:
        return {"devices": 1, "plugins": [LightningEnvironment()]}
    here = int(os.environ.get("LOCAL_WORLD_SIZE", ranks.size))
    return {"devices": here, "num_nodes": ranks.size // here, "strategy": OrderedDDP()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's information, tips and advice to itself; errors still come through."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.")
            warnings.simplefilter("ignore", NonFiniteBatch)  # Diverged says it, with the step
            yield
    finally:
        logger.setLevel(level)
