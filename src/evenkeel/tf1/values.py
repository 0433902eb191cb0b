"""Values between numpy, Python and torch; a fetched array never aliases a tensor that lives on."""

from typing import Any

import numpy as np
import torch

from evenkeel.tf1.dtypes import DType

# torch cannot wrap these numpy types everywhere; they travel through a wider signed one.
_WIDER = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}


def to_torch(array: Any, dtype: DType, device: Any = None) -> Any:
    """A torch tensor that owns a copy; a numpy array of objects for strings."""
    if not dtype.has_torch:
        return np.array(array, dtype=object)
    base = dtype.base_dtype
    if base.name == "bfloat16":
        tensor = torch.tensor(np.asarray(array, np.float32)).to(torch.bfloat16)
    elif base.name in _WIDER:
        tensor = torch.tensor(np.asarray(array).astype(_WIDER[base.name])).to(base.as_torch_dtype)
    else:
        tensor = torch.from_numpy(np.array(array, dtype=base.as_numpy_dtype, order="C"))
    return tensor if device is None or str(device) == "cpu" else tensor.to(device)


def to_numpy(value: Any) -> Any:
    """A numpy array, or a numpy scalar for 0 dimensions, that owns its memory."""
    if isinstance(value, torch.Tensor):
        tensor = value.detach()
        if tensor.dtype == torch.bfloat16:
            tensor = tensor.float()
        array = tensor.numpy(
            force=True
        )  # also of torch's lazily negated, conjugate and zero tensors
        return array.copy() if array.ndim else array[()]
    if isinstance(value, np.ndarray):
        return value.copy() if value.ndim else value[()]
    return value


def to_host(value: Any) -> Any:
    """A Python value: what shapes, axes and permutations are given as."""
    return value.tolist() if hasattr(value, "tolist") else value
