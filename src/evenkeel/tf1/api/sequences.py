"""Sequences of different lengths in one tensor."""

from typing import Any

from evenkeel.tf1.api.arrays import expand_dims
from evenkeel.tf1.api.math import cast
from evenkeel.tf1.api.reductions import reduce_max
from evenkeel.tf1.build import apply, constant, convert, name_scope
from evenkeel.tf1.dtypes import as_dtype

__all__ = ["reverse_sequence", "sequence_mask"]


def reverse_sequence(
    input: Any, seq_lengths: Any, seq_axis: Any = None, batch_axis: Any = None, name: Any = None,
    seq_dim: Any = None, batch_dim: Any = None,
) -> Any:  # fmt: skip
    """The first ``seq_lengths`` places of each member of the batch in reverse order."""
    along = seq_dim if seq_axis is None else seq_axis
    batch = (batch_dim or 0) if batch_axis is None else batch_axis
    return apply("ReverseSequence", input, seq_lengths, seq_dim=along, batch_dim=batch, name=name)


def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = "bool", name: Any = None) -> Any:
    """True for the places within each length.

    Shapes:  lengths [*] -> [*, maxlen]; the greatest length where no maxlen is given
    """
    with name_scope(name, "SequenceMask", [lengths, maxlen]):
        each = convert(lengths)
        if maxlen is None:
            longest = reduce_max(each)
            most = apply("Maximum", constant(0, longest.dtype), longest)
        else:
            most = convert(maxlen)
        row = apply("Range", constant(0, most.dtype), most, constant(1, most.dtype), name="Range")
        column = apply("Cast", expand_dims(each, -1), DstT=most.dtype)
        found = apply("Less", row, column)
        return found if as_dtype(dtype) == as_dtype("bool") else cast(found, dtype)
