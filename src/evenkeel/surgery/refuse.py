"""Which batch-norm layers stay as they are, and why."""

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from evenkeel.errors import EvenkeelError
from evenkeel.nn import BatchNorm, FrozenBatchNorm
from evenkeel.surgery.change import OURS, spec_of


def refusal(layer: nn.Module) -> str:
    """Why ``layer`` cannot be replaced; "" when it can.

    >>> refusal(nn.SyncBatchNorm(3))
    'SyncBatchNorm has its statistics from all workers'
    """
    return _by_class(layer) or _by_state(layer)


def _by_class(layer: nn.Module) -> str:
    name = type(layer).__name__
    if isinstance(layer, BatchNorm | FrozenBatchNorm):
        return f"{name} of evenkeel already"
    if isinstance(layer, nn.SyncBatchNorm):
        return f"{name} has its statistics from all workers"
    if isinstance(layer, nn.modules.lazy.LazyModuleMixin):
        return f"{name} knows its channels only after its first batch: run one, then convert"
    if is_parametrized(layer):
        return "its parameters are parametrized: remove_parametrizations first"
    if type(layer) not in OURS:
        return f"{type(layer).__module__}.{name} is a class of its own, which may do anything"
    return ""


def _by_state(layer: nn.Module) -> str:
    if "forward" in vars(layer):
        return "its forward was replaced on this one object"
    if vars(layer).get("_compiled_call_impl") is not None:
        return "it was compiled by itself"
    if layer.running_mean is not None and layer.num_batches_tracked is None:
        return "it has running statistics and no num_batches_tracked"
    try:
        spec_of(layer)
    except EvenkeelError as error:
        return f"{error.problem}: {error.got}"
    return ""
