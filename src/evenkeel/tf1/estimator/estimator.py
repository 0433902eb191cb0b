"""``tf.estimator.Estimator``: a model as a function, and a folder of its checkpoints."""

import copy
import os
from collections.abc import Callable, Iterator
from typing import Any

from evenkeel.tf1 import logging
from evenkeel.tf1.control_ops import group
from evenkeel.tf1.estimator import reports, saving
from evenkeel.tf1.estimator.checks import arguments, check_model_fn, listeners_of
from evenkeel.tf1.estimator.evaluation import StopAfterNEvals, eval_step, evaluate_once
from evenkeel.tf1.estimator.model_fn import EstimatorSpec, ModeKeys, hooks_of
from evenkeel.tf1.estimator.run_config import RunConfig, settled
from evenkeel.tf1.estimator.warm_start import settings_of, warm_start
from evenkeel.tf1.graph import Graph
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train import checkpoints
from evenkeel.tf1.train.hooks import (
    CheckpointSaverHook,
    LoggingTensorHook,
    NanTensorHook,
    StopAtStepHook,
)
from evenkeel.tf1.train.monitored_session import (
    ChiefSessionCreator,
    MonitoredSession,
    MonitoredTrainingSession,
)
from evenkeel.tf1.train.saver import Saver
from evenkeel.tf1.train.scaffold import Scaffold
from evenkeel.tf1.train.session_run_hook import SessionRunHook
from evenkeel.tf1.train.steps import (
    create_global_step,
    get_global_step,
    get_or_create_global_step_read,
)


