"""Warm start: initial values from another model's checkpoint."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from evenkeel.tf1 import logging
from evenkeel.tf1.keys import GraphKeys
from evenkeel.tf1.stacks import get_default_graph


class _Fields(NamedTuple):
    ckpt_to_initialize_from: Any
    vars_to_warm_start: Any
    var_name_to_vocab_info: Any
    var_name_to_prev_var_name: Any


class WarmStartSettings(_Fields):
    """Which variables take their values from which checkpoint, under which names there.

    ``vars_to_warm_start``: a pattern or patterns of trainable variables, a list of variables, or None
    for those in ``var_name_to_prev_var_name`` alone. Vocabularies that changed raise ValueError.
    """

    __slots__ = ()

    def __new__(
        cls, ckpt_to_initialize_from: Any, vars_to_warm_start: Any = ".*",
        var_name_to_vocab_info: Any = None, var_name_to_prev_var_name: Any = None,
    ) -> "WarmStartSettings":  # fmt: skip
        """Check what is given."""
        if not ckpt_to_initialize_from:
            raise ValueError("`ckpt_to_initialize_from` MUST be set in WarmStartSettings")
        if var_name_to_vocab_info:
            raise ValueError("warm start with changed vocabularies is not part of this dialect")
        return super().__new__(
            cls, ckpt_to_initialize_from, vars_to_warm_start, {}, var_name_to_prev_var_name or {}
        )


def settings_of(given: Any) -> WarmStartSettings | None:
    """Settings from a path of a checkpoint, a folder or a SavedModel, or settings."""
    if given is None or isinstance(given, WarmStartSettings):
        return given
    if not isinstance(given, str | bytes | Path):
        raise ValueError(  # noqa: TRY004  # TensorFlow's class
            "warm_start_from must be a string or a WarmStartSettings, instead got "
            + str(type(given))
        )
    path = Path(given.decode() if isinstance(given, bytes) else given)
    inside = path / "variables" / "variables"
    if inside.with_name("variables.index").is_file():
        logging.info("Warm-starting from a SavedModel")
        return WarmStartSettings(str(inside))
    return WarmStartSettings(str(path))


def warm_start(settings: WarmStartSettings) -> None:
    """Let the variables chosen begin with the checkpoint's values."""
    from evenkeel.tf1.train.restoring import init_from_checkpoint

    logging.info("Warm-starting with WarmStartSettings: %s", settings)
    renamed = dict(settings.var_name_to_prev_var_name)
    chosen = _chosen(settings.vars_to_warm_start)
    assignment = {renamed.pop(_name(group), _name(group)): group for group in chosen}
    if renamed:
        raise ValueError(
            "You provided the following variables in var_name_to_prev_var_name that were not used: "
            f"{list(renamed)}.  Perhaps you misspelled them?  Here is the list of viable variable "
            f"names: {[_name(group) for group in chosen]}"
        )
    if assignment:
        init_from_checkpoint(settings.ckpt_to_initialize_from, assignment)


def _chosen(given: Any) -> list[Any]:
    graph = get_default_graph()
    if given is None or (isinstance(given, list) and not given):
        return []
    if isinstance(given, str):
        return graph.get_collection(GraphKeys.TRAINABLE_VARIABLES, scope=given)
    if all(isinstance(v, str) for v in given):
        found = [
            v
            for v in graph.get_collection(GraphKeys.GLOBAL_VARIABLES)
            if any(re.match(pattern, v.op.name) for pattern in given)
        ]
        if not found:
            raise ValueError("vars_to_warm_start: no variable has one of these names")
        return found
    return list(given)


def _name(variable: Any) -> str:
    return str(variable.op.name)
