"""Activations that may write over their input: what a folded layer's linear operation gave."""

from torch import nn

from evenkeel.surgery.activations import runs_in_place
from evenkeel.surgery.change import Journal
from evenkeel.surgery.decision import taken_apart
from evenkeel.surgery.matching import Found, Leaves, follow
from evenkeel.surgery.neighbours import Readings, calls_of
from evenkeel.surgery.sites import is_bound


def activate_in_place(
    norm: nn.Module, found: Readings, places: dict[int, tuple[str, ...]], journal: Journal
) -> None:
    """Let the activation module after ``norm`` write in place, if all readings tell that it may.

    ``norm`` is folded into what stands before it, whose output nothing but ``norm`` reads. That
    saves a new tensor for each layer.
    """

    def is_lone(module: nn.Module) -> bool:
        return len(places.get(id(module), ())) == 1 and not is_bound(module)

    seen = [
        (place, reading, verdict)
        for place, reading in found.opened
        for call in calls_of(reading, norm)
        if not isinstance(verdict := follow(reading, call, is_lone), Leaves)
    ]
    if not seen or len({verdict.meaning() for _, _, verdict in seen}) > 1:
        return
    place, reading, first = seen[0]
    apart = taken_apart(place, reading.root, found.calling, found.closed)
    if isinstance(first, Found) and first.moves and runs_in_place(first.by) and not apart:
        journal.remember(first.by)
        vars(first.by)["inplace"] = True
