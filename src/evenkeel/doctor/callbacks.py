"""A Monitor as a callback of Lightning's and of transformers' trainers."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenkeel.doctor.monitor import Monitor


def lightning_callback(monitor: "Monitor") -> Any:
    """A Lightning callback: attached while training, scalars to the trainer's TensorBoard logger.

    Raises:  ModuleNotFoundError without Lightning
    """
    from lightning.pytorch import Callback

    class MonitorCallback(Callback):
        """The monitor's life within a fit."""

        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            """Watch the module, and write where the trainer writes."""
            writer = getattr(trainer.logger, "experiment", None)
            if monitor.writer is None and hasattr(writer, "add_scalar"):
                monitor.writer = writer
            monitor.stop_now = _without_raising(monitor)
            monitor.attach(pl_module)

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            """Stop a poisoned run, if asked."""
            trainer.should_stop = trainer.should_stop or (monitor.stop_now and monitor.poisoned)

        def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
            """The verdict."""
            monitor.__exit__(None, None, None)

    return MonitorCallback()


def transformers_callback(monitor: "Monitor") -> Any:
    """A callback of transformers' Trainer.

    Raises:  ModuleNotFoundError without transformers
    """
    from transformers import TrainerCallback

    class MonitorCallback(TrainerCallback):
        """The monitor's life within a training."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            """Watch the model."""
            monitor.stop_now = _without_raising(monitor)
            monitor.attach(others["model"])

        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> Any:
            """Stop a poisoned run, if asked."""
            if monitor.stop_now and monitor.poisoned:
                control.should_training_stop = True
            return control

        def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            """The verdict."""
            monitor.__exit__(None, None, None)

    return MonitorCallback()


def _without_raising(monitor: "Monitor") -> bool:
    """Whether the trainer is to stop: it ends a run in order, where an error would not."""
    wanted, monitor.stop = monitor.stop or monitor.stop_now, False
    return wanted
