"""``tf.estimator``: models as functions, trained, evaluated and used from a folder of checkpoints."""

from typing import Any

from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.estimator import export as export
from evenkeel.tf1.estimator import inputs as inputs
from evenkeel.tf1.estimator.estimator import Estimator
from evenkeel.tf1.estimator.exporters import BestExporter, Exporter, FinalExporter, LatestExporter
from evenkeel.tf1.estimator.model_fn import EstimatorSpec, ModeKeys
from evenkeel.tf1.estimator.run_config import RunConfig
from evenkeel.tf1.estimator.training import EvalSpec, TrainSpec, train_and_evaluate
from evenkeel.tf1.estimator.warm_start import WarmStartSettings

__all__ = [
    "BestExporter", "Estimator", "EstimatorSpec", "EvalSpec", "Exporter", "FinalExporter",
    "LatestExporter", "ModeKeys", "RunConfig", "TrainSpec", "WarmStartSettings", "export", "inputs",
    "train_and_evaluate",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.estimator.{name}", __all__)
