"""What follows a batch-norm layer in a graph: an activation, a sum and an activation, or neither."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.fx import Node

from evenkeel.surgery.activations import ADDS, ADDS_IN_PLACE, activation_of, is_in_place, named
from evenkeel.surgery.reading import Reading
from evenkeel.surgery.sites import is_bound


@dataclass(frozen=True, slots=True)
class Found:
    """An activation after a layer: the nodes from the one to the other, and the other summand.

    ``by``: the module that is the activation; None for a function. ``alone``: that module does
    nothing else anywhere, so that it can give its work away.
    """

    chain: tuple[Node, ...]
    residual: Node | None
    activation: str
    by: nn.Module | None
    alone: bool

    @property
    def moves(self) -> bool:
        """Whether no forward has to be rewritten: the layer takes the activation module's work."""
        return self.residual is None and self.alone

    def meaning(self) -> tuple[object, ...]:
        """What two readings of one place agree on when they tell the same."""
        return self.activation, self.residual is not None, self.by and id(self.by), self.alone


@dataclass(frozen=True, slots=True)
class Leaves:
    """The layer's output is the forward's: what follows stands further out."""

    def meaning(self) -> tuple[object, ...]:
        """As of ``Found``."""
        return ("leaves",)


@dataclass(frozen=True, slots=True)
class Other:
    """Something follows that is not to be fused, for a reason."""

    reason: str

    def meaning(self) -> tuple[object, ...]:
        """As of ``Found``."""
        return (self.reason,)


Verdict = Found | Leaves | Other


def follow(reading: Reading, norm: Node, is_lone: Callable[[nn.Module], bool]) -> Verdict:
    """What follows the layer that ``norm`` calls; ``is_lone`` knows which modules are not shared."""
    if len(norm.args) != 1 or norm.kwargs or not isinstance(norm.args[0], Node):
        return Other("it is called with more than its input")
    chain = [norm]
    user = _only_user(reading, chain)
    if not isinstance(user, Node):
        return user
    residual = None
    if user.target in ADDS and user.op in ("call_function", "call_method"):
        summand = _residual(reading, chain, user)
        if isinstance(summand, Other):
            return summand
        residual = summand
        chain.append(user)
        user = _only_user(reading, chain)
        if isinstance(user, Other):
            return Other(f"the sum after it: {user.reason}")
        if isinstance(user, Leaves):
            return user
    return _activation(reading, [*chain, user], residual, is_lone)


def _only_user(reading: Reading, chain: list[Node]) -> "Node | Leaves | Other":
    """The one consumer of the last node, past modules that do nothing, which join the chain."""
    while True:
        users = list(chain[-1].users)
        if len(users) != 1:
            return Other(f"its output has {len(users)} consumers: {_names(reading, users)}")
        if users[0].op == "output":
            return Leaves()
        module = reading.module(users[0])
        if type(module) is not nn.Identity or is_bound(module):
            return users[0]
        chain.append(users[0])


def _names(reading: Reading, users: list[Node]) -> str:
    return ", ".join(named(user, reading.module(user)) for user in users) or "none"


def _residual(reading: Reading, chain: list[Node], add: Node) -> "Node | Other":
    """The other summand of ``add``, if a layer can add it in its place."""
    value = chain[-1]
    others = [a for a in add.args if a is not value]
    if len(add.args) != 2 or add.kwargs or len(others) != 1 or not isinstance(others[0], Node):
        return Other(f"{named(add, None)} of it is no plain sum of two different tensors")
    if add.target in ADDS_IN_PLACE and add.args[0] is not value:
        return Other("it is added in place into another tensor")
    x = chain[0].args[0]
    if isinstance(x, Node) and _written_between(reading, x, chain[0], add):
        return Other("its input may be written before the sum, where the fused layer would run")
    return others[0]


def _written_between(reading: Reading, x: Node, norm: Node, add: Node) -> bool:
    """Whether anything between the two nodes gets ``x`` and might write into it.

    Somebody's module might; torch's, ours and functions do as they say.
    """
    users = [user for user in x.users if norm < user < add]
    return any(is_in_place(u, None) or _may_write(reading.module(u)) for u in users)


def _may_write(module: nn.Module | None) -> bool:
    if module is None:
        return False
    known = all(
        type(part).__module__.startswith(("torch.nn.", "evenkeel.nn.")) for part in module.modules()
    )
    return not known or any(getattr(part, "inplace", False) for part in module.modules())


def _activation(
    reading: Reading,
    chain: list[Node],
    residual: Node | None,
    is_lone: Callable[[nn.Module], bool],
) -> "Found | Other":
    node, module = chain[-1], reading.module(chain[-1])
    row = activation_of(node, module)
    if isinstance(row, str):
        return Other(f"followed by {row}")
    if module is not None and is_bound(module):
        return Other(f"its activation {node.target} carries hooks")
    written = [u for u in node.users if u.args[:1] == (node,) and is_in_place(u, reading.module(u))]
    if written:
        return Other(f"{_names(reading, written)} writes into the activation's output")
    calls = [n for n in reading.graph.nodes if reading.module(n) is module]
    alone = module is not None and len(calls) == 1 and is_lone(module)
    return Found(tuple(chain), residual, row.name, module, alone)
