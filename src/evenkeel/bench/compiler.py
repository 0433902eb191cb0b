"""torch.compile as a fair rival: its default mode, static shapes, no compiling while it is timed."""

import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def whole(layer: nn.Module, *, fullgraph: bool = True) -> Callable[..., Any]:
    """The layer compiled for exactly the shapes that it will see."""
    # Dynamo falls back to eager without a word after eight shapes of one function.
    torch.compiler.reset()
    return torch.compile(layer, dynamic=False, fullgraph=fullgraph)


def compilations() -> int:
    """How many graphs this process has compiled: timing starts when the number stands still."""
    utils = sys.modules.get("torch._dynamo.utils")  # absent before the first compilation
    if utils is None:
        return 0
    counted = utils.counters  # there is no public count (torch 2.13)
    return int(counted["stats"]["unique_graphs"] + counted["inductor"]["fxgraph_cache_miss"])


def no_compiler() -> str:
    """The reason why torch.compile cannot work here; "" when it can."""
    named = os.environ.get("CXX")
    found = [name for name in ([named] if named else ["g++", "clang++"]) if shutil.which(name)]
    return "" if found else f"torch.compile needs a C++ compiler; {named or 'g++'} is not installed"
