"""What a benchmark leaves behind: one JSON file a suite, whose form has a version."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from evenkeel.bench.machine import Machine
from evenkeel.bench.summary import Summary

FORMAT, VERSION = "evenkeel-bench", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A suite's result, or what there is of it: ``planned`` rows in all.

    ``rows`` are this suite's own records, one dataclass a suite.
    """

    suite: str
    machine: Machine
    options: Mapping[str, Any]  # values of the command line, of several types
    planned: int
    rows: Sequence[Any]  # Row, or the row of another suite
    summary: Sequence[Summary] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    format: str = FORMAT
    version: int = VERSION


def as_text(record: Record) -> str:
    """The record as JSON; a float that is not finite becomes null."""
    text = json.dumps(_finite(asdict(record)), indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n"


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
