"""The table of rules, and what a row is: a page, a pure function, traces that prove it, a fix."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from evenkeel.doctor.finding import Finding, Repair
from evenkeel.doctor.trace import Trace
from evenkeel.tables import Table

RULES = Table["Rule"]("rule")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. Its ``page`` is its module's docstring: the first line is the title.

    ``check`` sees a trace and gives findings, all of ``code``. ``fires_on`` and ``silent_on`` are
    traces on which it must and must not; ``repair`` is the fix, where a program can do it.
    """

    code: str
    name: str
    page: str
    check: Callable[[Trace], Iterator[Finding]]
    fires_on: tuple[Trace, ...]
    silent_on: tuple[Trace, ...]
    repair: Repair | None = None

    @property
    def title(self) -> str:
        """The page's first line."""
        return self.page.strip().splitlines()[0].rstrip(".")

    def findings(self, trace: Trace) -> list[Finding]:
        """What the rule finds, each with the rule's fix."""
        return [replace(found, repair=self.repair) for found in self.check(trace)]


def add(rule: Rule) -> Rule:
    """Put a rule into the table under its code."""
    return RULES.add(rule.code)(rule)
