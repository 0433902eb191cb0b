"""``tf.TensorArray``."""

from evenkeel.tf1.tensor_array import TensorArray

__all__ = ["TensorArray"]
