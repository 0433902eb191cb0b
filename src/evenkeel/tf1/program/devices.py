"""``tensorflow.python.client.device_lib``: the processors there are."""

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class DeviceAttributes:
    """One processor, under TensorFlow's name for it."""

    name: str
    device_type: str
    memory_limit: int
    physical_device_desc: str = ""


def list_local_devices(session_config: Any = None) -> list[DeviceAttributes]:
    """The CPU, then each GPU.

    >>> list_local_devices()[0].name
    '/device:CPU:0'
    """
    found = [DeviceAttributes("/device:CPU:0", "CPU", 256 << 20)]
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        place = f"device: {number}, name: {about.name}"
        name = f"/device:GPU:{number}"
        found.append(DeviceAttributes(name, "GPU", about.total_memory, place))
    return found
