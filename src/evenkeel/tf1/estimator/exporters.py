"""Exporters: SavedModels written after evaluations."""

import inspect
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evenkeel.tf1 import logging
from evenkeel.tf1.events import summary_iterator
from evenkeel.tf1.gfile import Glob


class Exporter(ABC):
    """Writes a model after an evaluation, or not."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of its folder below ``export``."""

    @abstractmethod
    def export(
        self, estimator: Any, export_path: str, checkpoint_path: str, eval_result: Any,
        is_the_final_export: bool,
    ) -> Any:  # fmt: skip
        """The path of what was written, or None."""


class _SavedModels(Exporter):
    """What all exporters here share: how a model is written, how many are kept."""

    _keep: int | None = None

    def __init__(self, name: str, receiver_fn: Any, assets_extra: Any, as_text: bool) -> None:
        self._name, self._receiver_fn = name, receiver_fn
        self._assets_extra, self._as_text = assets_extra, as_text

    @property
    def name(self) -> str:
        """The name of its folder below ``export``."""
        return self._name

    def _write(self, estimator: Any, folder: str, checkpoint: str) -> Any:
        made = estimator.export_saved_model(
            folder, self._receiver_fn, assets_extra=self._assets_extra, as_text=self._as_text,
            checkpoint_path=checkpoint,
        )  # fmt: skip
        if self._keep is not None:
            there = [p for p in Path(folder).iterdir() if len(p.name) == 10 and p.name.isdigit()]
            for old in sorted(there)[: -self._keep]:
                shutil.rmtree(old)
        return made


class LatestExporter(_SavedModels):
    """Writes the model after every evaluation, and keeps the last few."""

    def __init__(
        self, name: str, serving_input_receiver_fn: Any, assets_extra: Any = None,
        as_text: bool = False, exports_to_keep: int | None = 5,
    ) -> None:  # fmt: skip
        super().__init__(name, serving_input_receiver_fn, assets_extra, as_text)
        self._keep = _count(
            exports_to_keep, "`exports_to_keep`, if provided, must be positive number"
        )

    def export(
        self, estimator: Any, export_path: str, checkpoint_path: str, eval_result: Any,
        is_the_final_export: bool,
    ) -> Any:  # fmt: skip
        """The path of the model."""
        return self._write(estimator, export_path, checkpoint_path)


class FinalExporter(_SavedModels):
    """Writes the model once, at the end of the training."""

    def __init__(
        self, name: str, serving_input_receiver_fn: Any, assets_extra: Any = None,
        as_text: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(name, serving_input_receiver_fn, assets_extra, as_text)

    def export(
        self, estimator: Any, export_path: str, checkpoint_path: str, eval_result: Any,
        is_the_final_export: bool,
    ) -> Any:  # fmt: skip
        """The path of the model at the end; None before."""
        if not is_the_final_export:
            return None
        logging.info("Performing the final export in the end of training.")
        return self._write(estimator, export_path, checkpoint_path)


def _loss_smaller(best_eval_result: Any, current_eval_result: Any) -> bool:
    for name, found in (("best", best_eval_result), ("current", current_eval_result)):
        if not found or "loss" not in found:
            raise ValueError(f"{name}_eval_result cannot be empty or no loss is found in it.")
    return bool(best_eval_result["loss"] > current_eval_result["loss"])


class BestExporter(_SavedModels):
    """Writes the model where an evaluation is the best so far, also of earlier trainings."""

    def __init__(
        self, name: str = "best_exporter", serving_input_receiver_fn: Any = None,
        event_file_pattern: str | None = "eval/*.tfevents.*",
        compare_fn: Callable[..., bool] = _loss_smaller, assets_extra: Any = None,
        as_text: bool = False, exports_to_keep: int | None = 5,
    ) -> None:  # fmt: skip
        if compare_fn is None:
            raise ValueError("`compare_fn` must not be None.")
        names = set(inspect.signature(compare_fn).parameters)
        for wanted in ("best_eval_result", "current_eval_result"):
            if wanted not in names:
                raise ValueError(f"compare_fn ({compare_fn}) must include {wanted} argument.")
        super().__init__(name, serving_input_receiver_fn, assets_extra, as_text)
        words = f"`exports_to_keep`, if provided, must be a positive number. Got {exports_to_keep}"
        self._keep = _count(exports_to_keep, words)
        self._better, self._pattern = compare_fn, event_file_pattern
        self._folder: str | None = None
        self._best: Any = None

    def export(
        self, estimator: Any, export_path: str, checkpoint_path: str, eval_result: Any,
        is_the_final_export: bool,
    ) -> Any:  # fmt: skip
        """The path of the model, or None where it is not the best."""
        if self._folder != estimator.model_dir and self._pattern:
            self._folder = estimator.model_dir
            self._best = self._best_before(os.path.join(self._folder or "", self._pattern))  # noqa: PTH118
        best, result = self._best, eval_result
        if best is not None and not self._better(best_eval_result=best, current_eval_result=result):
            return None
        logging.info("Performing best model export.")
        self._best = eval_result
        return self._write(estimator, export_path, checkpoint_path)

    def _best_before(self, pattern: str) -> Any:
        best = None
        for path in Glob(pattern):
            for event in summary_iterator(path):
                rows = [r for r in event.summary.value if r.HasField("simple_value")]
                found = {row.tag: row.simple_value for row in rows}
                if found and (
                    best is None or self._better(best_eval_result=best, current_eval_result=found)
                ):
                    best = found
        return best


def _count(given: int | None, words: str) -> int | None:
    if given is not None and given <= 0:
        raise ValueError(words)
    return given
