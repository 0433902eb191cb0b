"""``tf.train``: optimizers, schedules, moving averages, checkpoints."""

import importlib
from typing import Any

_HOME = {
    "optimizer": ("Optimizer",),
    "kinds": (
        "AdadeltaOptimizer", "AdagradOptimizer", "GradientDescentOptimizer", "MomentumOptimizer",
        "RMSPropOptimizer",
    ),
    "adam": ("AdamOptimizer",),
    "proximal": (
        "AdagradDAOptimizer", "FtrlOptimizer", "ProximalAdagradOptimizer",
        "ProximalGradientDescentOptimizer",
    ),
    "checkpoints": (
        "NewCheckpointReader", "checkpoint_exists", "generate_checkpoint_state_proto",
        "get_checkpoint_mtimes", "get_checkpoint_state", "latest_checkpoint", "list_variables",
        "load_checkpoint", "load_variable", "remove_checkpoint", "update_checkpoint_state",
    ),
    "restoring": ("checkpoints_iterator", "init_from_checkpoint"),
    "coordinator": ("Coordinator", "LooperThread"),
    "hooks": (
        "CheckpointSaverHook", "CheckpointSaverListener", "FeedFnHook", "FinalOpsHook",
        "GlobalStepWaiterHook", "LoggingTensorHook", "NanLossDuringTrainingError", "NanTensorHook",
        "SecondOrStepTimer", "StepCounterHook", "StopAtStepHook", "SummarySaverHook",
    ),
    "input": (
        "batch", "input_producer", "limit_epochs", "range_input_producer", "shuffle_batch",
        "slice_input_producer", "string_input_producer",
    ),
    "messages": (
        "BytesList", "Example", "Feature", "FeatureList", "FeatureLists", "Features", "FloatList",
        "Int64List", "SequenceExample", "match_filenames_once", "summary_iterator",
    ),
    "monitored_session": (
        "ChiefSessionCreator", "MonitoredSession", "MonitoredTrainingSession", "SessionCreator",
        "SingularMonitoredSession", "WorkerSessionCreator",
    ),
    "queue_runner": ("QueueRunner", "add_queue_runner", "start_queue_runners"),
    "scaffold": ("Scaffold",),
    "session_manager": ("SessionManager",),
    "session_run_hook": (
        "SessionRunArgs", "SessionRunContext", "SessionRunHook", "SessionRunValues",
    ),
    "supervisor": ("Supervisor",),
    "meta_graphs": ("SaverDef", "export_meta_graph", "import_meta_graph", "write_graph"),
    "saver": ("Saver",),
    "moving_averages": ("ExponentialMovingAverage",),
    "schedules": (
        "cosine_decay", "cosine_decay_restarts", "exponential_decay", "inverse_time_decay",
        "linear_cosine_decay", "natural_exp_decay", "piecewise_constant",
        "piecewise_constant_decay", "polynomial_decay",
    ),
    "steps": (
        "assert_global_step", "create_global_step", "get_global_step", "get_or_create_global_step",
        "global_step",
    ),
}  # fmt: skip
_MODULES = {name: module for module, names in _HOME.items() for name in names}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    if name == "queue_runner":  # a namespace of its own in TensorFlow too
        return importlib.import_module(f"{__name__}.{name}")
    if name.startswith("__"):
        raise AttributeError(name)
    from evenkeel.tf1.catalogue import missing

    raise missing(f"tf.train.{name}", __all__)


def __dir__() -> list[str]:
    return list(__all__)
