"""What the doctor hands over: findings, and the ways to show them."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from textwrap import wrap
from typing import Any

from evenkeel.doctor.finding import Finding, Severity, counted
from evenkeel.doctor.rules import RULES
from evenkeel.doctor.sarif import sarif
from evenkeel.doctor.trace import Trace, strict
from evenkeel.errors import UnknownName

EXIT = {0: 0, Severity.NOTE: 0, Severity.WARNING: 1, Severity.ERROR: 3}
_WIDTH = 120
_TOGETHER = 3  # findings of one rule that are shown line by line


@dataclass(frozen=True, slots=True)
class Report:
    """Findings of one diagnosis, worst first, and the trace that they are of."""

    trace: Trace
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Severity | None:
        """The worst severity; None without a finding."""
        return max((found.severity for found in self.findings), default=None)

    @property
    def exit_code(self) -> int:
        """0 (at most notes), 1 (warnings), 3 (errors)."""
        return EXIT[self.worst or 0]

    @property
    def verdict(self) -> str:
        """The counts in one line.

        >>> Report(Trace(subject="Net"), ()).verdict
        'Net: nothing to judge: no batch normalization was seen'
        """
        places, noun = _places(self.trace)
        if not self.findings and not places:
            return f"{self.trace.subject}: nothing to judge: no batch normalization was seen"
        counts = {s: sum(f.severity is s for f in self.findings) for s in reversed(Severity)}
        words = ", ".join(counted(n, s.label) for s, n in counts.items())
        state = "healthy: " if self.exit_code == 0 else ""
        return f"{self.trace.subject}: {state}{words} in {counted(places, noun)}"

    def text(self, *, width: int | None = None, every: bool = False) -> str:
        """The table for a terminal, worst first; ``every`` writes a line for each place.

        A line each where all fit into ``width``; otherwise three, so that paths and code stay whole.
        """
        shown = [(_row(found, more), found.do) for found, more in self.together(every)]
        sides = [max(map(len, column)) for column in zip(*(row for row, _ in shown), strict=True)]
        lines = [
            "  ".join(cell.ljust(side) for cell, side in zip(row, sides, strict=True)) + f"  {do}"
            for row, do in shown
        ]
        room = width or _WIDTH
        if any(len(line) > room for line in lines):
            lines = list(_stacked(shown, room))
        return "\n".join(map(_printable, [*lines, self.verdict])) + "\n"

    def together(self, every: bool = False) -> Iterator[tuple[Finding, int]]:
        """Findings to show, with how many more of the same kind each stands for."""
        groups: dict[tuple[Severity, str], list[Finding]] = {}
        for found in self.findings:
            groups.setdefault((found.severity, found.code), []).append(found)
        for group in groups.values():
            if every or len(group) <= _TOGETHER:
                yield from ((found, 0) for found in group)
            else:
                yield max(group, key=lambda found: abs(found.number)), len(group) - 1

    def json(self) -> str:
        """Findings and trace as JSON; the trace as ``Trace.to_json`` writes it."""
        plain: dict[str, Any] = {
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "findings": [found.plain() for found in self.findings],
            "trace": json.loads(self.trace.to_json()),
        }
        return json.dumps(strict(plain), indent=1)

    def sarif(self) -> str:
        """Findings in SARIF 2.1.0, for editors and code hosts."""
        return sarif(self.findings)

    def html(self) -> str:
        """A page with plots for each layer, whole in itself.

        Raises:  ModuleNotFoundError without matplotlib and jinja2, the extra ``train``
        """
        from evenkeel.doctor.page import page

        return page(self)

    def _repr_html_(self) -> str:
        return f"<pre>{self.text().replace('&', '&amp;').replace('<', '&lt;')}</pre>"


def _row(found: Finding, more: int) -> tuple[str, ...]:
    place = found.place or "the model"
    also = f" and {more} more" if more else ""
    return f"{found.severity.label:7}", found.code, place + also, found.says


def _printable(line: str) -> str:
    """A file's names may hold what a terminal would take for commands."""
    return "".join(c if c.isprintable() else "?" for c in line)


def _stacked(shown: list[tuple[tuple[str, ...], str]], room: int) -> Iterator[str]:
    """What was measured and what to do below the place; the same advice once, after the last."""
    for index, ((*head, says), do) in enumerate(shown):
        yield from _wrapped("  ".join(head), "", room)
        yield from _wrapped(says, "  ", room)
        after = shown[index + 1] if index + 1 < len(shown) else None
        if after is None or (after[0][1], after[1]) != (head[1], do):
            yield from _wrapped(do, "  do:  ", room)


def _wrapped(text: str, first: str, room: int) -> list[str]:
    later = " " * (len(first) or 4)
    return wrap(text, room, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)


def judge(trace: Trace, select: Iterable[str] = (), ignore: Iterable[str] = ()) -> Report:
    """Every rule on a trace.

    ``select`` and ``ignore`` take codes or their beginnings ("EK1", "EK301"), ``ignore`` also
    "EK301:stem.*" for some layers.

    Raises:  UnknownName for a code that no rule begins with
    """
    chosen, left = words(select), words(ignore)
    for word in (*chosen, *left):
        _check(word.partition(":")[0])
    found = [
        finding
        for rule in RULES.values()
        if not chosen or any(rule.code.startswith(word) for word in chosen)
        for finding in rule.findings(trace)
        if not any(_covers(word, finding) for word in left) and not _ignored(trace, finding)
    ]
    order = {id(f): i for i, f in enumerate(found)}
    return Report(trace, tuple(sorted(found, key=lambda f: (-f.severity, f.code, order[id(f)]))))


def words(given: Iterable[str]) -> tuple[str, ...]:
    """Codes, of which a single one may be given as it is, and several with commas.

    >>> words("EK301"), words(["EK1,EK2", "EK3"])
    (('EK301',), ('EK1', 'EK2', 'EK3'))
    """
    several = (given,) if isinstance(given, str) else given
    return tuple(word.strip() for words in several for word in words.split(","))


def _check(word: str) -> None:
    if not word or not any(code.startswith(word) for code in RULES):
        raise UnknownName(
            "no rule's code begins so", got=repr(word), do=f"codes: {', '.join(sorted(RULES))}"
        )


def _covers(word: str, found: Finding) -> bool:
    code, colon, place = word.partition(":")
    return found.code.startswith(code) and (not colon or fnmatchcase(found.place, place))


def _ignored(trace: Trace, found: Finding) -> bool:
    """Whether a comment beside the layer's construction, or on the program's line, says so."""
    codes = [code for x in trace.layers if x.path == found.place for code in x.ignored]
    if trace.program is not None:
        codes += trace.program.ignored.get(found.place, ())
    return any(found.code.startswith(code) for code in codes)


def _places(trace: Trace) -> tuple[int, str]:
    """How many of what were looked at."""
    if trace.program is not None:
        return len(trace.program.norms), "normalization"
    return len(trace.layers), "layer"
