"""A model lent out: modes, buffers, gradients, random numbers come back as they were."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@contextmanager
def borrowed(model: nn.Module, optimizer: Optimizer | None, trains: bool) -> Iterator["Kept"]:
    """``model`` as it is, and the same again when the block ends; weights too where it ``trains``."""
    kept = Kept(model)
    modes = [(module, module.training) for module in model.modules()]
    grads = [(p, p.grad) for p in model.parameters()]
    weights = [(p, p.detach().clone()) for p in model.parameters()] if trains else []
    state = copy.deepcopy(optimizer.state_dict()) if optimizer is not None and trains else None
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    plain = random.getstate()
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(0)  # dropout: the same model gets the same report
            for p, _ in grads:
                p.grad = None
            yield kept
    finally:
        random.setstate(plain)
        kept.put_back()
        for module, mode in modes:
            module.training = mode
        for p, grad in grads:
            p.grad = grad
        with torch.no_grad():
            for p, value in weights:
                p.copy_(value)
        if optimizer is not None and state is not None:
            optimizer.load_state_dict(state)


class Kept:
    """A model's buffers, to be put back: the same tensors with the same values."""

    def __init__(self, model: nn.Module) -> None:
        self._held: list[tuple[nn.Module, dict[str, Tensor | None], dict[str, Tensor]]] = []
        for module in model.modules():
            values = {n: b.detach().clone() for n, b in module._buffers.items() if b is not None}
            self._held.append((module, dict(module._buffers), values))

    def put_back(self) -> None:
        """Everything as it was."""
        with torch.no_grad():
            for module, tensors, values in self._held:
                if tensors:
                    vars(module)["_buffers"] = dict(tensors)
                for name, value in values.items():
                    held = tensors[name]
                    if held is not None:
                        held.copy_(value)

    def changed(self) -> set[int]:
        """The ids of modules whose buffers differ now."""
        return {
            id(module)
            for module, _, values in self._held
            if any(not _same(module._buffers.get(n), value) for n, value in values.items())
        }


def _same(now: Tensor | None, before: Tensor) -> bool:
    return (
        now is not None
        and now.shape == before.shape
        and bool(
            torch.equal(now.nan_to_num(), before.nan_to_num())
            if now.is_floating_point()
            else torch.equal(now, before)
        )
    )
