"""Values that TensorFlow 1.15.5 printed, from ``shared/oracle/tf115_ops.npz``."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Recorded:
    """One case: its name, its parameters, its arrays."""

    name: str
    parameters: dict[str, Any]  # JSON: numbers, strings, lists
    arrays: dict[str, Tensor]


def recorded(shared: Path, family: str) -> list[Recorded]:
    """Every case of a family, for example "lrn"; at least one."""
    with np.load(shared / "oracle" / "tf115_ops.npz") as file:
        meta = json.loads(file["meta"].tobytes())
        names = [name for name in meta if name.split("/")[0] == family]
        cases = [Recorded(name, meta[name], _arrays(file, name)) for name in names]
    if not cases:
        raise AssertionError(f"no case of family {family} among {sorted(meta)}")
    return cases


def _arrays(file: Any, name: str) -> dict[str, Tensor]:  # numpy's NpzFile is generic in nothing
    keys = [key for key in file.files if key.rpartition("/")[0] == name]
    return {key.rpartition("/")[2]: torch.from_numpy(file[key]) for key in keys}
