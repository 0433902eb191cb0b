"""Signatures: which tensors of a saved model are its inputs and outputs."""

from typing import Any

from evenkeel.tf1.dtypes import as_dtype
from evenkeel.tf1.graph_io.tensors import shape_to_proto
from evenkeel.tf1.proto import SignatureDef, TensorInfo
from evenkeel.tf1.saved_model import constants as words
from evenkeel.tf1.stacks import get_default_graph


def build_tensor_info(tensor: Any) -> Any:
    """The name, type and shape of a tensor or variable, as a TensorInfo."""
    found: Any = get_default_graph().as_graph_element(tensor, allow_operation=False)
    kind = found.dtype.base_dtype.as_datatype_enum
    return TensorInfo(name=found.name, dtype=kind, tensor_shape=shape_to_proto(found.shape))


def get_tensor_from_tensor_info(
    tensor_info: Any, graph: Any = None, import_scope: Any = None
) -> Any:
    """The tensor that a TensorInfo names."""
    if tensor_info.WhichOneof("encoding") != "name":
        raise ValueError("Only dense tensors are supported by this TensorInfo: it names none.")
    name = f"{import_scope}/{tensor_info.name}" if import_scope else tensor_info.name
    return (graph or get_default_graph()).get_tensor_by_name(name)


def build_signature_def(inputs: Any = None, outputs: Any = None, method_name: Any = None) -> Any:
    """A SignatureDef of TensorInfos by name."""
    made = SignatureDef(method_name=method_name or "")
    for field, given in ((made.inputs, inputs), (made.outputs, outputs)):
        for name, info in (given or {}).items():
            field[name].CopyFrom(info)
    return made


def predict_signature_def(inputs: Any, outputs: Any) -> Any:
    """The signature of a prediction, of tensors by name."""
    if not inputs:
        raise ValueError("Prediction inputs cannot be None or empty.")
    if outputs is None:
        raise ValueError("Prediction outputs cannot be None or empty.")
    given, made = (
        {k: build_tensor_info(t) for k, t in tensors.items()} for tensors in (inputs, outputs)
    )
    return build_signature_def(given, made, words.PREDICT_METHOD_NAME)


def regression_signature_def(examples: Any, predictions: Any) -> Any:
    """The signature of a regression: texts of examples in, floats out."""
    given = {words.REGRESS_INPUTS: _text("Regression inputs", examples)}
    made = {words.REGRESS_OUTPUTS: _of("Regression outputs", predictions, "float32")}
    return build_signature_def(given, made, words.REGRESS_METHOD_NAME)


def classification_signature_def(examples: Any, classes: Any, scores: Any) -> Any:
    """The signature of a classification: texts of examples in, classes and scores out."""
    given = {words.CLASSIFY_INPUTS: _text("Classification inputs", examples)}
    if classes is None and scores is None:
        raise ValueError("Classification classes and scores cannot both be None.")
    made = {}
    if classes is not None:
        made[words.CLASSIFY_OUTPUT_CLASSES] = _text("Classification classes", classes)
    if scores is not None:
        made[words.CLASSIFY_OUTPUT_SCORES] = _of("Classification scores", scores, "float32")
    return build_signature_def(given, made, words.CLASSIFY_METHOD_NAME)


def _text(what: str, tensor: Any) -> Any:
    return _of(what, tensor, "string")


def _of(what: str, tensor: Any, dtype: str) -> Any:
    if tensor is None:
        raise ValueError(f"{what} cannot be None.")
    info = build_tensor_info(tensor)
    if as_dtype(info.dtype).name != dtype:
        raise ValueError(f"{what} must be of type {dtype}, and are {as_dtype(info.dtype).name}")
    return info


def is_valid_signature(signature_def: Any) -> bool:
    """Whether a signature has the inputs and outputs that its method asks for."""
    if signature_def is None:
        return False
    method = signature_def.method_name
    if method == words.PREDICT_METHOD_NAME:
        return bool(signature_def.inputs) and bool(signature_def.outputs)
    if method == words.REGRESS_METHOD_NAME:
        return _has(signature_def, words.REGRESS_INPUTS, {words.REGRESS_OUTPUTS: "float32"}, True)
    if method == words.CLASSIFY_METHOD_NAME:
        outputs = {words.CLASSIFY_OUTPUT_CLASSES: "string", words.CLASSIFY_OUTPUT_SCORES: "float32"}
        return _has(signature_def, words.CLASSIFY_INPUTS, outputs, False)
    return False


def _has(signature: Any, given: str, outputs: dict[str, str], every: bool) -> bool:
    if set(signature.inputs) != {given} or as_dtype(signature.inputs[given].dtype).name != "string":
        return False
    names = set(signature.outputs)
    if not names or not names <= set(outputs) or (every and names != set(outputs)):
        return False
    return all(as_dtype(signature.outputs[n].dtype).name == outputs[n] for n in names)
