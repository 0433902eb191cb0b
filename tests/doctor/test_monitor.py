"""Monitor: warns once, counts, writes, stops; alone and in both trainers."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from evenkeel.doctor import Monitor, Poisoned, Unhealthy
from evenkeel.errors import BadOption


def network(momentum: float = 0.1) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8, momentum=momentum), nn.ReLU()
    )


def train(model: nn.Module, steps: int = 50) -> None:
    model.train()
    for _ in range(steps):
        model(torch.randn(64, 4)).sum().backward()


class Scalars:
    def __init__(self) -> None:
        self.held: dict[str, list[int]] = {}

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.held.setdefault(name, []).append(step)


def test_a_healthy_training_is_silent() -> None:
    model = network()
    with Monitor(model, every=5) as monitor:
        train(model)
    assert (monitor.step, monitor.report().exit_code) == (50, 0)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_it_warns_once() -> None:
    model = network(momentum=0.99)
    with pytest.warns(Unhealthy, match="EK105") as told, Monitor(model, every=5):
        train(model)
    assert sum("EK105" in str(w.message) for w in told) == 1


def test_a_layer_that_does_not_move_is_seen() -> None:
    model = network(momentum=0.0)
    with pytest.warns(Unhealthy, match="EK108"), Monitor(model, every=5):
        train(model)


def test_it_writes_scalars_of_sampled_steps() -> None:
    model, scalars = network(), Scalars()
    with Monitor(model, every=10, writer=scalars):
        train(model)
    assert scalars.held["evenkeel/1/mean_gap"] == [30, 40, 50]  # from where the average is of data


def test_a_poisoned_run_is_stopped_when_asked() -> None:
    model = network()
    model.get_buffer("1.running_mean")[0] = float("nan")
    with pytest.warns(Unhealthy, match="EK103"), Monitor(model, every=5) as monitor:
        train(model, 30)
    assert monitor.poisoned
    model = network()
    model.get_buffer("1.running_mean")[0] = float("nan")
    with (
        pytest.raises(Poisoned, match="poisoned"),
        pytest.warns(Unhealthy),
        Monitor(model, every=5, stop=True) as monitor,
    ):
        train(model, 10)
    assert monitor.step == 5
    assert not model._forward_hooks


def test_what_it_refuses() -> None:
    with pytest.raises(BadOption):
        Monitor(network(), every=0)
    with pytest.raises(BadOption), Monitor():
        pass


class Rows(Dataset[Any]):
    def __len__(self) -> int:
        return 640

    def __getitem__(self, index: int) -> Any:
        return {"x": torch.full((4,), index / 640.0), "labels": torch.tensor(index % 2)}


@pytest.mark.filterwarnings("ignore")
def test_in_lightning(tmp_path: Path) -> None:
    from lightning.pytorch import LightningModule, Trainer

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network(momentum=0.99)

        def forward(self, x: Tensor) -> Any:
            return self.net(x)

        def training_step(self, batch: Any, index: int) -> Any:
            return self(batch["x"]).square().mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    monitor = Monitor(every=2)
    trainer = Trainer(
        max_epochs=1, callbacks=[monitor.lightning()], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        accelerator="cpu",
    )  # fmt: skip
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        trainer.fit(Module(), DataLoader(Rows(), batch_size=64))
    assert monitor.step == 10
    assert sum("EK105 warning at net.1" in str(w.message) for w in told) == 1


@pytest.mark.filterwarnings("ignore")
def test_in_transformers() -> None:
    """The calls of its Trainer, which needs a package more, one by one."""
    from transformers import TrainerControl, TrainerState

    model = network()
    model.get_buffer("1.running_var")[0] = float("inf")
    monitor = Monitor(every=2, stop=True)
    callback, state, control = monitor.transformers(), TrainerState(), TrainerControl()
    callback.on_train_begin(None, state, control, model=model)
    stopped = []
    for _ in range(4):
        train(model, 1)
        stopped.append(callback.on_step_end(None, state, control).should_training_stop)
    callback.on_train_end(None, state, control)
    assert stopped == [False, True, True, True]
    assert not model._forward_hooks