class Estimator:
    """Trains, evaluates and uses the model that ``model_fn(features, labels, mode, params)`` builds.

    Everything that is learned lies in ``model_dir``: each call builds a graph, restores the latest
    checkpoint there and goes on from it.

    Source:  tf.estimator.Estimator of TensorFlow 1.15; the same seed gives the same initial values

    >>> import evenkeel.tf1 as tf, numpy as np, tempfile
    >>> def model_fn(features, labels, mode):
    ...     w = tf.get_variable("w", [], initializer=tf.zeros_initializer())
    ...     loss = tf.reduce_mean(tf.square(features["x"] * w - labels))
    ...     step = tf.train.GradientDescentOptimizer(0.5).minimize(loss, tf.train.get_global_step())
    ...     return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=step)
    >>> data = tf.estimator.inputs.numpy_input_fn(
    ...     {"x": np.ones(8, np.float32)}, np.ones(8, np.float32), 4, num_epochs=5, shuffle=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     estimator = Estimator(model_fn, folder).train(data, steps=3)
    ...     float(estimator.get_variable_value("w")), estimator.evaluate(data)["global_step"].item()
    (1.0, 3)
    """

    def __init__(
        self, model_fn: Callable[..., Any], model_dir: Any = None, config: RunConfig | None = None,
        params: Any = None, warm_start_from: Any = None,
    ) -> None:  # fmt: skip
        self._config = settled(config, model_dir)
        if model_fn is None:
            raise ValueError("model_fn must be provided to Estimator.")
        check_model_fn(model_fn, params)
        self._model_fn, self._params = model_fn, copy.deepcopy(params or {})
        self._warm_start = settings_of(warm_start_from)

    # ---- what it is

    @property
    def model_dir(self) -> str:
        """The folder of checkpoints and summaries."""
        return str(self._config.model_dir)

    @property
    def config(self) -> RunConfig:
        """A copy of the configuration."""
        return copy.deepcopy(self._config)

    @property
    def params(self) -> Any:
        """A copy of the parameters."""
        return copy.deepcopy(self._params)

    @property
    def model_fn(self) -> Callable[..., EstimatorSpec]:
        """The model as a function of features, labels, mode and configuration."""
        return self._call_model_fn

    def latest_checkpoint(self) -> str | None:
        """The latest checkpoint, or None."""
        return checkpoints.latest_checkpoint(self.model_dir)

    def get_variable_names(self) -> list[str]:
        """The variables of the latest checkpoint; ValueError where there is none."""
        self._check_trained()
        return [name for name, _ in checkpoints.list_variables(self.model_dir)]

    def get_variable_value(self, name: str) -> Any:
        """The value of one of them."""
        self._check_trained()
        return checkpoints.load_variable(self.model_dir, name)

    def _check_trained(self) -> None:
        if self.latest_checkpoint() is None:
            raise ValueError(f"Couldn't find trained model at {self.model_dir}.")

    def eval_dir(self, name: str | None = None) -> str:
        """The folder of an evaluation's summaries."""
        return os.path.join(self.model_dir, f"eval_{name}" if name else "eval")  # noqa: PTH118

    # ---- training

    def train(
        self, input_fn: Callable[..., Any], hooks: Any = None, steps: int | None = None,
        max_steps: int | None = None, saving_listeners: Any = None,
    ) -> "Estimator":  # fmt: skip
        """Train ``steps`` more, until the global step is ``max_steps``, or to the end of the input."""
        if steps is not None and max_steps is not None:
            raise ValueError("Can not provide both steps and max_steps.")
        for name, value in (("steps", steps), ("max_steps", max_steps)):
            if value is not None and value <= 0:
                raise ValueError(f"Must specify {name} > 0, given: {value}")
        if max_steps is not None and max_steps <= self._steps_done():
            logging.info("Skipping training since max_steps has already saved.")
            return self
        chosen = list(hooks_of(hooks))
        if steps is not None or max_steps is not None:
            chosen.append(StopAtStepHook(steps, max_steps))
        loss = self._train(input_fn, chosen, listeners_of(saving_listeners))
        logging.info("Loss for final step: %s.", loss)
        return self

    def _steps_done(self) -> int:
        latest = self.latest_checkpoint()
        if latest is None:
            return 0
        reader = checkpoints.NewCheckpointReader(latest)
        has = reader.has_tensor(GraphKeys.GLOBAL_STEP)
        return int(reader.get_tensor(GraphKeys.GLOBAL_STEP)) if has else 0

    def _train(self, input_fn: Any, hooks: list[Any], listeners: list[Any]) -> Any:
        with Graph().as_default() as graph:
            get_default_graph().seed = self._config.tf_random_seed
            create_global_step(graph)
            get_or_create_global_step_read(graph)
            features, labels, input_hooks = self._inputs(input_fn, ModeKeys.TRAIN)
            spec = self._call_model_fn(features, labels, ModeKeys.TRAIN, self.config)
            return self._train_spec(spec, [*input_hooks, *hooks], listeners)

    def _train_spec(self, spec: EstimatorSpec, hooks: list[Any], listeners: list[Any]) -> Any:
        from evenkeel.tf1.summary import scalar

        graph, config = get_default_graph(), self._config
        if self._warm_start:
            warm_start(self._warm_start)
        summaries = graph.get_collection(GraphKeys.SUMMARIES)
        if not any(s.op.name == "loss" for s in summaries):
            scalar("loss", spec.loss)
        graph.add_to_collection(GraphKeys.LOSSES, spec.loss)
        hooks = [*hooks, NanTensorHook(spec.loss)]
        if config.log_step_count_steps is not None:
            watched = {"loss": spec.loss, "step": get_global_step(graph)}
            hooks.append(LoggingTensorHook(watched, every_n_iter=config.log_step_count_steps))
        hooks += spec.training_hooks
        if not (spec.scaffold.saver or graph.get_collection(GraphKeys.SAVERS)):
            saver = Saver(
                sharded=True, max_to_keep=config.keep_checkpoint_max, defer_build=True,
                keep_checkpoint_every_n_hours=config.keep_checkpoint_every_n_hours,
                save_relative_paths=True,
            )  # fmt: skip
            graph.add_to_collection(GraphKeys.SAVERS, saver)
        chief = self._saver_hooks([*hooks, *spec.training_chief_hooks], spec.scaffold, listeners)
        return self._run_training(spec, hooks, [*chief, *spec.training_chief_hooks])

    def _saver_hooks(self, others: list[Any], scaffold: Any, listeners: list[Any]) -> list[Any]:
        """The hook that saves, unless there is one; it tells the listeners."""
        there = [h for h in others if isinstance(h, CheckpointSaverHook)]
        secs, steps = self._config.save_checkpoints_secs, self._config.save_checkpoints_steps
        made = []
        if (secs or steps) and not there:
            made = [CheckpointSaverHook(self.model_dir, secs, steps, scaffold=scaffold)]
        if listeners and not (there or made):
            raise ValueError(
                "There should be a CheckpointSaverHook to use saving_listeners. Please set one of the "
                "RunConfig.save_checkpoints_steps or RunConfig.save_checkpoints_secs."
            )
        for hook in [*there, *made][:1]:
            hook._listeners += [x for x in listeners if x not in hook._listeners]
        return made

    def _run_training(self, spec: EstimatorSpec, hooks: list[Any], chief: list[Any]) -> Any:
        loss = None
        with MonitoredTrainingSession(
            checkpoint_dir=self.model_dir, scaffold=spec.scaffold, hooks=hooks,
            chief_only_hooks=chief, save_checkpoint_secs=0,
            save_summaries_steps=self._config.save_summary_steps,
            config=self._config.session_config,
            log_step_count_steps=self._config.log_step_count_steps,
        ) as session:  # fmt: skip
            while not session.should_stop():
                _, loss = session.run([spec.train_op, spec.loss])
        if loss is None:
            logging.warning(
                "Training with estimator made no steps. Perhaps input is empty or misspecified."
            )
        return loss

    # ---- evaluation

    def evaluate(
        self, input_fn: Callable[..., Any], steps: int | None = None, hooks: Any = None,
        checkpoint_path: Any = None, name: str | None = None,
    ) -> Any:  # fmt: skip
        """The metrics of a checkpoint, over ``steps`` batches or the whole input."""
        chosen = list(hooks_of(hooks))
        if steps is not None:
            if steps <= 0:
                raise ValueError(f"Must specify steps > 0, given: {steps}")
            chosen.append(StopAfterNEvals(steps))
        path = self._path(checkpoint_path, "evaluate")
        with Graph().as_default() as graph:
            get_default_graph().seed = self._config.tf_random_seed
            create_global_step(graph)
            features, labels, input_hooks = self._inputs(input_fn, ModeKeys.EVAL)
            spec = self._call_model_fn(features, labels, ModeKeys.EVAL, self.config)
            update, values = reports.metric_operations(spec)
            values[GraphKeys.GLOBAL_STEP] = get_global_step(graph)
            self._maybe_warm_start(path)
            results = evaluate_once(
                path, _with_local_init(spec.scaffold), update, values,
                [*input_hooks, *chosen, *spec.evaluation_hooks], self._config.session_config,
            )  # fmt: skip
        reports.write(self.eval_dir(name), results, path)
        return results

    def _path(self, given: Any, what: str) -> Any:
        path = given or self.latest_checkpoint()
        if not path:
            logging.info(
                "Could not find trained model in model_dir: %s, running initialization to %s.",
                self.model_dir, what,
            )  # fmt: skip
        return path

    def _maybe_warm_start(self, path: Any) -> None:
        if not path and self._warm_start:
            warm_start(self._warm_start)

    # ---- prediction

    def predict(
        self, input_fn: Callable[..., Any], predict_keys: Any = None, hooks: Any = None,
        checkpoint_path: Any = None, yield_single_examples: bool = True,
    ) -> Iterator[Any]:  # fmt: skip
        """What the model says of each example, one by one, or batch by batch."""
        chosen, path = list(hooks_of(hooks)), self._path(checkpoint_path, "predict")
        with Graph().as_default() as graph:
            get_default_graph().seed = self._config.tf_random_seed
            create_global_step(graph)
            features, _, input_hooks = self._inputs(input_fn, ModeKeys.PREDICT)
            reports.check_ends(features)
            spec = self._call_model_fn(features, None, ModeKeys.PREDICT, self.config)
            self._maybe_warm_start(path)
            wanted = reports.chosen_predictions(spec.predictions, predict_keys)
            creator = ChiefSessionCreator(
                spec.scaffold,
                config=self._config.session_config,
                checkpoint_filename_with_path=path,
            )
            all_hooks = [*input_hooks, *chosen, *spec.prediction_hooks]
            with MonitoredSession(creator, all_hooks) as session:
                while not session.should_stop():
                    found = session.run(wanted)
                    yield from reports.examples(found) if yield_single_examples else [found]

    # ---- export

    def export_saved_model(
        self, export_dir_base: Any, serving_input_receiver_fn: Callable[[], Any] | None,
        assets_extra: Any = None, as_text: bool = False, checkpoint_path: Any = None,
        experimental_mode: str = ModeKeys.PREDICT,
    ) -> bytes:  # fmt: skip
        """Write a SavedModel into a new folder, named by the time; its path."""
        if serving_input_receiver_fn is None:
            raise ValueError("An input_receiver_fn must be defined.")
        if experimental_mode != ModeKeys.PREDICT:
            raise ValueError(
                "a model is exported for prediction: experimental_mode must stay 'infer'"
            )
        path = checkpoint_path or self.latest_checkpoint()
        if not path:
            self._check_trained()
        return saving.export(
            self, export_dir_base, serving_input_receiver_fn, assets_extra, as_text, path
        )

    def export_savedmodel(
        self, export_dir_base: Any, serving_input_receiver_fn: Callable[[], Any] | None,
        assets_extra: Any = None, as_text: bool = False, checkpoint_path: Any = None,
        strip_default_attrs: bool = False,
    ) -> bytes:  # fmt: skip
        """The old name of ``export_saved_model``; default attributes are left out either way."""
        return self.export_saved_model(
            export_dir_base, serving_input_receiver_fn, assets_extra, as_text, checkpoint_path
        )

    # ---- the functions given

    def _inputs(self, input_fn: Callable[..., Any], mode: str) -> tuple[Any, Any, list[Any]]:
        """Features, labels, and the hook that starts their dataset."""
        given = {"mode": mode, "params": self.params, "config": self.config}
        names = arguments(input_fn)
        with get_default_graph().device("/cpu:0"):
            result = input_fn(**{k: v for k, v in given.items() if k in names})
        hooks: list[Any] = []
        if hasattr(result, "make_initializable_iterator"):
            iterator = result.make_initializable_iterator()
            hooks, result = [_Starts(iterator)], iterator.get_next()
        if not isinstance(result, list | tuple):
            return result, None, hooks
        if len(result) != 2:
            raise ValueError("input_fn should return (features, labels) as a len 2 tuple.")
        return result[0], result[1], hooks

    def _call_model_fn(
        self, features: Any, labels: Any, mode: str, config: RunConfig
    ) -> EstimatorSpec:
        names = arguments(self._model_fn)
        given = {"labels": labels, "mode": mode, "params": self.params, "config": config}
        if labels is not None and "labels" not in names:
            raise ValueError("model_fn does not take labels, but input_fn returns labels.")
        logging.info("Calling model_fn.")
        known = {k: v for k, v in given.items() if k in names}
        spec = self._model_fn(features=features, **known)
        logging.info("Done calling model_fn.")
        if not isinstance(spec, EstimatorSpec):
            raise ValueError("model_fn should return an EstimatorSpec.")  # noqa: TRY004  # TensorFlow's class
        return spec


class _Starts(SessionRunHook):
    """Starts the iterator over the dataset that an input function returned."""

    def __init__(self, iterator: Any) -> None:
        self._initializer = iterator.initializer

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Start it."""
        session.run(self._initializer)


def _with_local_init(scaffold: Scaffold) -> Scaffold:
    """The scaffold of an evaluation: the counter is initialized beside the model's own."""
    if scaffold.local_init_op is None:
        return scaffold
    eval_step()
    both = group(scaffold.local_init_op, Scaffold.default_local_init_op())
    return Scaffold(local_init_op=both, copy_from_scaffold=scaffold)
