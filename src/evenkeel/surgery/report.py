"""What was done at every batch-norm layer, and why: a frozen value on the model."""

from dataclasses import dataclass

from torch import nn

from evenkeel.errors import BadOption

REPLACED, FUSED, KEPT = "replaced", "fused", "kept"
FOLDED, FROZEN = "folded", "frozen"
_ATTRIBUTE = "_evenkeel_conversion"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One batch-norm layer: where it stands, what became of it, into what, and the reason.

    ``kind`` is "fused" (with what follows it), "replaced" (alone) or "kept" (as it was); of ``fold``
    "folded" (into a linear operation), "frozen" (one multiply-add of its own) or "kept".
    ``error``: what a fold changed on the probe at this place alone, relative to the largest value.
    ``before``, ``after``: the largest |weight| of each output channel of the linear operation, which
    a later quantization will see.
    """

    path: str
    kind: str
    into: str
    reason: str
    error: float | None = None
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()

    @property
    def remark(self) -> str:
        """The reason, the ranges and the error, in words."""
        words = [self.reason]
        if self.before:
            words.append(
                f"largest weights of a channel {_span(self.before)} -> {_span(self.after)}"
            )
        if self.error is not None:
            words.append(f"error {self.error:.1e}")
        return "; ".join(words)


@dataclass(frozen=True, slots=True)
class Conversion:
    """The outcomes of a conversion, one for each batch-norm layer, in the model's order.

    >>> print(Conversion((Outcome("bn", "replaced", "BatchNorm2d", "nothing follows it"),)))
    1 batch-norm layer: 0 fused, 1 replaced, 0 kept
      bn  replaced  BatchNorm2d  nothing follows it
    """

    sites: tuple[Outcome, ...]
    kinds: tuple[str, ...] = (FUSED, REPLACED, KEPT)

    def of(self, kind: str) -> tuple[Outcome, ...]:
        """The outcomes of one kind."""
        return tuple(site for site in self.sites if site.kind == kind)

    def __str__(self) -> str:
        if not self.sites:
            return "the model has no batch-norm layer; nothing was changed"
        total = len(self.sites)
        counts = ", ".join(f"{len(self.of(kind))} {kind}" for kind in self.kinds)
        rows = [(s.path or "(the model)", s.kind, s.into, s.remark) for s in self.sites]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [
            "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]])
            for row in rows
        ]
        head = f"{total} batch-norm layer{'s' * (total != 1)}: {counts}"
        return "\n".join([head, *(f"  {line}" for line in lines)])


def _span(values: tuple[float, ...]) -> str:
    return f"{min(values):.2g} to {max(values):.2g}"


def attach(model: nn.Module, report: Conversion) -> None:
    """Keep ``report`` on ``model``, where deepcopy and pickle take it along."""
    vars(model)[_ATTRIBUTE] = report


def has_report(model: nn.Module) -> bool:
    """Whether ``model`` came out of a conversion."""
    return _ATTRIBUTE in vars(model)


def report_of(model: nn.Module) -> Conversion:
    """What the conversion, or the folding, that made ``model`` did, layer by layer.

    Raises:  BadOption for a model that came out of neither

    >>> from evenkeel.surgery import convert
    >>> print(report_of(convert(torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.ReLU()))))
    1 batch-norm layer: 1 fused, 0 replaced, 0 kept
      0  fused  BatchNorm1d(activation='relu')  1 became Identity
    """
    if not has_report(model):
        raise BadOption(
            "this model keeps no report of a conversion",
            got=f"a {type(model).__name__}",
            do="give the very module that convert or fold returned, no part of it, no wrapper",
        )
    report: Conversion = vars(model)[_ATTRIBUTE]
    return report
