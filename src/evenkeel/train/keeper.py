"""Between steps: validate, save, and stop when asked to."""

import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from evenkeel.data import Split
from evenkeel.files import replace_file
from evenkeel.train.checkpoint import Checkpoint, save_checkpoint
from evenkeel.train.folder import CHECKPOINT, METRICS
from evenkeel.train.history import evaluation_grid
from evenkeel.train.interrupt import StopWish
from evenkeel.train.learner import Learner
from evenkeel.train.records import Evaluation
from evenkeel.train.rng import rng_state
from evenkeel.train.score import score

SAVE_STEPS = 50
SAVE_SECONDS = 30.0


class Keeper(Callback):
    """Evaluates on its grid; saves every 50 steps or 30 seconds, at the end, and before it stops.

    Of several processes the first one writes; all of them stop when one is asked to.

    ``seconds`` is the work that went into the run until its last save, in earlier processes too. A
    save comes after everything else that belongs to its step, so a resumed run neither repeats nor
    misses any of it.
    """

    def __init__(
        self,
        learner: Learner,
        valid: Split,
        folder: Path,
        identity: dict[str, Any],
        wish: StopWish,
        seconds: float = 0.0,
    ) -> None:
        self._learner, self._valid, self._folder = learner, valid, folder
        self._identity, self._wish = identity, wish
        self._grid = evaluation_grid(learner.steps)
        self._fresh = False
        self.seconds, self._began = seconds, time.monotonic() - seconds
        self._saved_step, self._saved_at = learner.step, time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Catch the signals after Lightning has installed its own handlers."""
        self._wish.claim()

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Everything that happens between two steps."""
        step, ranks = self._learner.step, self._learner.ranks
        for listener in self._learner.listeners:
            listener.stepped(step)
        if step in self._grid:
            self._evaluate(step)
        late = time.monotonic() - self._saved_at >= SAVE_SECONDS
        stop, due = ranks.largest([self._wish.number, late or self._due(step)])
        if stop:
            self._wish.number, trainer.should_stop = stop, True
        if stop or due:
            self.save()

    def save(self) -> None:
        """Write last.ckpt, whole or not at all, and metrics.csv after it.

        Raises:  Diverged instead of saving a state with NaN or infinity in it; BadRun
        """
        learner = self._learner
        learner.settle()
        if learner.ranks.first:
            self._write()
        self._saved_step, self._saved_at = learner.step, time.monotonic()

    def _write(self) -> None:
        learner = self._learner
        self.seconds = time.monotonic() - self._began
        checkpoint = Checkpoint(
            identity=self._identity,
            step=learner.step,
            seconds=self.seconds,
            network=dict(learner.network.state_dict()),
            optimizer=learner.optimizer.state_dict(),
            history=learner.history.state(),
            rng=rng_state(),
        )
        save_checkpoint(self._folder / CHECKPOINT, checkpoint)
        if self._fresh or self._wish.number:
            replace_file(self._folder / METRICS, learner.history.csv())
            self._fresh = False

    def _due(self, step: int) -> bool:
        return step - self._saved_step >= SAVE_STEPS or step == self._learner.steps

    def _evaluate(self, step: int) -> None:
        learner = self._learner
        found = score(learner.network, self._valid, learner.recipe.loss, learner.ranks)
        row = Evaluation(step, found.loss, found.accuracy)
        self._fresh = True
        learner.history.evaluations.append(row)
        for listener in learner.listeners:
            listener.evaluated(row)
