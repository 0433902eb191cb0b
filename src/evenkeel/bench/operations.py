"""The operations that are measured, and the traffic that none of them can do without."""

from dataclasses import dataclass

from evenkeel.tables import Table


@dataclass(frozen=True, slots=True)
class Operation:
    """What is computed, and how many tensors of x's size it has to move at the least.

    ``forward_passes`` and ``backward_passes`` count reads and writes of main memory for a tensor
    that is larger than every cache: a plain copy moves 2. ``in_place``: y is written into x.
    """

    name: str
    about: str
    training: bool
    activation: str | None
    residual: bool
    forward_passes: int
    backward_passes: int
    in_place: bool = False


OPERATIONS: Table[Operation] = Table("operation")

# Training forward reads x for the statistics, then reads x and writes y. Backward reads x and dy for
# the two sums, then reads both again and writes dx.
OPERATIONS.add("bn")(Operation("bn", "BN, training", True, None, False, 3, 5))
OPERATIONS.add("bn_relu")(Operation("bn_relu", "BN + ReLU, training", True, "relu", False, 3, 5))
# The residual is one more read. Backward reads x, dy and y (whose sign is the mask) and writes the
# residual's gradient, which the second pass reads in place of dy and y.
OPERATIONS.add("bn_add_relu")(
    Operation("bn_add_relu", "BN + add + ReLU, training", True, "relu", True, 4, 7)
)
OPERATIONS.add("inference")(
    Operation("inference", "BN + ReLU, inference", False, "relu", False, 2, 0)
)
OPERATIONS.add("inference_in_place")(
    Operation(
        "inference_in_place", "BN + ReLU, inference in place", False, "relu", False, 2, 0, True
    )
)

# What torch can do as well.
SEPARATE = [name for name, operation in OPERATIONS.items() if not operation.in_place]
