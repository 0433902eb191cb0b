"""Frozen dataclasses to JSON and back: what comes back is checked field by field, never guessed."""

import json
import math
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from evenkeel.errors import BadRun

Data = TypeVar("Data")


def to_json(data: object) -> str:
    """A frozen dataclass as JSON; a float that is not finite becomes null.

    >>> from evenkeel.train.records import Evaluation
    >>> print(to_json(Evaluation(step=1, loss=float("nan"), accuracy=0.5)))
    {
     "step": 1,
     "loss": null,
     "accuracy": 0.5
    }
    """
    return json.dumps(_plain(data), indent=1, ensure_ascii=False, allow_nan=False)


def from_json(kind: type[Data], text: str) -> Data:
    """The dataclass that ``to_json`` wrote; a null where a float belongs comes back as NaN.

    Raises:  BadRun naming the first field that is missing, unknown or of another type

    >>> from evenkeel.train.records import Evaluation
    >>> from_json(Evaluation, '{"step": 1, "loss": null, "accuracy": 0.5}')
    Evaluation(step=1, loss=nan, accuracy=0.5)
    >>> from_json(Evaluation, '{"step": "1", "loss": null, "accuracy": 0.5}')
    Traceback (most recent call last):
    evenkeel.errors.BadRun: Evaluation.step must be int
      got: '1'
      do:  restore the file from where it was written, or train again
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(f"{kind.__name__} is not valid JSON", error) from error
    built: Data = _built(kind, value, kind.__name__)
    return built


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _built(kind: Any, value: object, where: str) -> Any:
    if is_dataclass(kind):
        return _built_dataclass(kind, value, where)
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise _damaged(f"{where} must be a list", value)
        return tuple(
            _built(get_args(kind)[0], item, f"{where}[{i}]") for i, item in enumerate(value)
        )
    if get_origin(kind) is UnionType:
        return None if value is None else _built(get_args(kind)[0], value, where)
    if kind is float and (value is None or type(value) is int):
        return math.nan if value is None else float(value)
    if type(value) is not kind:
        raise _damaged(f"{where} must be {kind.__name__}", repr(value))
    return value


def _built_dataclass(kind: Any, value: object, where: str) -> Any:
    kinds = get_type_hints(kind)
    if not isinstance(value, dict):
        raise _damaged(f"{where} must be an object", repr(value)[:80])
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    odd = (value.keys() - kinds.keys()) | (needed - value.keys())
    if odd:
        names = ", ".join(sorted(map(str, odd)))
        raise _damaged(f"{where} misses fields or has unknown ones", names)
    return kind(
        **{name: _built(kinds[name], each, f"{where}.{name}") for name, each in value.items()}
    )


def _damaged(problem: str, got: object) -> BadRun:
    return BadRun(problem, got=got, do="restore the file from where it was written, or train again")
