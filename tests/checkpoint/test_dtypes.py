"""Types that NumPy has no word for: bfloat16 and quantized integers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evenkeel.checkpoint import Bundle, write_bundle
from evenkeel.checkpoint.dtypes import BFLOAT16, narrowed, widened
from evenkeel.errors import BadDtype

Tensors = dict[str, NDArray[Any]]
LOW = {
    "q8": "qint8",
    "qu8": "quint8",
    "q32": "qint32",
    "q16": "qint16",
    "qu16": "quint16",
    "bf": "bfloat16",
}


def test_what_tensorflow_wrote(recorded: Path, low: Tensors) -> None:
    bundle = Bundle(recorded / "low")
    assert sorted(bundle) == sorted(low)
    for name, wanted in low.items():
        assert bundle.entries[name].dtype_name == LOW.get(name, wanted.dtype.name)
        assert (bundle[name].dtype, bundle[name].tolist()) == (wanted.dtype, wanted.tolist())


def test_the_bytes_are_tensorflows(recorded: Path, low: Tensors, tmp_path: Path) -> None:
    write_bundle(tmp_path / "mine", low, dtypes=LOW)
    for end in (".index", ".data-00000-of-00001"):
        assert (tmp_path / f"mine{end}").read_bytes() == (recorded / f"low{end}").read_bytes()


@given(st.lists(st.floats(width=32), min_size=1, max_size=8))
def test_bfloat16_rounds_as_torch_does(values: list[float]) -> None:
    array = np.array([*values, 1 + 2**-8, 1 + 3 * 2**-8], np.float32)  # two ties: down, up
    found = widened(narrowed(array, BFLOAT16), BFLOAT16)
    wanted = torch.tensor(array).to(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([1, 2], "bfloat16"), ([1.0], "qint8"), ([1], "qint8"), ([1.0], "string"), ([1.0], "float8")],
)
def test_values_that_do_not_fit(tmp_path: Path, values: list[float], dtype: str) -> None:
    with pytest.raises(BadDtype):
        write_bundle(tmp_path / "a", {"x": np.array(values)}, dtypes={"x": dtype})


def test_the_extension_type_of_bfloat16(tmp_path: Path) -> None:
    extension = pytest.importorskip("ml_dtypes").bfloat16
    write_bundle(tmp_path / "a", {"x": np.array([1.5, -2], extension)})
    assert Bundle(tmp_path / "a")["x"].tolist() == [1.5, -2]
