"""Operation → kernels, in order of preference.

An operation is a folder; every way to run it is a file there, the float64 definition among them.
"""

from evenkeel.kernels import library, table
from evenkeel.kernels.backward import aten as backward_aten
from evenkeel.kernels.backward import native as backward_native
from evenkeel.kernels.backward import reference as backward_reference
from evenkeel.kernels.fused import aten as fused_aten
from evenkeel.kernels.fused import composite as fused_composite
from evenkeel.kernels.fused import eager as fused_eager
from evenkeel.kernels.fused import native as fused_native
from evenkeel.kernels.fused import reference as fused_reference
from evenkeel.kernels.moments import eager as moments_eager
from evenkeel.kernels.moments import native as moments_native
from evenkeel.kernels.moments import reference as moments_reference
from evenkeel.kernels.normalize import aten as normalize_aten
from evenkeel.kernels.normalize import native as normalize_native
from evenkeel.kernels.normalize import reference as normalize_reference
from evenkeel.kernels.table import Call as Call
from evenkeel.kernels.table import Choice as Choice
from evenkeel.kernels.table import Kernel as Kernel
from evenkeel.kernels.table import choose as choose
from evenkeel.kernels.table import record_choices as record_choices
from evenkeel.kernels.table import use_kernel as use_kernel

_RUNS_HERE = library.refuses

KERNELS: dict[str, tuple[table.Kernel, ...]] = {
    "moments": (
        Kernel("native", moments_native.moments, _RUNS_HERE, differentiable=False),
        Kernel("eager", moments_eager.moments),
        Kernel("reference", moments_reference.moments, on_request=True),
    ),
    "normalize": (
        Kernel("native", normalize_native.normalize, _RUNS_HERE, differentiable=False, whole=True),
        Kernel("torch", normalize_aten.normalize),
        Kernel("reference", normalize_reference.normalize, on_request=True),
    ),
    "train": (
        Kernel("native", fused_native.train, _RUNS_HERE, differentiable=False, whole=True),
        Kernel("torch", fused_aten.train, fused_aten.refuses),
        Kernel("eager", fused_eager.train, fused_eager.refuses, differentiable=False),
        Kernel("composite", fused_composite.train),
        Kernel("reference", fused_reference.train, on_request=True),
    ),
    "backward": (
        Kernel("native", backward_native.backward, _RUNS_HERE, differentiable=False),
        Kernel("torch", backward_aten.backward),
        Kernel("reference", backward_reference.backward, on_request=True),
    ),
}
