"""What a ``model_fn`` returns: ``EstimatorSpec``, checked as TensorFlow checks it."""

from typing import Any, NamedTuple

from evenkeel.tf1.build import apply
from evenkeel.tf1.estimator.export import checked_outputs
from evenkeel.tf1.nodes import Operation, Tensor
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.scaffold import Scaffold
from evenkeel.tf1.train.session_run_hook import SessionRunHook


class ModeKeys:
    """What a graph is built for."""

    TRAIN = "train"
    EVAL = "eval"
    PREDICT = "infer"


class _Fields(NamedTuple):
    mode: str
    predictions: Any
    loss: Any
    train_op: Any
    eval_metric_ops: Any
    export_outputs: Any
    training_chief_hooks: Any
    training_hooks: Any
    scaffold: Any
    evaluation_hooks: Any
    prediction_hooks: Any


class EstimatorSpec(_Fields):
    """The operations of a model for one mode.

    Raises:  ValueError where the mode needs something that is missing, or a tensor is of another graph;
             TypeError for values of other kinds
    """

    __slots__ = ()

    def __new__(
        cls, mode: str, predictions: Any = None, loss: Any = None, train_op: Any = None,
        eval_metric_ops: Any = None, export_outputs: Any = None, training_chief_hooks: Any = None,
        training_hooks: Any = None, scaffold: Any = None, evaluation_hooks: Any = None,
        prediction_hooks: Any = None,
    ) -> "EstimatorSpec":  # fmt: skip
        """Check everything given."""
        if train_op is None and mode == ModeKeys.TRAIN:
            raise ValueError("Missing train_op.")
        train_op = _train_op(train_op)
        if loss is None and mode in (ModeKeys.TRAIN, ModeKeys.EVAL):
            raise ValueError("Missing loss.")
        loss = _scalar(loss)
        if predictions is None and mode == ModeKeys.PREDICT:
            raise ValueError("Missing predictions.")
        predictions = _predictions(predictions)
        return super().__new__(
            cls, mode, predictions, loss, train_op, _metrics(eval_metric_ops),
            checked_outputs(export_outputs, predictions, mode == ModeKeys.PREDICT),
            hooks_of(training_chief_hooks), hooks_of(training_hooks), _scaffold(scaffold),
            hooks_of(evaluation_hooks), hooks_of(prediction_hooks),
        )  # fmt: skip

    def _replace(self, **kwds: Any) -> "EstimatorSpec":
        if kwds.get("mode", self.mode) != self.mode:
            raise ValueError("mode of EstimatorSpec cannot be changed.")
        return EstimatorSpec(**(self._asdict() | kwds))


def _here(thing: Any, what: str) -> None:
    if thing.graph is not get_default_graph():
        raise ValueError(
            f"{what} with {thing.name} must be from the default graph. Possible causes of this error "
            "include: \n\n1) {what} was created outside the context of the default graph."
            "\n\n2) The object passed through to EstimatorSpec was not created in the most recent "
            'call to "model_fn".'
        )


def _is_tensor(thing: Any) -> bool:
    return isinstance(thing, Tensor) or hasattr(thing, "_dense_var_to_tensor")


def _tensor(thing: Any, name: str) -> Any:
    if not _is_tensor(thing):
        raise TypeError(f"{name} must be Tensor, given: {thing}")
    return thing


def _train_op(given: Any) -> Any:
    if given is None:
        return None
    if not isinstance(given, Operation) and not _is_tensor(given):
        raise TypeError(f"train_op must be Operation or Tensor, given: {given}")
    found = given.op if hasattr(given, "_dense_var_to_tensor") else given
    _here(found, "train_op")
    return found


def _scalar(loss: Any) -> Any:
    if loss is None:
        return None
    shape = _tensor(loss, "loss").get_shape()
    if shape.num_elements() not in (None, 1):
        raise ValueError(f"Loss must be scalar, given: {loss}")
    if not shape.is_compatible_with([]):
        loss = apply("Reshape", loss, [])
    _here(loss, "loss")
    return loss


def _predictions(given: Any) -> Any:
    if given is None:
        return {}
    named = given if isinstance(given, dict) else {"": given}
    for key, value in named.items():
        _tensor(value, f"predictions[{key}]" if key else "predictions")
        _here(value, "prediction values")
    return dict(given) if isinstance(given, dict) else given


def _metrics(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise TypeError(f"eval_metric_ops must be a dict, given: {given}")
    for key, value in given.items():
        if not isinstance(value, tuple) or len(value) != 2:
            raise TypeError(
                "Values of eval_metric_ops must be (metric_value, update_op) tuples, given: "
                f"{value} for key: {key}"
            )
        for one in value:
            _here(one, "eval_metric_ops")
    return given


def _scaffold(given: Any) -> Scaffold:
    found = Scaffold() if given is None else given
    if not isinstance(found, Scaffold):
        raise TypeError(f"scaffold must be tf.train.Scaffold. Given: {found}")
    return found


def hooks_of(given: Any) -> tuple[Any, ...]:
    """Hooks as a tuple; TypeError for what is no hook."""
    found = tuple(given or ())
    for hook in found:
        if not isinstance(hook, SessionRunHook):
            raise TypeError(f"All hooks must be SessionRunHook instances, given: {hook}")
    return found
