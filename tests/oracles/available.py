"""The kernels that can run here: all of them, but for native ones where there is no library."""

from evenkeel.kernels import KERNELS
from evenkeel.kernels.library import why_missing


def available(operation: str) -> list[str]:
    names = [kernel.name for kernel in KERNELS[operation]]
    return [name for name in names if name != "native" or not why_missing()]
