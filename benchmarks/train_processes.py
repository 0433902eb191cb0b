"""conv20 in one, two and four processes with the same seed and global batch: how far apart.

In float64 whole runs are compared, loss by loss. In float32 Adam on conv20 is chaotic, so each step
starts from the weights and moments that one process had there, and both are held against the same
step in float64: how far float32 itself is from it. Prints a line a number of processes::

    python benchmarks/train_processes.py float64 100
    python benchmarks/train_processes.py float32 100
"""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, multiprocessing

from evenkeel.data import Batches, load
from evenkeel.recipes import RECIPES
from evenkeel.train import keeper
from evenkeel.train.arm import run_arm
from evenkeel.train.config import RunConfig
from evenkeel.train.folder import open_folder
from evenkeel.train.interrupt import Interrupted, StopWish
from evenkeel.train.launch import environment
from evenkeel.train.ranks import joined, started_with
from evenkeel.train.run import train

COUNTS = tuple(map(int, os.environ.get("COUNTS", "2 4").split()))
OPTIONS = {"recipe": "conv20", "threads": 1, "progress": False}


class OneStep(StopWish):
    """A wish to stop that comes with the first step."""

    def claim(self) -> None:
        """What the loop calls when it begins."""
        self.number = signal.SIGTERM


def whole_runs(folder: Path, steps: int) -> None:
    """float64: the largest difference of any step's loss, and of any weight at the end."""
    runs = {
        nproc: train(**OPTIONS, steps=steps, dtype="float64", nproc=nproc, out=folder / f"{nproc}")
        for nproc in (1, *COUNTS)
    }
    one = runs[1].results[0]
    for nproc in COUNTS:
        [many] = runs[nproc].results
        pairs = zip(one.train, many.train, strict=True)
        loss = max(abs(a.loss - b.loss) for a, b in pairs)
        ours, theirs = (torch.load(runs[n].folder / "last.ckpt") for n in (1, nproc))
        say(
            f"float64, {nproc} processes, {len(one.train)} steps: loss within {loss:.1e}, "
            f"weights within {apart(ours['network'], theirs['network']):.1e}; "
            f"accuracies equal: {one.test_accuracy == many.test_accuracy}"
        )


def single_steps(folder: Path, steps: int) -> None:
    """float32: each step from the weights and moments that one process had before it."""
    with every_step_kept(folder / "kept"):
        train(**OPTIONS, steps=steps, out=folder / "one")
    _, config = open_folder(folder / "one")
    for nproc in COUNTS:
        store = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        multiprocessing.spawn(steps_of_rank, (nproc, store.port, str(folder), config), nproc)
        found = [compared(folder, nproc, step, config) for step in range(1, steps)]
        loss, weight, apart_by, from_exact, one_from_exact = map(max, zip(*found, strict=True))
        say(
            f"float32, {nproc} processes, {len(found)} single steps: loss within {loss:.1e}, weights "
            f"within {weight:.1e}; first moments within {apart_by:.1e} of their norm, and "
            f"{from_exact:.1e} from float64 (one process: {one_from_exact:.1e})"
        )


def steps_of_rank(rank: int, nproc: int, port: int, folder: str, config: RunConfig) -> None:
    """From every kept checkpoint one step, in this process and its peers."""
    os.environ.update(environment(rank, nproc, port))
    dataset = load(config.data)
    with joined(started_with()) as ranks:
        for step in range(1, config.steps):
            place = Path(folder) / f"{nproc} from {step}"
            if ranks.first:
                place.mkdir()
                (place / "last.ckpt").write_bytes((Path(folder) / "kept" / f"{step}").read_bytes())
            ranks.wait()
            try:
                run_arm(place, config, dataset, OneStep(), progress=False, ranks=ranks)
            except Interrupted:
                continue


def compared(folder: Path, nproc: int, step: int, config: RunConfig) -> tuple[float, ...]:
    """Loss, weights and first moments after one step from ``step``: the largest differences."""
    before, one = (torch.load(folder / "kept" / f"{n}") for n in (step, step + 1))
    many = torch.load(folder / f"{nproc} from {step}" / "last.ckpt")
    loss = (one["history"]["train"][-1, 1] - many["history"]["train"][-1, 1]).abs()
    ours, theirs, truth = moments(one), moments(many), exact_moments(before, step, config)
    return (
        float(loss),
        apart(one["network"], many["network"]),
        distance(theirs, ours),
        distance(theirs, truth),
        distance(ours, truth),
    )


def moments(checkpoint: dict[str, Any]) -> Tensor:
    """Adam's first moments of all parameters, [N], in float64."""
    states = checkpoint["optimizer"]["state"]
    return torch.cat([states[n]["exp_avg"].double().flatten() for n in sorted(states)])


def exact_moments(before: dict[str, Any], step: int, config: RunConfig) -> Tensor:
    """What the step makes of them, computed in float64 from the same weights."""
    recipe, train_split = RECIPES[config.recipe], load(config.data).train
    network = recipe.build(config.variant()).double()
    network.load_state_dict(before["network"])
    chosen = Batches(train_split, config.batch_size, seed=config.seed, stop=step + 1).indices(step)
    images, labels = train_split.images[chosen].double(), train_split.labels[chosen]
    recipe.loss(network(images), labels).backward()
    gradients = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
    return 0.9 * moments(before) + 0.1 * gradients


def distance(a: Tensor, b: Tensor) -> float:
    """How far a is from b, as a share of b's norm."""
    return float((a - b).norm() / b.norm())


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def apart(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The largest difference of any value."""
    return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)


@contextmanager
def every_step_kept(folder: Path) -> Iterator[None]:
    """Keep the checkpoint of every step, by its number."""
    folder.mkdir()
    usual, save = keeper.SAVE_STEPS, keeper.Keeper.save

    def kept(self: keeper.Keeper) -> None:
        save(self)
        step = self._learner.step
        (folder / f"{step}").write_bytes((self._folder / "last.ckpt").read_bytes())

    keeper.SAVE_STEPS, keeper.Keeper.save = 1, kept
    try:
        yield
    finally:
        keeper.SAVE_STEPS, keeper.Keeper.save = usual, save


if __name__ == "__main__":
    part = {"float64": whole_runs, "float32": single_steps}[sys.argv[1]]
    with tempfile.TemporaryDirectory() as made:
        part(Path(made), int(sys.argv[2]))
