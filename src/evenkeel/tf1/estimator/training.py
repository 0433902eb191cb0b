"""``tf.estimator.train_and_evaluate``: an evaluation after each checkpoint."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from evenkeel.tf1 import logging
from evenkeel.tf1.estimator.estimator import Estimator
from evenkeel.tf1.estimator.exporters import Exporter
from evenkeel.tf1.estimator.model_fn import hooks_of
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.train.hooks import CheckpointSaverListener, SecondOrStepTimer


class _Train(NamedTuple):
    input_fn: Callable[..., Any]
    max_steps: int | None
    hooks: tuple[Any, ...]


class TrainSpec(_Train):
    """How to train."""

    __slots__ = ()

    def __new__(
        cls, input_fn: Callable[..., Any], max_steps: int | None = None, hooks: Any = None
    ) -> "TrainSpec":
        """Check what is given."""
        _check_input(input_fn)
        if max_steps is not None and max_steps <= 0:
            raise ValueError(f"Must specify max_steps > 0, given: {max_steps}")
        return super().__new__(cls, input_fn, max_steps, hooks_of(hooks))


class _Eval(NamedTuple):
    input_fn: Callable[..., Any]
    steps: int | None
    name: str | None
    hooks: tuple[Any, ...]
    exporters: tuple[Exporter, ...]
    start_delay_secs: float
    throttle_secs: float


class EvalSpec(_Eval):
    """How to evaluate; ``start_delay_secs`` concerns an evaluator process: there is none."""

    __slots__ = ()

    def __new__(
        cls, input_fn: Callable[..., Any], steps: int | None = 100, name: str | None = None,
        hooks: Any = None, exporters: Any = None, start_delay_secs: float = 120,
        throttle_secs: float = 600,
    ) -> "EvalSpec":  # fmt: skip
        """Check what is given."""
        _check_input(input_fn)
        if steps is not None and steps <= 0:
            raise ValueError(f"Must specify steps > 0, given: {steps}")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"`name` must be string, given: {name}")
        for what, secs in (
            ("start_delay_secs", start_delay_secs),
            ("throttle_secs", throttle_secs),
        ):
            if secs < 0:
                raise ValueError(f"Must specify {what} >= 0, given: {secs}")
        return super().__new__(
            cls, input_fn, steps, name, hooks_of(hooks), _exporters(exporters), start_delay_secs,
            throttle_secs,
        )  # fmt: skip


def _check_input(input_fn: Any) -> None:
    if not callable(input_fn):
        raise TypeError(f"`input_fn` must be callable, given: {input_fn}")


def _exporters(given: Any) -> tuple[Exporter, ...]:
    try:
        found = (given,) if isinstance(given, Exporter) else tuple(given or ())
    except TypeError:
        found = (given,)
    if not all(isinstance(e, Exporter) for e in found):
        raise TypeError(
            f"`exporters` must be an Exporter, an iterable of Exporter, or `None`, found {given}."
        )
    names = [e.name for e in found]
    if not all(names):
        raise ValueError(
            f"An Exporter cannot have a name that is `None` or empty. All exporter names: {names}"
        )
    if len(set(names)) < len(names):
        raise ValueError(
            "`exporters` must have unique names. Such a name cannot be `None`. All exporter names: "
            f"{names}"
        )
    return found


def train_and_evaluate(
    estimator: Estimator, train_spec: TrainSpec, eval_spec: EvalSpec
) -> tuple[Any, list[Any]]:
    """Train, and evaluate each new checkpoint, at most every ``throttle_secs`` and at the end.

    The metrics of the last evaluation and what the exporters gave after it.
    """
    for thing, kind, name in (
        (estimator, Estimator, "estimator"), (train_spec, TrainSpec, "train_spec"),
        (eval_spec, EvalSpec, "eval_spec"),
    ):  # fmt: skip
        if not isinstance(thing, kind):
            raise TypeError(
                f"`{name}` must have type `tf.estimator.{kind.__name__}`. Got: {type(thing)}"
            )
    logging.info("Running training and evaluation locally (non-distributed).")
    listener = _Evaluates(estimator, eval_spec, train_spec.max_steps)
    estimator.train(
        train_spec.input_fn, hooks=train_spec.hooks, max_steps=train_spec.max_steps,
        saving_listeners=[listener],
    )  # fmt: skip
    return listener.metrics, listener.exports


class _Evaluates(CheckpointSaverListener):
    """Evaluates each checkpoint but the first, which training begins with."""

    def __init__(self, estimator: Estimator, spec: EvalSpec, last_step: int | None) -> None:
        self._estimator, self._spec, self._last_step = estimator, spec, last_step
        self.metrics: Any = None
        self.exports: Any = None
        self._done: str | None = None

    def begin(self) -> None:
        """Begin to count."""
        self._timer, self._is_first = SecondOrStepTimer(every_secs=self._spec.throttle_secs), True

    def after_save(self, session: Any, global_step_value: int) -> None:
        """Evaluate, unless it was done a short time ago."""
        if self._is_first:
            self._is_first = False
        elif self._timer.should_trigger_for_step(global_step_value):
            self._evaluate(global_step_value)
        else:
            logging.info(
                "Skip the current checkpoint eval due to throttle secs (%s secs).",
                self._spec.throttle_secs,
            )

    def end(self, session: Any, global_step_value: int) -> None:
        """Evaluate the last checkpoint, unless it was done."""
        if global_step_value != self._timer.last_triggered_step():
            self._evaluate(global_step_value)

    def _evaluate(self, step: int) -> None:
        self._timer.update_last_triggered_step(step)
        path = self._estimator.latest_checkpoint()
        if path is None or path == self._done:
            raise RuntimeError("There was no new checkpoint after the training.")
        self._done = path
        spec = self._spec
        self.metrics = self._estimator.evaluate(
            spec.input_fn, steps=spec.steps, name=spec.name, checkpoint_path=path, hooks=spec.hooks
        )
        last = self._last_step is not None
        final = last and self.metrics[GraphKeys.GLOBAL_STEP] >= self._last_step
        base = os.path.join(self._estimator.model_dir, "export")  # noqa: PTH118
        self.exports = [
            e.export(self._estimator, os.path.join(base, e.name), path, self.metrics, bool(final))  # noqa: PTH118
            for e in spec.exporters
        ]
