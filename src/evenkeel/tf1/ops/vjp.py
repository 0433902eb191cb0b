"""The gradient of a function at a point: what gradient nodes of convolutions and pools compute."""

from collections.abc import Callable
from typing import Any

import torch


def vjp(function: Callable[[Any], Any], x: Any, dy: Any) -> Any:
    """``dy`` times the derivative of ``function`` at ``x``; differentiable where that is asked for."""
    again = torch.is_grad_enabled() and (x.requires_grad or dy.requires_grad)
    with torch.enable_grad():
        point = x if x.requires_grad and again else x.detach().requires_grad_()
        y = function(point)
        return torch.autograd.grad(y, point, dy, create_graph=again)[0]
