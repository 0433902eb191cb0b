"""fold: batch normalization into the linear operations beside it."""

import copy
from typing import Any

from torch import nn

from evenkeel.errors import BadOption, OutputsDiffer
from evenkeel.surgery.change import taken_back_on_error
from evenkeel.surgery.folding import Folding
from evenkeel.surgery.measured import site_errors
from evenkeel.surgery.probe import check, own_error
from evenkeel.surgery.report import attach


def fold(
    model: nn.Module,
    probe: Any = None,
    *,
    inplace: bool = False,
    tolerance: float | None = None,
) -> nn.Module:
    """``model`` for inference, with its batch normalization inside the operations beside it.

    Math:    W·x + b, then scale · y + shift, is (scale·W)·x + (scale·b + shift); the other way round
             W·(scale · x + shift) + b is (W·scale)·x + (W·shift + b). A layer beside no linear
             operation becomes FrozenBatchNorm: one multiply-add
    Shapes:  as the model's
    Dtypes:  as the model's; weights are computed in f64 and rounded once
    Error:   rounding of the weights; with a probe at most ``tolerance`` relative to the largest value
             of each output, by default 1e-4 in f32, 1e-9 in f64, 2e-2 in f16 and bf16, or four times
             the model's own distance from its outputs in float64 where that is more
    Raises:  OutputsDiffer when the two models differ on the probe, BadOption for what is no module;
             after any error the model is as it was
    Source:  Jacob et al. 2018, arXiv:1712.05877, section 3.2; docs/decisions/0006 for how layers change

    ``probe`` is a batch on which both models run in inference: a tensor, a tuple of arguments, or a
    mapping of named ones; a run on it also shows what stands before a layer in a forward that cannot be
    read. Layers must be in inference mode: call ``model.eval()`` first. Functional calls beside a
    normalization, F.conv2d(x, self.w) or F.batch_norm, become modules over the same tensors, in a
    forward that is written anew and is that of inference only.
    An activation module that alone reads what a folded layer gives writes in place from then on.
    ``report_of`` says for each layer where it went or why not, and, with a probe, the error caused.

    >>> model = fold(nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)).eval())
    >>> model
    Sequential(
      (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
      (1): Identity()
    )
    """
    if not isinstance(model, nn.Module):
        raise BadOption(
            "fold takes a model", got=type(model).__name__, do="give a torch.nn.Module, built"
        )
    reference = copy.deepcopy(model) if inplace and probe is not None else model
    target = model if inplace else copy.deepcopy(model)
    with taken_back_on_error() as journal:
        folding = Folding(target, journal, probe)
        folding.run()
        errors = {}
        if probe is not None:
            errors = site_errors(reference, target, folding.links, probe)
            _check(reference, target, probe, tolerance)
        attach(target, folding.report(errors))
    return target


def _check(reference: nn.Module, target: nn.Module, probe: Any, tolerance: float | None) -> None:
    try:
        check(reference, target, probe, tolerance, ("inference",))
    except OutputsDiffer:
        own = own_error(reference, probe) if tolerance is None else 0.0
        if not own:
            raise
        check(reference, target, probe, 4 * own, ("inference",))
