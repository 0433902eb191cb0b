"""Moving averages as ``moving_averages.assign_moving_average`` assigns them."""

from typing import Any

from evenkeel.tf1.layers.moving import average


def assign_moving_average(variable: Any, value: Any, decay: Any, zero_debias: bool) -> Any:
    """``variable −= (variable − value) · (1 − decay)``; ``zero_debias`` forgets the start at zero."""
    if zero_debias:
        from evenkeel.tf1.train.moving_averages import assign_moving_average as debiased

        return debiased(variable, value, decay, zero_debias=True)
    return average(variable, value, decay)
