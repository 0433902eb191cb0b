"""The pure operations: statistics, normalization, batch normalization, LRN, L2 normalization.

Every function takes any rank, float16, bfloat16, float32 and float64, any device, and is
differentiable twice. A third derivative of training batch normalization needs
``use_kernel("reference")``: torch's kernels give a wrong one without a word (pytorch#186256).
Statistics are float32, float64 for float64 (docs/numerics.md).
"""

from evenkeel.functional.normalization import batch_norm as batch_norm
from evenkeel.functional.normalization import batch_normalization as batch_normalization
from evenkeel.functional.normalization import fused_batch_norm as fused_batch_norm
from evenkeel.functional.response import l2_normalize as l2_normalize
from evenkeel.functional.response import (
    local_response_normalization as local_response_normalization,
)
from evenkeel.functional.statistics import Moments as Moments
from evenkeel.functional.statistics import merge_moments as merge_moments
from evenkeel.functional.statistics import moments as moments
from evenkeel.functional.statistics import weighted_moments as weighted_moments
