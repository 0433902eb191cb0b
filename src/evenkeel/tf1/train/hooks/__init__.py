"""The hooks that TensorFlow brings: stopping, saving, logging."""

from evenkeel.tf1.train.hooks.finishing import FeedFnHook, FinalOpsHook, GlobalStepWaiterHook
from evenkeel.tf1.train.hooks.reporting import (
    LoggingTensorHook,
    NanLossDuringTrainingError,
    NanTensorHook,
    StepCounterHook,
    SummarySaverHook,
)
from evenkeel.tf1.train.hooks.saving import CheckpointSaverHook, CheckpointSaverListener
from evenkeel.tf1.train.hooks.steps import SecondOrStepTimer, StopAtStepHook

__all__ = [
    "CheckpointSaverHook", "CheckpointSaverListener", "FeedFnHook", "FinalOpsHook",
    "GlobalStepWaiterHook", "LoggingTensorHook", "NanLossDuringTrainingError", "NanTensorHook",
    "SecondOrStepTimer", "StepCounterHook", "StopAtStepHook", "SummarySaverHook",
]  # fmt: skip
