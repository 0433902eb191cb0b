"""Batch normalization for PyTorch: fast, checked, and faithful to where it came from.

The names below are the library. Everything else (training, recipes, data, the command) is in modules
of its own that are imported when they are used.
"""

import typing

import evenkeel.threads  # noqa: F401  # first: it says how threads wait before torch loads
from evenkeel import functional as functional
from evenkeel.agreement import check_ranks as check_ranks
from evenkeel.agreement import merge_states as merge_states
from evenkeel.agreement import sync_statistics as sync_statistics
from evenkeel.conventions import convention as convention
from evenkeel.errors import EvenkeelError as EvenkeelError
from evenkeel.explain import explain as explain
from evenkeel.kernels import use_kernel as use_kernel
from evenkeel.nn import BatchNorm as BatchNorm
from evenkeel.nn import BatchNorm1d as BatchNorm1d
from evenkeel.nn import BatchNorm2d as BatchNorm2d
from evenkeel.nn import BatchNorm3d as BatchNorm3d
from evenkeel.nn import BatchRenorm as BatchRenorm
from evenkeel.nn import ConditionalBatchNorm as ConditionalBatchNorm
from evenkeel.nn import CumulativeAverage as CumulativeAverage
from evenkeel.nn import Ema as Ema
from evenkeel.nn import FrozenBatchNorm as FrozenBatchNorm
from evenkeel.nn import GhostBatchNorm as GhostBatchNorm
from evenkeel.nn import Population as Population
from evenkeel.nn import RenormLimits as RenormLimits
from evenkeel.nn import RenormSchedule as RenormSchedule
from evenkeel.nn import StreamBatchNorm as StreamBatchNorm
from evenkeel.nn import SyncBatchNorm as SyncBatchNorm
from evenkeel.nn import ZeroDebiasedEma as ZeroDebiasedEma
from evenkeel.nn import accumulated as accumulated
from evenkeel.nn import condition as condition
from evenkeel.nn import lockstep as lockstep
from evenkeel.nn import no_update as no_update
from evenkeel.nn import stream as stream
from evenkeel.surgery import convert as convert
from evenkeel.surgery import fold as fold
from evenkeel.surgery import freeze as freeze
from evenkeel.surgery import recalibrate as recalibrate
from evenkeel.surgery import unfreeze as unfreeze
from evenkeel.version import __version__ as __version__

if typing.TYPE_CHECKING:
    from evenkeel.doctor import Monitor as Monitor
    from evenkeel.doctor.diagnose import diagnose as diagnose

_LATER = ("Monitor", "diagnose")  # importing the package stays light


def __getattr__(name: str) -> object:
    if name in _LATER:
        from evenkeel import doctor

        return getattr(doctor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
