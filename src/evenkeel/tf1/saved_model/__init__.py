"""``tf.saved_model``: models on disk with their variables and signatures; others serve them."""

from types import SimpleNamespace
from typing import Any

from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.saved_model import building, loading, signatures
from evenkeel.tf1.saved_model import constants as _words
from evenkeel.tf1.saved_model.building import SavedModelBuilder, main_op_with_restore, simple_save
from evenkeel.tf1.saved_model.constants import *  # noqa: F403  # names without meaning of their own
from evenkeel.tf1.saved_model.loading import contains_saved_model, load, maybe_saved_model_directory
from evenkeel.tf1.saved_model.signatures import (
    build_signature_def,
    build_tensor_info,
    classification_signature_def,
    get_tensor_from_tensor_info,
    is_valid_signature,
    predict_signature_def,
    regression_signature_def,
)

Builder = SavedModelBuilder
_CONSTANTS = {name: value for name, value in vars(_words).items() if name.isupper()}


def _chosen(*beginnings: str) -> SimpleNamespace:
    return SimpleNamespace(**{k: v for k, v in _CONSTANTS.items() if k.startswith(beginnings)})


constants = _chosen("ASSETS", "LEGACY", "MAIN", "SAVED", "VARIABLES")
tag_constants = _chosen("SERVING", "TRAINING", "GPU", "TPU")
signature_constants = _chosen("DEFAULT", "CLASSIFY", "PREDICT", "REGRESS")
builder = SimpleNamespace(SavedModelBuilder=SavedModelBuilder)
loader = SimpleNamespace(load=load, maybe_saved_model_directory=maybe_saved_model_directory)
main_op = SimpleNamespace(main_op=building.main_op, main_op_with_restore=main_op_with_restore)
signature_def_utils = SimpleNamespace(
    build_signature_def=build_signature_def,
    classification_signature_def=classification_signature_def,
    is_valid_signature=is_valid_signature,
    predict_signature_def=predict_signature_def,
    regression_signature_def=regression_signature_def,
)
utils = SimpleNamespace(
    build_tensor_info=build_tensor_info, get_tensor_from_tensor_info=get_tensor_from_tensor_info
)
__all__ = [
    "Builder", "build_signature_def", "build_tensor_info", "builder",
    "classification_signature_def", "constants", "contains_saved_model",
    "get_tensor_from_tensor_info", "is_valid_signature", "load", "loader", "loading", "main_op",
    "main_op_with_restore", "maybe_saved_model_directory", "predict_signature_def",
    "regression_signature_def", "signature_constants", "signature_def_utils", "signatures",
    "simple_save", "tag_constants", "utils", *_CONSTANTS,
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.saved_model.{name}", __all__)
