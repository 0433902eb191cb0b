"""Layers: one idea a file."""

from evenkeel.nn.accumulated import accumulated as accumulated
from evenkeel.nn.batch_norm import BatchNorm as BatchNorm
from evenkeel.nn.batch_norm import BatchNorm1d as BatchNorm1d
from evenkeel.nn.batch_norm import BatchNorm2d as BatchNorm2d
from evenkeel.nn.batch_norm import BatchNorm3d as BatchNorm3d
from evenkeel.nn.conditional import ConditionalBatchNorm as ConditionalBatchNorm
from evenkeel.nn.conditional import condition as condition
from evenkeel.nn.frozen import FrozenBatchNorm as FrozenBatchNorm
from evenkeel.nn.ghost import GhostBatchNorm as GhostBatchNorm
from evenkeel.nn.lockstep import lockstep as lockstep
from evenkeel.nn.no_update import no_update as no_update
from evenkeel.nn.renorm import BatchRenorm as BatchRenorm
from evenkeel.nn.renorm import RenormLimits as RenormLimits
from evenkeel.nn.renorm import RenormSchedule as RenormSchedule
from evenkeel.nn.running import CumulativeAverage as CumulativeAverage
from evenkeel.nn.running import Ema as Ema
from evenkeel.nn.running import Population as Population
from evenkeel.nn.running import ZeroDebiasedEma as ZeroDebiasedEma
from evenkeel.nn.streams import StreamBatchNorm as StreamBatchNorm
from evenkeel.nn.streams import stream as stream
from evenkeel.nn.sync import SyncBatchNorm as SyncBatchNorm
