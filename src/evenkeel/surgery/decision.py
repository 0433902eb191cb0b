"""What becomes of each layer: all forwards that reach it are read, and must tell the same."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from torch import nn

from evenkeel.surgery.matching import Found, Leaves, Other, Verdict, follow
from evenkeel.surgery.reading import Reading, flipped, read
from evenkeel.surgery.sites import NORMS, Site, holds_norm, is_bound, paths_of
from evenkeel.surgery.source import Hidden, takes_apart


@dataclass(frozen=True, slots=True)
class Use:
    """How the forward of the module at ``place`` uses a layer: how often, and what follows."""

    place: str
    root: nn.Module
    calls: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Plan:
    """A layer is to be fused with what ``found`` says, in the forward of ``root`` at ``place``."""

    place: str
    root: nn.Module
    found: Found


@dataclass(slots=True)
class Survey:
    """Every forward of a model that could be read, and the reason for each that could not."""

    places: dict[int, tuple[str, ...]]
    uses: dict[int, list[Use]] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    calling: dict[str, nn.Module] = field(default_factory=dict)

    def is_lone(self, module: nn.Module) -> bool:
        """Whether ``module`` stands at a single place, without hooks."""
        return len(self.places.get(id(module), ())) == 1 and not is_bound(module)


def survey(model: nn.Module) -> Survey:
    """Read the forwards of all modules of ``model`` that hold batch-norm layers, innermost first."""
    found = Survey(paths_of(model))
    opened: list[nn.Module] = []
    for place, root in reversed(list(model.named_modules())):
        if isinstance(root, NORMS) or not is_called(root) or not holds_norm(root):
            continue
        found.calling[place] = root
        try:
            for norm, use in _uses(place, root, opened, found.is_lone):
                found.uses.setdefault(id(norm), []).append(use)
        except Hidden as reason:
            found.closed[place] = str(reason)
            continue
        if not is_bound(root):
            opened.append(root)
    return found


def decide(site: Site, found: Survey) -> Plan | str:
    """The plan for one layer, or why it is not fused."""
    if len(site.paths) > 1:
        return f"not fused: it is shared, and stands at {' and '.join(site.paths)}"
    if is_bound(site.module):
        return "not fused: it carries hooks"
    uses = found.uses.get(id(site.module), [])
    for use in uses:
        if use.calls > 1:
            return f"not fused: {_name(use.place)} calls it {use.calls} times"
    outer = [use for use in uses if not isinstance(use.verdict, Leaves)]
    if not outer:
        return f"not fused: {_unseen(site, found)}"
    plan = _agreed(outer)
    if isinstance(plan, Plan):
        reason = taken_apart(plan.place, plan.root, found.calling, found.closed)
        return f"not fused: {reason}" if reason else plan
    return plan


def taken_apart(
    place: str, root: nn.Module, calling: dict[str, nn.Module], closed: dict[str, str]
) -> str:
    """That ``root`` is a Sequential whose parts its unread parent may call one by one; else ""."""
    outer = [above for above in outwards(place) if above in calling]
    if type(root).forward is not nn.Sequential.forward or not outer:
        return ""
    parent = outer[0]
    if parent in closed and takes_apart(calling[parent]):
        return f"{_name(parent)} may call its parts singly: {closed[parent]}"
    return ""


def _agreed(uses: list[Use]) -> Plan | str:
    """The plan of the innermost use, if those further out see the same."""
    first = uses[0]
    if isinstance(first.verdict, Other):
        return f"not fused: {first.verdict.reason}"
    for use in uses[1:]:
        if use.verdict.meaning() != first.verdict.meaning():
            return f"not fused: {_name(use.place)} uses it in another way than {_name(first.place)}"
    if not isinstance(first.verdict, Found):
        return "not fused: nothing that follows it was seen"
    return Plan(first.place, first.root, first.verdict)


def _unseen(site: Site, found: Survey) -> str:
    """Why no forward shows what follows: the innermost that could not be read says it."""
    for place in outwards(site.path):
        if place in found.closed:
            return f"what follows it was not seen: {_name(place)}: {found.closed[place]}"
    return "no activation follows it"


def outwards(path: str) -> Iterator[str]:
    """The places around ``path``, innermost first."""
    while path:
        path = path.rpartition(".")[0]
        yield path


def _uses(
    place: str, root: nn.Module, opened: list[nn.Module], is_lone: Callable[[nn.Module], bool]
) -> list[tuple[nn.Module, Use]]:
    """What the forward of ``root`` does with each layer that it reaches, in both modes."""
    if "forward" in vars(root):
        raise Hidden("its forward was replaced on this one object")
    inside = {id(part) for part in root.modules() if part is not root}
    into = [module for module in opened if id(module) in inside]
    first = read(root, into)
    uses = _uses_in(place, first, is_lone)
    if first.by_mode:
        with flipped(root):
            other = _uses_in(place, read(root, into), is_lone)
        uses = {key: _merged(uses.get(key), other.get(key)) for key in {**uses, **other}}
    modules = {id(part): part for part in root.modules()}
    return [(modules[key], use) for key, use in uses.items()]


def _uses_in(place: str, reading: Reading, is_lone: Callable[[nn.Module], bool]) -> dict[int, Use]:
    calls: dict[int, list[Verdict]] = {}
    for node in reading.graph.nodes:
        module = reading.root.get_submodule(node.target) if _names_module(reading, node) else None
        if isinstance(module, NORMS) and node.op == "call_module":
            calls.setdefault(id(module), []).append(follow(reading, node, is_lone))
        elif module is not None and node.op == "get_attr":
            for part in module.modules():
                if isinstance(part, NORMS):
                    verdict = Other(f"{node.target} is handed to a function, which may call it")
                    calls.setdefault(id(part), []).append(verdict)
    return {key: Use(place, reading.root, len(v), v[0]) for key, v in calls.items()}


def _names_module(reading: Reading, node: object) -> bool:
    op, target = getattr(node, "op", ""), getattr(node, "target", "")
    if op == "call_module":
        return True
    return op == "get_attr" and target in dict(reading.root.named_modules())


def _merged(one: Use | None, other: Use | None) -> Use:
    """One use out of those in the two modes; they must agree."""
    both = [use for use in (one, other) if use is not None]
    if len(both) == 2 and both[0].verdict.meaning() == both[1].verdict.meaning():
        return both[0]
    reason = Other("what follows it depends on the mode (self.training)")
    return Use(both[0].place, both[0].root, both[0].calls, reason)


def is_called(module: nn.Module) -> bool:
    """Whether the module has a forward at all; lists and dictionaries of modules have none."""
    return type(module).forward is not nn.Module.forward


def _name(place: str) -> str:
    return place or "the model"
