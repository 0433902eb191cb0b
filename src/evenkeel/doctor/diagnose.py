"""diagnose: the whole way for a model, from a few batches to a report."""

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import Optimizer

from evenkeel.doctor.feeding import Forward, Loss, call
from evenkeel.doctor.observe import LIMIT, observe
from evenkeel.doctor.passes import Step, Ways
from evenkeel.doctor.report import Report, judge


def diagnose(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Forward | None = None,
    loss: Loss | None = None,
    step: Step | None = None,
    optimizer: Optimizer | None = None,
    steps: int | None = None,
    origin: str = "",
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    limit: int = LIMIT,
) -> Report:
    """What is wrong with the batch normalization of ``model``, with the numbers and what to do.

    Math:    each rule's page says what it measures: `evenkeel doctor --explain EK102`, docs/doctor/
    Shapes:  as the model's
    Dtypes:  as the model's; statistics in float64
    Raises:  BadOption for what is no model or no batch, a limit below 1, negative steps; EmptyBatch
             without a batch; BadData for one with NaN; UnknownName for a code that is no rule's; errors
             of the model that are not a layer's, as they are
    Source:  docs/doctor/: each page names its own

    The first ``limit`` batches run in training mode (the first with a backward pass), in evaluation
    mode, and once more by their own statistics. The model is afterwards as it was: modes, buffers,
    gradients, random numbers; with ``step`` also weights and the optimizer's state.

    A batch is a tensor, a tuple of inputs and labels, or a mapping of named arguments;
    ``forward(model, batch)`` runs any other. ``loss(outputs, labels)`` is cross entropy where labels
    are classes. ``step(model, batch)`` is your own training step, with ``optimizer`` its optimizer:
    then two forwards a step and accumulated gradients are seen. ``steps``: how long it was trained.
    ``origin``: whose weights these are, a name of ``ek.convention``.

    >>> import torch
    >>> model = nn.Sequential(nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8, momentum=0.99))
    >>> report = diagnose(model, [torch.randn(64, 4) for _ in range(8)])
    >>> [str(found) for found in report.findings if found.code == "EK105"]
    ['EK105 warning at 1: momentum 0.99: the last batch is 99.0% of the average']
    """
    ways = Ways(forward or call, loss, step, optimizer, steps, origin)
    return judge(observe(model, batches, ways, limit), select, ignore)
