"""``tf.estimator.RunConfig``: where and how an Estimator runs."""

import copy
import json
import os
import tempfile
from typing import Any

from evenkeel.tf1 import logging

_DEFAULT: Any = object()
_REPLACEABLE = (
    "model_dir", "tf_random_seed", "save_summary_steps", "save_checkpoints_steps",
    "save_checkpoints_secs", "session_config", "keep_checkpoint_max",
    "keep_checkpoint_every_n_hours", "log_step_count_steps", "train_distribute", "device_fn",
    "protocol", "eval_distribute", "experimental_distribute", "experimental_max_worker_delay_secs",
    "session_creation_timeout_secs",
)  # fmt: skip


class RunConfig:
    """Folder, seed, and how often to save, to summarize and to log.

    ``session_config``, ``device_fn``, ``protocol``, ``experimental_max_worker_delay_secs`` and
    ``session_creation_timeout_secs`` concern devices and servers: kept, without meaning here.

    Raises:  ValueError for distribution strategies and for a cluster in TF_CONFIG
    """

    master = evaluation_master = ""
    is_chief, task_type, task_id = True, "worker", 0
    num_ps_replicas, num_worker_replicas, global_id_in_cluster = 0, 1, 0
    service = None

    def __init__(
        self, model_dir: Any = None, tf_random_seed: int | None = None,
        save_summary_steps: int | None = 100, save_checkpoints_steps: Any = _DEFAULT,
        save_checkpoints_secs: Any = _DEFAULT, session_config: Any = None,
        keep_checkpoint_max: int | None = 5, keep_checkpoint_every_n_hours: float = 10000,
        log_step_count_steps: int | None = 100, train_distribute: Any = None,
        device_fn: Any = None, protocol: Any = None, eval_distribute: Any = None,
        experimental_distribute: Any = None, experimental_max_worker_delay_secs: Any = None,
        session_creation_timeout_secs: float = 7200,
    ) -> None:  # fmt: skip
        if save_checkpoints_steps is _DEFAULT and save_checkpoints_secs is _DEFAULT:
            save_checkpoints_steps, save_checkpoints_secs = None, 600
        save_checkpoints_secs = None if save_checkpoints_secs is _DEFAULT else save_checkpoints_secs
        save_checkpoints_steps = (
            None if save_checkpoints_steps is _DEFAULT else save_checkpoints_steps
        )
        given = locals()
        self.cluster_spec: dict[str, Any] = {}
        self._set({name: given[name] for name in _REPLACEABLE})
        settings = json.loads(os.environ.get("TF_CONFIG", "{}") or "{}")
        if settings.get("cluster"):
            raise ValueError("TF_CONFIG names a cluster: there is one process here, and no servers")
        self.model_dir = self._folder(settings.get("model_dir"))

    def _folder(self, elsewhere: str | None) -> str | None:
        if self.model_dir and elsewhere and self.model_dir != elsewhere:
            raise ValueError(
                "`model_dir` provided in RunConfig construct, if set, must have the same value as the "
                f'model_dir in TF_CONFIG. model_dir: {self.model_dir}\nTF_CONFIG["model_dir"]: '
                f"{elsewhere}.\n"
            )
        return self.model_dir or elsewhere

    def _set(self, values: dict[str, Any]) -> None:
        _check(values)
        for name, value in values.items():
            setattr(self, name, value)

    def replace(self, **kwargs: Any) -> "RunConfig":
        """A copy with other values; ValueError for a name that cannot be replaced."""
        unknown = [name for name in kwargs if name not in _REPLACEABLE]
        if unknown:
            raise ValueError(
                f"Replacing {unknown[0]} is not supported. Allowed properties are {list(_REPLACEABLE)}."
            )
        if kwargs.get("save_checkpoints_steps") and kwargs.get("save_checkpoints_secs"):
            raise ValueError(
                "`save_checkpoints_steps` and `save_checkpoints_secs` cannot be both set."
            )
        made = copy.copy(self)
        if kwargs.get("save_checkpoints_steps"):
            made.save_checkpoints_secs = None
        if kwargs.get("save_checkpoints_secs"):
            made.save_checkpoints_steps = None
        made._set(kwargs)
        return made

    model_dir: str | None
    tf_random_seed: int | None
    save_summary_steps: int | None
    save_checkpoints_steps: int | None
    save_checkpoints_secs: float | None
    keep_checkpoint_max: int | None
    keep_checkpoint_every_n_hours: float
    log_step_count_steps: int | None
    session_config: Any
    session_creation_timeout_secs: float


def _check(values: dict[str, Any]) -> None:
    """ValueError for a value that cannot be, in TensorFlow's words."""
    for name in ("train_distribute", "eval_distribute", "experimental_distribute"):
        if values.get(name) is not None:
            raise ValueError(f"{name}: distribution strategies are not part of this dialect")
    if None not in (values.get("save_checkpoints_steps"), values.get("save_checkpoints_secs")):
        raise ValueError("`save_checkpoints_steps` and `save_checkpoints_secs` cannot be both set.")
    for name, (bound, words) in _LEAST.items():
        value = values.get(name)
        if value is not None and value < bound:
            raise ValueError(f"{name} should be {words}")
    _check_others(values)


_LEAST = {
    "save_summary_steps": (0, ">= 0"), "save_checkpoints_steps": (0, ">= 0"),
    "save_checkpoints_secs": (0, ">= 0"), "keep_checkpoint_max": (0, ">= 0"),
    "log_step_count_steps": (1, "> 0"), "session_creation_timeout_secs": (1, "> 0"),
}  # fmt: skip


def _check_others(values: dict[str, Any]) -> None:
    hours = values.get("keep_checkpoint_every_n_hours")
    if hours is not None and not hours > 0:
        raise ValueError("keep_checkpoint_every_n_hours should be > 0")
    if values.get("model_dir") is not None:
        values["model_dir"] = os.fspath(values["model_dir"])
        if not values["model_dir"]:
            raise ValueError("model_dir should be non-empty")
    if not isinstance(values.get("tf_random_seed"), int | None):
        raise ValueError("tf_random_seed must be integer.")  # noqa: TRY004  # TensorFlow's class


def settled(config: Any, model_dir: Any) -> RunConfig:
    """The configuration of an Estimator: with a folder, a temporary one where none was given."""
    chosen = RunConfig() if config is None else config
    if not isinstance(chosen, RunConfig):
        raise ValueError(  # noqa: TRY004  # TensorFlow's class
            "config must be an instance of `RunConfig`, but provided " + str(type(config))
        )
    if model_dir is not None:
        model_dir = os.fspath(model_dir)
        if chosen.model_dir not in (None, model_dir):
            raise ValueError(
                "`model_dir` are set both in constructor and `RunConfig`, but with different values. "
                f"In constructor: '{model_dir}', in `RunConfig`: '{chosen.model_dir}' "
            )
        return chosen.replace(model_dir=model_dir)
    if chosen.model_dir is None:
        folder = tempfile.mkdtemp()
        logging.warning("Using temporary folder as model directory: %s", folder)
        return chosen.replace(model_dir=folder)
    return chosen
