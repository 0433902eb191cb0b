"""Runs: settle the configuration, train one network or two, write the report; or go on with it."""

from dataclasses import dataclass
from pathlib import Path

import torch

from evenkeel.data import SOURCES, Batches, Dataset, load
from evenkeel.errors import BadOption
from evenkeel.recipes import RECIPES, Variant
from evenkeel.train import folder as files
from evenkeel.train.arm import run_arm
from evenkeel.train.config import DEVICES, RunConfig, check_ranges, steps_of
from evenkeel.train.interrupt import Interrupted, StopWish
from evenkeel.train.listeners import check_tensorboard
from evenkeel.train.records import RunResult
from evenkeel.train.report import write_report


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: its folder, its results (two for a comparison), its report."""

    folder: Path
    results: tuple[RunResult, ...]
    report: Path


def train(
    recipe: str = "conv20",
    *,
    data: str | Path | None = None,
    batch_norm: bool | None = None,
    placement: str | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    seed: int = 0,
    threads: int | None = None,
    device: str = "cpu",
    out: str | Path | None = None,
    compare: bool = False,
    tensorboard: bool = False,
    offline: bool = False,
    progress: bool = True,
) -> Run:
    """Train a recipe's network and leave weights, checkpoint, metrics and report in a folder.

    ``data`` is what ``evenkeel.data.load`` takes. None stands for the recipe's own value, for
    ``threads`` torch's; ``out`` defaults to ``runs/<recipe>-<number>``. ``device`` is "cpu", "cuda" or
    "auto". ``compare`` trains with and without batch normalization from the same seed. Random
    generators and thread count of the process are put back at the end.

    Raises:  BadOption, UnknownName, BadData, DownloadFailed before anything is written; BadRun for
             a folder that cannot be used; Diverged; MissingExtra; Interrupted on Ctrl-C or SIGTERM

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train("dnn-elu", steps=50, out=folder, progress=False)
    >>> run.results[0].test_accuracy > 0.8
    True
    """
    check_ranges(steps=steps, batch_size=batch_size, lr=lr, seed=seed, threads=threads)
    known = RECIPES[recipe]
    variant = Variant(
        known.default.batch_norm if batch_norm is None else batch_norm,
        known.default.placement if placement is None else placement,
    )
    chosen_device = _device(device)
    if compare and batch_norm is not None:
        raise BadOption(
            "a comparison trains with and without batch normalization",
            got=f"compare and batch_norm={batch_norm}",
            do="give one of them",
        )
    if tensorboard:
        check_tensorboard()
    with files.new_folder(out, recipe) as folder:
        dataset = load(data, offline=offline)
        size = batch_size or known.batch_size
        config = RunConfig(
            recipe=recipe,
            batch_norm=variant.batch_norm,
            placement=variant.placement,
            data=_settled_source(data),
            steps=steps or steps_of(known, len(dataset.train), size),
            batch_size=size,
            lr=lr or known.lr,
            seed=seed,
            threads=threads or torch.get_num_threads(),
            device=chosen_device,
            compare=compare,
            tensorboard=tensorboard,
        )
        Batches(dataset.train, size, seed=seed, stop=config.steps)  # refuses a batch too large
        files.write_config(folder, config)
    return _run(folder, config, dataset, progress)


def resume(folder: str | Path, *, offline: bool = False, progress: bool = True) -> Run:
    """Go on with a run where its last checkpoint is, with the configuration it was started with.

    The result equals that of a run that never stopped, bit for bit, on the same machine. A run that
    had finished training is scored and reported again.

    Raises:  BadRun for a folder or checkpoint that is missing, damaged, foreign or in use; else as
             ``train``
    """
    path, config = files.open_folder(folder)
    if config.tensorboard:
        check_tensorboard()
    _device(config.device)
    dataset = load(config.data, offline=offline)
    return _run(path, config, dataset, progress)


def _run(folder: Path, config: RunConfig, dataset: Dataset, progress: bool) -> Run:
    with files.claimed(folder), StopWish() as wish:
        try:
            results = tuple(
                run_arm(_arm_folder(folder, name, arm), arm, dataset, wish, progress=progress)
                for name, arm in config.arms().items()
            )
        except Interrupted as stop:
            raise Interrupted(folder, stop.step, stop.steps, stop.number) from stop
        report, _ = write_report(results, folder)
    return Run(folder, results, report)


def _arm_folder(folder: Path, name: str, arm: RunConfig) -> Path:
    """The folder of one side of a comparison, a run of its own; the run's folder for a single run."""
    path = folder / name
    if not (path / files.CONFIG).exists():
        path.mkdir(exist_ok=True)
        files.write_config(path, arm)
    return path


def _device(name: str) -> str:
    """A device that is there.

    Raises:  BadOption for one that is not
    """
    present = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if present else "cpu"
    if name not in DEVICES:
        raise BadOption(
            "there is no such device", got=repr(name), do=f"give {', '.join(DEVICES)} or auto"
        )
    if name == "cuda" and not present:
        raise BadOption(
            "torch sees no CUDA device here", got=repr(name), do="give cpu or auto as the device"
        )
    return name


def _settled_source(data: str | Path | None) -> str | None:
    """The source of the data as a run can use it again from any directory."""
    if data is None or data in SOURCES:
        return None if data is None else str(data)
    return str(Path(data).expanduser().resolve())
