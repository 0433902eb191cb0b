"""What a rule says: a code, how bad, where, the measured number, and what to do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from torch import nn

from evenkeel.errors import BadOption

Repair = Callable[[nn.Module, "Finding", Any], None]
"""Changes a model in place: the model, the finding, the batches."""


class Severity(IntEnum):
    """How bad a finding is.

    >>> Severity.WARNING.label
    'warning'
    """

    NOTE = 1
    WARNING = 2
    ERROR = 3

    @property
    def label(self) -> str:
        """The word for it."""
        return self.name.lower()


NOTE, WARNING, ERROR = Severity.NOTE, Severity.WARNING, Severity.ERROR


def counted(count: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(0, "layer"), counted(1, "layer"), counted(2, "layer")
    ('no layers', '1 layer', '2 layers')
    """
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault at one place.

    ``place`` is a layer's path, a variable's name, or "file:line" of a program; "" is the model
    itself. ``number`` is what was measured, ``says`` names it in words, ``do`` is the advice.
    ``detail`` is what a fix needs
    to know besides.

    >>> print(Finding("EK301", NOTE, "stem.bn", 64, "a bias of 64 values is lost", "bias=False"))
    EK301 note at stem.bn: a bias of 64 values is lost
    """

    code: str
    severity: Severity
    place: str
    number: float
    says: str
    do: str
    detail: str = ""
    repair: Repair | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.code} {self.severity.label} at {self.place or 'the model'}: {self.says}"

    @property
    def can_fix(self) -> bool:
        """Whether ``fix`` knows what to do."""
        return self.repair is not None

    def fix(self, model: nn.Module, batches: Any = None) -> nn.Module:
        """The model with this one fault repaired, in place.

        ``batches`` is what the fixes that take statistics anew take them from.

        Raises:  BadOption for a finding without a fix, or one that needs batches and got none
        """
        if self.repair is None:
            raise BadOption(
                f"{self.code} has no fix that a program could do", got=str(self), do=self.do
            )
        self.repair(model, self, batches)
        return model

    def told(self) -> str:
        """The finding as errors are told: what, where, what to do."""
        where = self.place or "the model"
        return (
            f"{self.severity.label}: {self.says} ({self.code})\n  at:  {where}\n  do:  {self.do}\n"
        )

    def plain(self) -> dict[str, Any]:
        """The finding as plain values for JSON."""
        return {
            "code": self.code,
            "severity": self.severity.label,
            "place": self.place,
            "number": self.number,
            "says": self.says,
            "do": self.do,
            "fix": self.can_fix,
        }
