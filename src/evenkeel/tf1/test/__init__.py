"""``tf.test``: the test case of TensorFlow's own tests, and gradients against differences."""

import os
import tempfile
import unittest
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from evenkeel.tf1.catalogue import missing
from evenkeel.tf1.test.case import TestCase
from evenkeel.tf1.test.gradient_check import compute_gradient, compute_gradient_error

__all__ = [
    "TestCase", "assert_equal_graph_def", "compute_gradient", "compute_gradient_error",
    "get_temp_dir", "gpu_device_name", "is_built_with_cuda", "is_built_with_gpu_support",
    "is_built_with_rocm", "is_gpu_available", "main", "mock", "test_src_dir_path",
]  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Run the tests of the program, and exit."""
    unittest.main(module="__main__", argv=argv)


@cache
def get_temp_dir() -> str:
    """A folder for what tests write, one a process."""
    given = os.environ.get("TEST_TMPDIR")
    if given:
        Path(given).mkdir(parents=True, exist_ok=True)
        return given
    return tempfile.mkdtemp(prefix="tf_test_")


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """Whether there is a GPU, of this capability (major, minor) or better."""
    if not torch.cuda.is_available():
        return False
    least = min_cuda_compute_capability or (0, 0)
    return any(
        torch.cuda.get_device_capability(n) >= tuple(least)
        for n in range(torch.cuda.device_count())
    )


def gpu_device_name() -> str:
    """The first GPU's name, empty without one."""
    return "/device:GPU:0" if is_gpu_available() else ""


def is_built_with_cuda() -> bool:
    """Whether torch was built for NVIDIA's GPUs."""
    return torch.version.cuda is not None


def is_built_with_rocm() -> bool:
    """Whether torch was built for AMD's GPUs."""
    return torch.version.hip is not None


def is_built_with_gpu_support() -> bool:
    """Whether torch was built for GPUs."""
    return is_built_with_cuda() or is_built_with_rocm()


def test_src_dir_path(relative_path: str) -> str:
    """A path below the program's folder."""
    return str(Path.cwd() / relative_path)


def assert_equal_graph_def(
    actual: Any, expected: Any, checkpoint_v2: bool = False, hash_table_shared_name: bool = False
) -> None:
    """AssertionError where two GraphDefs have different nodes, in whatever order they stand."""
    one, two = ({node.name: node for node in graph.node} for graph in (actual, expected))
    lacking, more = sorted(two.keys() - one.keys()), sorted(one.keys() - two.keys())
    differing = sorted(n for n in one.keys() & two.keys() if one[n] != two[n])
    if lacking or more or differing:
        raise AssertionError(
            f"the graphs differ: missing nodes {lacking}, unexpected {more}, different {differing}"
        )


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise missing(f"tf.test.{name}", __all__)
