"""``tf.nest``: lists, tuples, namedtuples and dicts of things, flattened and packed again.

Dicts are taken in the order of their sorted keys; strings and arrays are things, not sequences.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from evenkeel.tf1.catalogue import missing

__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]


def is_nested(seq: Any) -> bool:
    """Whether this is a structure.

    >>> is_nested([1]), is_nested({}), is_nested("text"), is_nested(None)
    (True, True, False, False)
    """
    return isinstance(seq, Sequence | Mapping) and not isinstance(seq, str | bytes)


is_sequence = is_nested  # its name in tensorflow.python.util.nest


def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The things of a structure, in order; a thing alone is a list of one.

    >>> flatten({"b": [1, (2,)], "a": 3})
    [3, 1, 2]
    """
    if not is_nested(structure):
        return [structure]
    return [thing for part in _parts(structure) for thing in flatten(part, expand_composites)]


def pack_sequence_as(structure: Any, flat_sequence: Any, expand_composites: bool = False) -> Any:
    """The things of a flat list in the form of a structure.

    Raises:  ValueError where there are more or fewer than the structure has

    >>> pack_sequence_as({"b": [1, (2,)], "a": 3}, [10, 20, 30])
    {'b': [20, (30,)], 'a': 10}
    """
    if not is_nested(flat_sequence):
        raise TypeError("flat_sequence must be a sequence")
    if not is_nested(structure) and len(flat_sequence) != 1:
        raise ValueError(
            f"Structure is a scalar but len(flat_sequence) == {len(flat_sequence)} > 1"
        )
    wanted = len(flatten(structure))
    if wanted != len(flat_sequence):
        raise ValueError(
            "Could not pack sequence. Structure had "
            f"{wanted} elements, but flat_sequence had {len(flat_sequence)} elements. "
            f"Structure: {structure}, flat_sequence: {flat_sequence}."
        )
    return _packed(structure, iter(flat_sequence))


def map_structure(func: Callable[..., Any], *structure: Any, **kwargs: Any) -> Any:
    """What ``func`` gives for each thing, or for the things at one place of several structures.

    >>> map_structure(lambda a, b: a + b, {"x": 1, "y": (2,)}, {"x": 10, "y": (20,)})
    {'x': 11, 'y': (22,)}
    """
    if not callable(func):
        raise TypeError(f"func must be callable, got: {func}")
    if not structure:
        raise ValueError("Must provide at least one structure")
    check = kwargs.pop("check_types", True)
    kwargs.pop("expand_composites", None)
    if kwargs:
        raise ValueError(
            f"Only valid keyword arguments are `check_types` and `expand_composites`, not: {[*kwargs]}"
        )
    for other in structure[1:]:
        assert_same_structure(structure[0], other, check_types=check)
    rows = zip(*map(flatten, structure), strict=True)
    return pack_sequence_as(structure[0], [func(*row) for row in rows])


def assert_same_structure(
    nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False
) -> None:
    """Raise ValueError where the forms differ, TypeError where only the types of sequences do."""
    if is_nested(nest1) != is_nested(nest2):
        raise ValueError(_differs(nest1, nest2))
    if not is_nested(nest1):
        return
    same = type(nest1) is type(nest2) or (isinstance(nest1, Mapping) and isinstance(nest2, Mapping))
    if check_types and not same:
        raise TypeError(
            f"{_differs(nest1, nest2)}\nFirst structure has type {type(nest1)}, "
            f"second structure has type {type(nest2)}"
        )
    keyed = isinstance(nest1, Mapping) and isinstance(nest2, Mapping)
    if len(nest1) != len(nest2) or (keyed and set(nest1) != set(nest2)):
        raise ValueError(_differs(nest1, nest2))
    for one, two in zip(_parts(nest1), _parts(nest2), strict=True):
        assert_same_structure(one, two, check_types)


def _differs(nest1: Any, nest2: Any) -> str:
    return (
        "The two structures don't have the same nested structure.\n\n"
        f"First structure: {nest1}\n\nSecond structure: {nest2}"
    )


def _parts(structure: Any) -> list[Any]:
    if isinstance(structure, Mapping):
        return [structure[key] for key in sorted(structure)]
    return list(structure)


def _packed(structure: Any, things: Iterator[Any]) -> Any:
    if not is_nested(structure):
        return next(things)
    if isinstance(structure, Mapping):
        found = {key: _packed(structure[key], things) for key in sorted(structure)}
        return type(structure)((key, found[key]) for key in structure)  # type: ignore[call-arg]
    made = [_packed(part, things) for part in structure]
    return type(structure)(*made) if hasattr(structure, "_fields") else type(structure)(made)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.nest.{name}", __all__)
