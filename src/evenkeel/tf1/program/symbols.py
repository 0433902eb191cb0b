"""Which names of TensorFlow a program's text uses, without running it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from evenkeel.tf1.program.finder import ROOTS

# Somebody who catches these has thought of the name being absent.
_CAUGHT = {"AttributeError", "ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


@dataclass(frozen=True, slots=True)
class Use:
    """A dotted name of TensorFlow, and where it stands."""

    line: int
    name: str
    imported: bool = False


@dataclass
class Names:
    """What a program's own names stand for, and what else they are bound to."""

    tensorflow: dict[str, str] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)

    def path(self, node: ast.AST) -> str:
        """``tf.nn.relu`` -> ``tensorflow.nn.relu``; empty for what is not TensorFlow's."""
        if isinstance(node, ast.Name):
            return "" if node.id in self.others else self.tensorflow.get(node.id, "")
        if isinstance(node, ast.Attribute):
            base = self.path(node.value)
            return f"{base}.{node.attr}" if base else ""
        return ""


def uses(tree: ast.Module) -> list[Use]:
    """Every name of TensorFlow in a program, once a line, in order.

    >>> program = ["import tensorflow as tf", "slim = tf.contrib.slim", "slim.conv2d(tf.zeros([1]))"]
    >>> [use.name for use in uses(ast.parse(chr(10).join(program)))][1:]
    ['tensorflow.contrib.slim', 'tensorflow.contrib.slim.conv2d', 'tensorflow.zeros']
    """
    names, found = _names(tree), []
    for node in _unguarded(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += [Use(node.lineno, name, imported=True) for name in _imported(node)]
        elif isinstance(node, ast.Attribute) and (path := names.path(node)):
            found.append(Use(node.lineno, path))
    longest = [u for u in found if u.imported or not _leads_on(u, found)]
    return sorted(dict.fromkeys(longest), key=lambda use: (use.line, use.name))


def local_imports(tree: ast.Module) -> Iterator[str]:
    """The modules that a program imports, other than TensorFlow's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _leads_on(use: Use, found: list[Use]) -> bool:
    """Whether the name is a longer one's beginning on the same line."""
    return any(o.line == use.line and o.name.startswith(f"{use.name}.") for o in found)


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [a.name for a in node.names if _ours(a.name)]
    if node.level or not _ours(node.module or ""):
        return []
    return [node.module or "" if a.name == "*" else f"{node.module}.{a.name}" for a in node.names]


def _ours(module: str) -> bool:
    return module.partition(".")[0] in ROOTS


def _names(tree: ast.Module) -> Names:
    names = Names()
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            _bind_import(node, names)
        names.others |= _bound(node)
    while sum(_bind_alias(node, names) for node in assigned):
        pass  # an alias of an alias may stand before it in the walk
    for node in assigned:
        if not names.path(node.value):
            names.others |= {name for target in node.targets for name in _stored(target)}
    return names


def _bind_alias(node: ast.Assign, names: Names) -> bool:
    """Whether ``slim = tf.contrib.slim`` gave a new name."""
    path, target = names.path(node.value), node.targets[0]
    if not path or len(node.targets) > 1 or not isinstance(target, ast.Name):
        return False
    new = target.id not in names.tensorflow
    names.tensorflow.setdefault(target.id, path)
    return new


def _stored(node: ast.AST) -> set[str]:
    """The names that are bound, not those that are indexed or have an attribute set."""
    found = (n for n in ast.walk(node) if isinstance(n, ast.Name))
    return {name.id for name in found if isinstance(name.ctx, ast.Store)}


def _bind_import(node: ast.Import | ast.ImportFrom, names: Names) -> None:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            bound, path = alias.asname or alias.name, f"{node.module}.{alias.name}"
        elif alias.asname:
            bound, path = alias.asname, alias.name
        else:
            bound = path = alias.name.partition(".")[0]
        if _ours(path) and not getattr(node, "level", 0):
            names.tensorflow.setdefault(bound, path)
        else:
            names.others.add(bound)


def _bound(node: ast.AST) -> set[str]:
    """Names that a statement other than an assignment or an import binds."""
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(
        node, ast.For | ast.comprehension | ast.AugAssign | ast.AnnAssign | ast.NamedExpr
    ):
        return _stored(node.target)
    if isinstance(node, ast.withitem) and node.optional_vars:
        return _stored(node.optional_vars)
    return set()


def _unguarded(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those of a ``try`` whose handlers expect a name to be absent."""
    yield node
    skipped = node.body if isinstance(node, ast.Try) and _expects(node) else []
    for child in ast.iter_child_nodes(node):
        if child not in skipped:
            yield from _unguarded(child)


def _expects(node: ast.Try) -> bool:
    kinds = [handler.type for handler in node.handlers]
    caught = {n.id for kind in kinds if kind for n in ast.walk(kind) if isinstance(n, ast.Name)}
    return None in kinds or bool(caught & _CAUGHT)
