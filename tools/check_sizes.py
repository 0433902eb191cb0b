"""Fail when a module or a function outgrows its budget.

A module stops at 400 lines, a function at 40. An exception is a line in ALLOWED, with its reason.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "evenkeel"
MODULE_LINES, FUNCTION_LINES = 400, 40
ALLOWED: dict[str, str] = {}


def too_long(path: Path) -> Iterator[str]:
    """The breaches of one module, each as a line of text."""
    text = path.read_text()
    name = path.relative_to(ROOT).as_posix()
    if len(text.splitlines()) > MODULE_LINES:
        yield f"{name}: {len(text.splitlines())} lines, at most {MODULE_LINES}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            lines = body_lines(node)
            if lines > FUNCTION_LINES:
                yield f"{name}:{node.lineno} {node.name}: {lines} lines, at most {FUNCTION_LINES}"


def body_lines(node: ast.FunctionDef) -> int:
    """Lines of a function's code: its docstring and signature are not counted."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def main() -> int:
    """Print every breach; 1 when there is one."""
    paths = sorted(SOURCE.rglob("*.py"))
    breaches = [breach for path in paths for breach in too_long(path)]
    breaches = [b for b in breaches if b.split(":")[0] not in ALLOWED]
    print("\n".join(breaches) or f"{len(paths)} modules within their budgets")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
