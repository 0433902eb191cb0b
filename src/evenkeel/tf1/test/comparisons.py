"""What a test says of arrays, structures and messages."""

import re
import unittest
from typing import Any

import numpy as np

from evenkeel.tf1.dtypes import as_dtype
from evenkeel.tf1.nodes import Tensor


class Comparisons(unittest.TestCase):
    """The assertions of TensorFlow's test case. What a tensor is compared with is its value."""

    # Names that Python 3.12 dropped.
    assertEquals = unittest.TestCase.assertEqual  # noqa: N815
    assertNotEquals = unittest.TestCase.assertNotEqual  # noqa: N815
    assertRaisesRegexp = unittest.TestCase.assertRaisesRegex  # noqa: N815
    assertRegexpMatches = unittest.TestCase.assertRegex  # noqa: N815

    def evaluate(self, tensors: Any) -> Any:
        """The values of tensors."""
        raise NotImplementedError

    def _array(self, value: Any) -> Any:
        if isinstance(value, Tensor) or hasattr(value, "_as_graph_element"):
            value = self.evaluate(value)
        return value if isinstance(value, np.ndarray) else np.array(value)

    # ---- close

    def assertAllClose(
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: Any = None
    ) -> None:
        """Structures whose arrays differ by no more than atol + rtol |b|; NaN is like NaN."""
        if _is_structure(a):
            inner, other = _parts(a), _parts(b)
            self.assertEqual(inner.keys(), other.keys(), msg)
            for key, part in inner.items():
                self.assertAllClose(part, other[key], rtol, atol, msg)
            return
        one, two = self._array(a), self._array(b)
        self._same_shape(one, two, msg)
        if not np.allclose(one, two, rtol=rtol, atol=atol, equal_nan=True):
            np.testing.assert_allclose(one, two, rtol=rtol, atol=atol, err_msg=str(msg or ""))

    def assertAllCloseAccordingToType(
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, float_rtol: float = 1e-6,
        float_atol: float = 1e-6, half_rtol: float = 1e-3, half_atol: float = 1e-3,
        bfloat16_rtol: float = 1e-2, bfloat16_atol: float = 1e-2, msg: Any = None,
    ) -> None:  # fmt: skip
        """``assertAllClose`` with the limits of the less exact of both element types."""
        one, two = self._array(a), self._array(b)
        limits = {
            "float32": (float_rtol, float_atol), "complex64": (float_rtol, float_atol),
            "float16": (half_rtol, half_atol), "bfloat16": (bfloat16_rtol, bfloat16_atol),
        }  # fmt: skip
        for kind, (rough, least) in limits.items():
            if kind in (one.dtype.name, two.dtype.name):
                rtol, atol = max(rtol, rough), max(atol, least)
        self.assertAllClose(one, two, rtol, atol, msg)

    def assertNotAllClose(self, a: Any, b: Any, **kwargs: Any) -> None:
        """Not ``assertAllClose``."""
        try:
            self.assertAllClose(a, b, **kwargs)
        except AssertionError:
            return
        raise AssertionError("The two values are close at all elements")

    def assertNear(self, f1: Any, f2: Any, err: float, msg: Any = None) -> None:
        """Two numbers that differ by no more than ``err``."""
        fine = f1 == f2 or abs(f1 - f2) <= err
        self.assertTrue(fine, f"{f1} != {f2} +/- {err}{f' ({msg})' if msg is not None else ''}")

    def assertArrayNear(self, farray1: Any, farray2: Any, err: float, msg: Any = None) -> None:
        """Two lists of numbers that each differ by no more than ``err``."""
        self.assertEqual(len(farray1), len(farray2), msg=msg)
        for one, two in zip(farray1, farray2, strict=True):
            self.assertNear(float(one), float(two), err, msg)

    def assertNDArrayNear(self, ndarray1: Any, ndarray2: Any, err: float, msg: Any = None) -> None:
        """Two arrays whose difference has a norm below ``err``."""
        fine = bool(np.linalg.norm(ndarray1 - ndarray2) < err)
        self.assertTrue(fine, msg=msg or f"{ndarray1!r} is not near {ndarray2!r}")

    # ---- equal

    def assertAllEqual(self, a: Any, b: Any, msg: Any = None) -> None:
        """Arrays of one shape with equal elements; NaN is like NaN."""
        one, two = self._array(a), self._array(b)
        if (one.shape == () and two.shape != ()) or (two.shape == () and one.shape != ()):
            self._same_shape(one, two, msg)
        self._same_shape(one, two, msg)
        same = one == two
        if one.dtype.kind in "fc" and two.dtype.kind in "fc":
            same = np.logical_or(same, np.logical_and(np.isnan(one), np.isnan(two)))
        if not np.all(same):
            np.testing.assert_array_equal(one, two, err_msg=str(msg or ""))
            raise AssertionError(f"the arrays differ: {one} and {two}")

    def assertNotAllEqual(self, a: Any, b: Any, msg: Any = None) -> None:
        """Not ``assertAllEqual``."""
        try:
            self.assertAllEqual(a, b)
        except AssertionError:
            return
        raise AssertionError(f"The two values are equal at all elements. {msg or ''}".rstrip())

    def _same_shape(self, one: Any, two: Any, msg: Any) -> None:
        words = f"Shape mismatch: expected {one.shape}, got {two.shape}."
        self.assertEqual(one.shape, two.shape, f"{words} {msg}" if msg else words)

    def assertShapeEqual(self, np_array: Any, tf_tensor: Any, msg: Any = None) -> None:
        """An array of the static shape of a tensor."""
        if not isinstance(np_array, np.ndarray | np.generic):
            raise TypeError("np_array must be a Numpy ndarray or Numpy scalar")
        if not isinstance(tf_tensor, Tensor):
            raise TypeError("tf_tensor must be a Tensor")
        self.assertAllEqual(np_array.shape, tf_tensor.shape.as_list(), msg)

    def assertDTypeEqual(self, target: Any, expected_dtype: Any) -> None:
        """A tensor or array of an element type."""
        found = target.dtype if hasattr(target, "dtype") else self._array(target).dtype
        self.assertEqual(as_dtype(found).base_dtype, as_dtype(expected_dtype).base_dtype)

    # ---- all of an array

    def assertAllGreater(self, a: Any, comparison_target: Any) -> None:
        """Every element is greater."""
        self.assertGreater(np.min(self._array(a)), comparison_target)

    def assertAllLess(self, a: Any, comparison_target: Any) -> None:
        """Every element is less."""
        self.assertLess(np.max(self._array(a)), comparison_target)

    def assertAllGreaterEqual(self, a: Any, comparison_target: Any) -> None:
        """Every element is at least so much."""
        self.assertGreaterEqual(np.min(self._array(a)), comparison_target)

    def assertAllLessEqual(self, a: Any, comparison_target: Any) -> None:
        """Every element is at most so much."""
        self.assertLessEqual(np.max(self._array(a)), comparison_target)

    def assertAllInRange(
        self, target: Any, lower_bound: Any, upper_bound: Any, open_lower_bound: bool = False,
        open_upper_bound: bool = False,
    ) -> None:  # fmt: skip
        """Every element lies between the bounds; an open bound is itself outside."""
        values = self._array(target)
        low = values <= lower_bound if open_lower_bound else values < lower_bound
        high = values >= upper_bound if open_upper_bound else values > upper_bound
        outside = values[np.logical_or(np.logical_or(low, high), np.isnan(values))]
        self.assertEqual(outside.size, 0, f"out of [{lower_bound}, {upper_bound}]: {outside[:10]}")

    def assertAllInSet(self, target: Any, expected_set: Any) -> None:
        """Every element is one of a set."""
        outside = np.setdiff1d(self._array(target), list(expected_set))
        self.assertEqual(outside.size, 0, f"{outside.size} unexpected element(s): {outside[:10]}")

    # ---- texts and messages

    def assertStartsWith(self, actual: str, expected_start: str, msg: Any = None) -> None:
        """A text that begins so."""
        if not actual.startswith(expected_start):
            words = f"{actual!r} does not start with {expected_start!r}"
            self.fail(f"{words}: {msg}" if msg else words)

    def assertProtoEquals(
        self, expected_message_maybe_ascii: Any, message: Any, msg: Any = None
    ) -> None:
        """A message that is another, or what a text in protobuf's form says."""
        expected = expected_message_maybe_ascii
        if isinstance(expected, str | bytes):
            from google.protobuf import text_format

            expected = text_format.Parse(expected, type(message)())
        self.assertEqual(str(expected), str(message), msg)

    def assertDeviceEqual(self, device1: Any, device2: Any, msg: Any = None) -> None:
        """Two names of one device."""
        self.assertEqual(_device(device1), _device(device2), msg)

    def assertItemsEqual(self, first: Any, second: Any, msg: Any = None) -> None:
        """The same things in whatever order."""
        self.assertCountEqual(first, second, msg)

    def assertEmpty(self, container: Any, msg: Any = None) -> None:
        """Nothing inside."""
        self.assertEqual(len(container), 0, msg)

    def assertNotEmpty(self, container: Any, msg: Any = None) -> None:
        """Something inside."""
        self.assertGreater(len(container), 0, msg)

    def assertLen(self, container: Any, expected_len: int, msg: Any = None) -> None:
        """So many things inside."""
        self.assertEqual(len(container), expected_len, msg)


def _is_structure(value: Any) -> bool:
    """Whether arrays are inside, not numbers: a list of numbers is an array."""
    if isinstance(value, dict) or hasattr(value, "_fields"):
        return True
    inside = isinstance(value, list | tuple)
    return inside and any(isinstance(v, Tensor | np.ndarray | dict | tuple) for v in value)


def _parts(value: Any) -> dict[Any, Any]:
    if hasattr(value, "_asdict"):
        return dict(value._asdict())
    return dict(value) if isinstance(value, dict) else dict(enumerate(value))


def _device(name: Any) -> str:
    return re.sub(
        r"/(?:device:)?([cg]pu):", lambda m: f"/device:{m[1].upper()}:", str(name or ""), flags=re.I
    )
