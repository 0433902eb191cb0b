"""Rewrites before code is generated: recorded gradients become autograd, patterns become kernels.

``PEEPHOLES`` holds functions ``(Plan) -> None``. Each looks at ``plan.steps`` and calls
``plan.replace(fused(covers, inputs, outputs, run, name))`` where ``free`` says that nobody looks at
what lies between.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable

from evenkeel.tf1.lower.gradient_record import GradientRecord, autograd_step
from evenkeel.tf1.lower.steps import Plan
from evenkeel.tf1.nodes import Operation, Tensor

Peephole = Callable[[Plan], None]
PEEPHOLES: list[Peephole] = []


def peephole(function: Peephole) -> Peephole:
    """Enter a rewrite."""
    PEEPHOLES.append(function)
    return function


def load_peepholes() -> None:
    """Import every file of the folder ``peepholes`` where there is one."""
    try:
        package = importlib.import_module("evenkeel.tf1.lower.peepholes")
    except ModuleNotFoundError:
        return
    for found in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{found.name}")


def free(plan: Plan, covers: Iterable[Operation], outputs: Iterable[Tensor]) -> bool:
    """Whether nobody fetches, feeds, takes or waits for the nodes but through ``outputs``."""
    inside, open_ = set(covers), set(outputs)
    hidden = {t for op in inside for t in op.outputs} - open_
    if any(t in hidden or t in inside for t in plan.fetched) or plan.fed & (hidden | open_):
        return False
    for step in plan.steps:
        if step.covers[0] in inside:
            continue
        if any(t in hidden for t in step.inputs) or any(c in inside for c in step.controls):
            return False
    return True


def rewrite(plan: Plan, records: list[GradientRecord]) -> set[Tensor]:
    """Apply every rewrite that fits; the tensors that autograd differentiates by."""
    needed = {op for step in plan.steps for op in step.covers}
    leaves: set[Tensor] = set()
    fitting = [
        record
        for record in records
        if needed & record.ops and free(plan, record.ops, record.results) and record.is_whole(plan)
    ]
    for record in fitting:
        # What autograd saved is freed as it goes, unless another record may need it again.
        plan.replace(autograd_step(record, keep=len(fitting) > 1))
        leaves |= set(record.xs)
    plan.collect()
    load_peepholes()
    for function in PEEPHOLES:
        function(plan)
        plan.collect()
    return leaves
