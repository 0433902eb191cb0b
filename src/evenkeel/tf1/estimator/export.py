"""``tf.estimator.export``: what a saved model takes and gives."""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from evenkeel.tf1 import logging
from evenkeel.tf1.api.constants import placeholder
from evenkeel.tf1.build import convert
from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.nodes import Tensor
from evenkeel.tf1.shapes import TensorShape

__all__ = [
    "ClassificationOutput", "ExportOutput", "PredictOutput", "RegressionOutput",
    "ServingInputReceiver", "TensorServingInputReceiver",
    "build_parsing_serving_input_receiver_fn", "build_raw_serving_input_receiver_fn",
]  # fmt: skip
DEFAULT_SIGNATURE = "serving_default"


def signatures() -> Any:
    """``tf.saved_model.signature_def_utils``."""
    return importlib.import_module("evenkeel.tf1.saved_model").signature_def_utils


class ExportOutput:
    """What a head gives; ``as_signature_def`` says it for given inputs."""

    def as_signature_def(self, receiver_tensors: dict[str, Tensor]) -> Any:
        """The signature; ValueError where the inputs do not fit."""
        raise NotImplementedError


def _examples(tensors: dict[str, Tensor], what: str) -> Tensor:
    (only, *more) = tensors.values()
    if more or only.dtype.name != "string":
        raise ValueError(f"{what} input must be a single string Tensor; got {tensors}")
    return only


class ClassificationOutput(ExportOutput):
    """Scores and names of classes."""

    def __init__(self, scores: Any = None, classes: Any = None) -> None:
        if scores is not None and not (isinstance(scores, Tensor) and scores.dtype.is_floating):
            raise ValueError(f"Classification scores must be a float32 Tensor; got {scores}")
        if classes is not None and not (
            isinstance(classes, Tensor) and classes.dtype.name == "string"
        ):
            raise ValueError(f"Classification classes must be a string Tensor; got {classes}")
        if scores is None and classes is None:
            raise ValueError("At least one of scores and classes must be set.")
        self.scores, self.classes = scores, classes

    def as_signature_def(self, receiver_tensors: dict[str, Tensor]) -> Any:
        """The signature of a classification of serialized examples."""
        examples = _examples(receiver_tensors, "Classification")
        return signatures().classification_signature_def(examples, self.classes, self.scores)


class RegressionOutput(ExportOutput):
    """One number an example."""

    def __init__(self, value: Any) -> None:
        if not (isinstance(value, Tensor) and value.dtype.is_floating):
            raise ValueError(f"Regression output value must be a float32 Tensor; got {value}")
        self.value = value

    def as_signature_def(self, receiver_tensors: dict[str, Tensor]) -> Any:
        """The signature of a regression of serialized examples."""
        examples = _examples(receiver_tensors, "Regression")
        return signatures().regression_signature_def(examples, self.value)


class PredictOutput(ExportOutput):
    """Any tensors by name; one alone is named ``output``."""

    def __init__(self, outputs: Any) -> None:
        named = outputs if isinstance(outputs, dict) else {"output": outputs}
        for key, value in named.items():
            if not isinstance(key, str):
                raise ValueError(f"Prediction output key must be a string; got {key}.")  # noqa: TRY004  # TensorFlow's class
            if not isinstance(value, Tensor):
                raise ValueError(f"Prediction output value must be a Tensor; got {value}.")  # noqa: TRY004  # TensorFlow's class
        self.outputs = dict(named)

    def as_signature_def(self, receiver_tensors: dict[str, Tensor]) -> Any:
        """The signature."""
        return signatures().predict_signature_def(receiver_tensors, self.outputs)


def checked_outputs(given: Any, predictions: Any, predicting: bool) -> Any:
    """The outputs of a spec; where a model predicts, one of them is the default."""
    if not predicting:
        return given
    outputs = {DEFAULT_SIGNATURE: PredictOutput(predictions)} if given is None else given
    if not isinstance(outputs, dict):
        raise TypeError(f"export_outputs must be dict, given: {outputs}")
    if not all(isinstance(v, ExportOutput) for v in outputs.values()):
        raise TypeError(f"Values in export_outputs must be ExportOutput objects. Given: {outputs}")
    if len(outputs) == 1:
        outputs = outputs | {DEFAULT_SIGNATURE: next(iter(outputs.values()))}
    if DEFAULT_SIGNATURE not in outputs:
        raise ValueError(
            "Multiple export_outputs were provided, but none of them is specified as the default.  Do "
            "this by naming one of them with signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY."
        )
    return outputs


def _named(tensors: Any, alone: str) -> dict[Any, Tensor]:
    if tensors is None:
        raise ValueError(f"{alone}s must be defined.")
    named = tensors if isinstance(tensors, dict) else {alone: tensors}
    for name, tensor in named.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(f"{alone} {name} must be a Tensor, SparseTensor, or RaggedTensor.")  # noqa: TRY004  # TensorFlow's class
    return named


class ServingInputReceiver(NamedTuple):
    """Features for the model, and the placeholders that they are computed from."""

    features: Any
    receiver_tensors: Any
    receiver_tensors_alternatives: Any = None


class TensorServingInputReceiver(NamedTuple):
    """The same for a model that takes one tensor as its features."""

    features: Tensor
    receiver_tensors: Any
    receiver_tensors_alternatives: Any = None


def build_raw_serving_input_receiver_fn(
    features: dict[str, Any], default_batch_size: int | None = None
) -> Callable[[], ServingInputReceiver]:
    """A function that makes a placeholder for each feature, of its type and shape but any batch."""

    def serving_input_receiver_fn() -> ServingInputReceiver:
        made = {}
        for name, tensor in features.items():
            tensor = convert(tensor)
            shape = TensorShape([default_batch_size]).concatenate(tensor.shape[1:])
            made[name] = placeholder(tensor.dtype.base_dtype, shape, name=tensor.op.name)
        return ServingInputReceiver(made, dict(made))

    return serving_input_receiver_fn


def build_parsing_serving_input_receiver_fn(
    feature_spec: dict[str, Any], default_batch_size: int | None = None
) -> Callable[[], ServingInputReceiver]:
    """A function that parses serialized examples."""

    def serving_input_receiver_fn() -> ServingInputReceiver:
        from evenkeel.tf1.api.parsing import parse_example

        examples = placeholder("string", [default_batch_size], name="input_example_tensor")
        features = parse_example(examples, feature_spec)
        return ServingInputReceiver(features, {"examples": examples})

    return serving_input_receiver_fn


def signature_map(receiver: Any, outputs: dict[str, ExportOutput]) -> dict[str, Any]:
    """A signature for each output and each way to give the inputs; what does not fit is left out."""
    ways = {"": _named(receiver.receiver_tensors, "input")}
    for name, tensors in (receiver.receiver_tensors_alternatives or {}).items():
        ways[f"{name or 'None'}:"] = _named(tensors, "input")
    made = {}
    for before, tensors in ways.items():
        for key, output in outputs.items():
            try:
                made[f"{before}{key or 'None'}"] = output.as_signature_def(tensors)
            except ValueError as error:
                logging.info("Signature excluded from export: %r: %s", key, error)
    return made


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.estimator.export.{name}", __all__)
