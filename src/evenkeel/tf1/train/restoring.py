"""Variables that start from a checkpoint's values, and checkpoints as they appear."""

import time
from collections.abc import Iterator
from typing import Any

from evenkeel.tf1 import logging
from evenkeel.tf1.build import apply
from evenkeel.tf1.stacks import get_default_graph
from evenkeel.tf1.train.checkpoints import checkpoint_named, latest_checkpoint, load_checkpoint
from evenkeel.tf1.train.saveables import element_of, saveables_of
from evenkeel.tf1.variable_store import default_store


def init_from_checkpoint(ckpt_dir_or_file: Any, assignment_map: dict[str, Any]) -> None:
    """Let variables start from tensors of a checkpoint when their initializers run.

    Keys are tensors or scopes of the checkpoint (``"/"`` for all), values variables, lists of slices,
    names of variables, or scopes.
    """
    path = checkpoint_named(ckpt_dir_or_file)
    shapes = load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map()
    for name, target in sorted(assignment_map.items()):
        variable = _variable(target)
        if variable is not None:
            _check(name, variable, shapes, ckpt_dir_or_file)
            _start_from(variable, path, name)
            continue
        for each, variable in _scope(name, target, shapes, ckpt_dir_or_file):
            _start_from(variable, path, each)


def _variable(target: Any) -> Any:
    """The variable, or the slices of one, that is meant; None for a scope."""
    if not isinstance(target, str):
        return target
    known = default_store().variables
    return known.get(target) or _slices(target, known)


def _slices(name: str, known: dict[str, Any]) -> list[Any] | None:
    found: list[Any] = []
    while f"{name}/part_{len(found)}" in known:
        found.append(known[f"{name}/part_{len(found)}"])
    return found or None


def _check(name: str, variable: Any, shapes: dict[str, list[int]], given: Any) -> None:
    if name not in shapes:
        raise ValueError(f"Tensor {name} is not found in {given} checkpoint {shapes}")
    if isinstance(variable, list | tuple) or hasattr(variable, "_get_variable_list"):
        return
    if not variable.get_shape().is_compatible_with(shapes[name]):
        raise ValueError(
            f"Shape of variable {variable.name} ({variable.get_shape()}) doesn't match with shape of "
            f"tensor {name} ({shapes[name]}) from checkpoint reader."
        )


def _scope(
    prefix: str, target: str, shapes: dict[str, list[int]], given: Any
) -> Iterator[tuple[str, Any]]:
    """Each variable of a scope, and the tensor of the checkpoint's scope that it starts from."""
    scope = target.rpartition("/")[0]
    if not prefix.endswith("/"):
        raise ValueError(
            f"Assignment map with scope only name {scope} should map to scope only {prefix}. Should "
            "be 'scope/': 'other_scope/'."
        )
    known = default_store().variables
    inside = {n.partition("/part_")[0] for n in known if not scope or n.startswith(f"{scope}/")}
    for name in sorted(inside):
        short = name[len(scope) :] if target == "/" else name[len(scope) :].removeprefix("/")
        tensor = (short if prefix == "/" else prefix + short).removesuffix("/")
        if tensor not in shapes:
            raise ValueError(
                f"Tensor {tensor} ({name[len(scope) + 1 :]} in {prefix}) is not found in {given} "
                "checkpoint"
            )
        yield tensor, known.get(name) or _slices(name, known)


def _start_from(variable: Any, path: Any, tensor: str) -> None:
    parts = getattr(variable, "_get_variable_list", lambda: variable)()
    if not isinstance(parts, list | tuple):
        _set_initializer(parts, path, tensor, "")
        return
    wholes = {part._save_slice_info.full_name for part in parts}
    if len(wholes) > 1:
        raise ValueError(f"Slices must all be from the same tensor: {' != '.join(sorted(wholes))}")
    for part in parts:
        _set_initializer(part, path, tensor, part._save_slice_info.spec)


def _set_initializer(variable: Any, path: Any, tensor: str, spec: str) -> None:
    graph = get_default_graph()
    with graph.device(variable.device), graph.device("/cpu:0"):
        restored = apply(
            "RestoreV2", path, [tensor], [spec], dtypes=[variable.dtype.base_dtype],
            name="checkpoint_initializer",
        )[0]  # fmt: skip
        saveable = saveables_of([element_of(variable)])[0]
    variable._initializer_op = saveable.restore([restored], None)
    restored.set_shape(variable.get_shape())
    variable._initial_value = restored


def wait_for_new_checkpoint(
    checkpoint_dir: Any, last_checkpoint: str | None = None, seconds_to_sleep: float = 1,
    timeout: float | None = None,
) -> str | None:  # fmt: skip
    """The next checkpoint of a folder that is not ``last_checkpoint``; None where time runs out."""
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        found = latest_checkpoint(checkpoint_dir)
        if found is not None and found != last_checkpoint:
            logging.info("Found new checkpoint at %s", found)
            return found
        if end is not None and time.monotonic() + seconds_to_sleep > end:
            return None
        time.sleep(seconds_to_sleep)


def checkpoints_iterator(
    checkpoint_dir: Any, min_interval_secs: float = 0, timeout: float | None = None,
    timeout_fn: Any = None,
) -> Iterator[str]:  # fmt: skip
    """New checkpoints of a folder as they appear.

    It ends when none came for ``timeout`` seconds, unless ``timeout_fn`` then says False.
    """
    last = None
    while True:
        found = wait_for_new_checkpoint(checkpoint_dir, last, timeout=timeout)
        if found is None:
            if timeout_fn is None or timeout_fn():
                return
            continue
        started, last = time.monotonic(), found
        yield found
        time.sleep(max(0.0, started + min_interval_secs - time.monotonic()))
