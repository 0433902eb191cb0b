"""One training step on Lightning: forward, backward, optimizer, and what is recorded of it."""

import math
from collections.abc import Sequence

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from evenkeel.recipes.recipe import Recipe
from evenkeel.train.checkpoint import Checkpoint, Diverged, restore_network
from evenkeel.train.history import History, log_grid, probe_grid
from evenkeel.train.listeners import Listener
from evenkeel.train.probe import Probe
from evenkeel.train.ranks import ALONE, Ranks
from evenkeel.train.records import TrainRow
from evenkeel.train.rng import set_rng_state
from evenkeel.train.score import place_of


class Learner(LightningModule):
    """A recipe's network at step ``step`` of ``steps``, with its history.

    ``start`` is the checkpoint to go on from: the network takes its weights now; optimizer and random
    generators follow when training starts, after everything that could draw from them. Of ``ranks``
    each has a part of the batch; what is recorded is of the whole, and the same on all.
    Optimization is manual: Lightning's own closure costs more than a step of a small network.

    Raises:  Diverged, naming the step, when a loss is NaN or infinite
    """

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        *,
        lr: float,
        steps: int,
        batch_size: int,
        listeners: Sequence[Listener] = (),
        start: Checkpoint | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.recipe, self.network, self.rate, self.steps = recipe, network, lr, steps
        self.batch_size, self.ranks, self.listeners = batch_size, ranks, tuple(listeners)
        self._dtype = place_of(network).dtype
        self.step = start.step if start else 0
        self.history = History.restored(start.history) if start else History()
        if start:
            restore_network(network, start)
        self._start = start
        self._logged, self._probed = log_grid(steps), probe_grid(steps)
        self._probe = Probe(network, recipe.probe, ranks.gathered)
        self._losses: list[Tensor] = []

    def configure_optimizers(self) -> Optimizer:
        """The recipe's optimizer."""
        return self.recipe.optimizer(self.network, self.rate)

    def on_train_start(self) -> None:
        """Take optimizer and random generators from the checkpoint, last of all."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        self.optimizer: Optimizer = optimizer[0] if isinstance(optimizer, list) else optimizer
        self._rates = [group["lr"] for group in self.optimizer.param_groups]
        self.network.train()
        if self._start:
            self.optimizer.load_state_dict(self._start.optimizer)
            set_rng_state(self._start.rng)
            self._start = None

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """One step; what it costs besides the network's own work is kept small."""
        images, labels = batch
        step = self.step + 1
        self._set_rates(step - 1)
        self._probe.wanted = step in self._probed
        logits = self.network(images.to(self._dtype))
        loss = self.recipe.loss(logits, labels)
        self.optimizer.zero_grad()
        if self.ranks.size == 1:
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        else:
            loss = loss * (len(labels) / self.batch_size)  # its part of the mean over the batch
            self.manual_backward(loss * self.ranks.size)  # of all ranks' gradients comes the mean
        self.optimizer.step()
        self.step = step
        self._losses.append(loss.detach())
        if step in self._logged:
            self._log(logits.detach(), labels)
        if self._probe.wanted:
            self.history.percentiles.append(self._probe.percentiles(step))

    def on_train_end(self) -> None:
        """Take the hook off the network."""
        self._probe.remove()

    def settle(self) -> float:
        """Read the losses of the steps since the last call; the last of them, NaN for none.

        One read for many steps, because on a GPU each waits for the device.
        """
        if not self._losses:
            return math.nan
        losses = self.ranks.total(torch.stack(self._losses).double()).tolist()
        first = self.step - len(losses) + 1
        self._losses.clear()
        for step, loss in enumerate(losses, first):
            if not math.isfinite(loss):
                raise Diverged(
                    f"the loss is not finite any more at step {step}",
                    got=f"loss {loss}, learning rate {self.optimizer.param_groups[0]['lr']}",
                    do="lower the learning rate, for example by a factor of 10",
                )
        return float(losses[-1])

    def _log(self, logits: Tensor, labels: Tensor) -> None:
        right = (logits.argmax(1) == labels).double().sum()
        accuracy = float(self.ranks.total(right)) / self.batch_size
        rate = float(self.optimizer.param_groups[0]["lr"])
        row = TrainRow(self.step, self.settle(), accuracy, rate)
        self.history.train.append(row)
        for listener in self.listeners:
            listener.logged(row)

    def _set_rates(self, step: int) -> None:
        if self.recipe.schedule is None:
            return
        factor = self.recipe.schedule(step, self.steps)
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
