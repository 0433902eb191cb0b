"""Examples as messages, and the events of a file."""

from typing import Any

from evenkeel.tf1.build import apply
from evenkeel.tf1.events import summary_iterator
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.proto import (
    BytesList,
    Example,
    Feature,
    FeatureList,
    FeatureLists,
    Features,
    FloatList,
    Int64List,
    SequenceExample,
)

__all__ = [
    "BytesList", "Example", "Feature", "FeatureList", "FeatureLists", "Features", "FloatList",
    "Int64List", "SequenceExample", "match_filenames_once", "summary_iterator",
]  # fmt: skip


def match_filenames_once(pattern: Any, name: str | None = None) -> Any:
    """The files that match patterns when local variables are initialized."""
    from evenkeel.tf1.build import name_scope
    from evenkeel.tf1.variables import Variable

    with name_scope(name, "matching_filenames", [pattern]) as scope:
        return Variable(
            lambda: apply("MatchingFiles", pattern), trainable=False, validate_shape=False,
            name=scope, collections=[GraphKeys.LOCAL_VARIABLES],
        )  # fmt: skip
