"""Runs: settle the configuration, train one network or two, write the report; or go on with it."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from evenkeel.data import SOURCES, Batches, Dataset, load
from evenkeel.errors import BadOption
from evenkeel.recipes import RECIPES, Variant
from evenkeel.recipes.recipe import Recipe
from evenkeel.train import folder as files
from evenkeel.train.config import DEVICES, RunConfig, check_ranges, steps_of
from evenkeel.train.interrupt import Interrupted, StopWish
from evenkeel.train.launch import launch
from evenkeel.train.listeners import check_tensorboard
from evenkeel.train.ranks import Ranks, joined, started_with
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
    dtype: str = "float32",
    nproc: int | None = None,
    threads: int | None = None,
    device: str = "cpu",
    out: str | Path | None = None,
    compare: bool = False,
    tensorboard: bool = False,
    offline: bool = False,
    progress: bool = True,
) -> Run:
    """Train a recipe's network and leave weights, checkpoint, metrics and report in a folder.

    ``data`` is what ``evenkeel.data.load`` takes. None stands for the recipe's own value; ``out``
    defaults to ``runs/<recipe>-<number>``. ``device`` is "cpu", "cuda" or "auto". ``compare`` trains
    with and without batch normalization from the same seed. ``nproc`` processes share every batch
    (docs/training.md), by default one, or those that torchrun started; ``threads`` is for each of
    them, by default torch's number over ``nproc``. Random generators and thread count of this process
    are put back at the end.

    Raises:  BadOption, UnknownName, BadData, DownloadFailed before anything is written; BadRun for
             a folder that cannot be used; Diverged; MissingExtra; Interrupted on Ctrl-C or SIGTERM;
             RanksDiffer, ProcessLost where many processes cannot go on together

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = train("dnn-elu", steps=50, out=folder, progress=False)
    >>> run.results[0].test_accuracy > 0.8
    True
    """
    with joined(started_with()) as ranks:
        if not ranks.first:
            return _follow(ranks, offline)
        known = RECIPES[recipe]
        nproc, size = _processes(nproc, ranks), batch_size or known.batch_size
        check_ranges(
            steps=steps, batch_size=batch_size, lr=lr, seed=seed, threads=threads, nproc=nproc
        )
        _check_compare(compare, batch_norm)
        variant = _variant(known, batch_norm, placement)
        chosen_device = _device(device, nproc)
        if tensorboard:
            check_tensorboard()
        with files.new_folder(out, recipe) as folder:
            dataset = load(data, offline=offline)
            config = RunConfig(
                recipe=recipe,
                batch_norm=variant.batch_norm,
                placement=variant.placement,
                data=_settled_source(data),
                steps=steps or steps_of(known, len(dataset.train), size),
                batch_size=size,
                lr=lr or known.lr,
                seed=seed,
                threads=threads or max(1, torch.get_num_threads() // nproc),
                device=chosen_device,
                compare=compare,
                tensorboard=tensorboard,
                nproc=nproc,
                dtype=dtype,
            )
            Batches(dataset.train, size, seed=seed, stop=config.steps)  # refuses a batch too large
            files.write_config(folder, config)
        return _run(folder, config, dataset, ranks, progress=progress)


def resume(
    folder: str | Path, *, nproc: int | None = None, offline: bool = False, progress: bool = True
) -> Run:
    """Go on with a run where its last checkpoint is, with the configuration it was started with.

    The result equals that of a run that never stopped, bit for bit, on the same machine. A run that
    had finished training is scored and reported again. With another ``nproc`` than before the same
    number of threads is shared out anew, and numbers differ by rounding.

    Raises:  BadRun for a folder or checkpoint that is missing, damaged, foreign or in use; else as
             ``train``
    """
    with joined(started_with()) as ranks:
        if not ranks.first:
            return _follow(ranks, offline)
        path, before = files.open_folder(folder)
        config = _shared_out(before, _processes(nproc, ranks, before.nproc))
        if config.tensorboard:
            check_tensorboard()
        _device(config.device, config.nproc)
        dataset = load(config.data, offline=offline)
        return _run(path, config, dataset, ranks, progress=progress)


def _follow(ranks: Ranks, offline: bool) -> Run:
    """Take part in the run that the first process has prepared."""
    from evenkeel.train.arm import run_arms

    folder, config = files.open_folder(ranks.told(""))
    dataset = load(config.data, offline=offline)
    with StopWish() as wish:
        results = run_arms(folder, config, dataset, wish, ranks, progress=False)
    ranks.wait()
    return Run(folder, results, folder / files.REPORT)


def _run(folder: Path, config: RunConfig, dataset: Dataset, ranks: Ranks, *, progress: bool) -> Run:
    with files.claimed(folder) as claim, StopWish() as wish:
        _write_configs(folder, config)
        ranks.told(str(folder.resolve()))
        try:
            if config.nproc > ranks.size:
                launch(folder, config, wish, claim, progress=progress)
                results = tuple(files.load_result(folder / name) for name in config.arms())
            else:
                from evenkeel.train.arm import run_arms  # Lightning takes seconds to import

                results = run_arms(folder, config, dataset, wish, ranks, progress=progress)
        except Interrupted as stop:
            raise Interrupted(folder, stop.step, stop.steps, stop.number) from stop
        report, _ = write_report(results, folder)
        ranks.wait()
    return Run(folder, results, report)


def _write_configs(folder: Path, config: RunConfig) -> None:
    """run.json of the run, and of both sides of a comparison, runs of their own in folders below."""
    for name, arm in {"": config, **config.arms()}.items():
        path = folder / name
        path.mkdir(exist_ok=True)
        if not (path / files.CONFIG).exists() or files.open_folder(path)[1] != arm:
            files.write_config(path, arm)


def _processes(nproc: int | None, ranks: Ranks, usual: int = 1) -> int:
    """How many processes train.

    Raises:  BadOption for another number than were started
    """
    if ranks.size > 1 and nproc not in (None, ranks.size):
        raise BadOption(
            "the processes are there already, in another number",
            got=f"nproc={nproc} in {ranks.size} processes",
            do="leave --nproc out under torchrun",
        )
    if ranks.size > 1:
        return ranks.size
    return usual if nproc is None else nproc


def _shared_out(config: RunConfig, nproc: int) -> RunConfig:
    """The configuration for another number of processes with as many threads in all.

    Raises:  BadOption
    """
    if nproc == config.nproc:
        return config
    threads = max(1, config.threads * config.nproc // max(1, nproc))
    return replace(config, nproc=nproc, threads=threads)


def _check_compare(compare: bool, batch_norm: bool | None) -> None:
    if compare and batch_norm is not None:
        raise BadOption(
            "a comparison trains with and without batch normalization",
            got=f"compare and batch_norm={batch_norm}",
            do="give one of them",
        )


def _variant(known: Recipe, batch_norm: bool | None, placement: str | None) -> Variant:
    return Variant(
        known.default.batch_norm if batch_norm is None else batch_norm,
        known.default.placement if placement is None else placement,
    )


def _device(name: str, nproc: int) -> str:
    """A device that is there, for each process.

    Raises:  BadOption for one that is not
    """
    present = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if present and nproc <= torch.cuda.device_count() else "cpu"
    if name not in DEVICES:
        raise BadOption(
            "there is no such device", got=repr(name), do=f"give {', '.join(DEVICES)} or auto"
        )
    if name == "cuda" and not present:
        raise BadOption(
            "torch sees no CUDA device here", got=repr(name), do="give cpu or auto as the device"
        )
    if name == "cuda" and nproc > torch.cuda.device_count():
        raise BadOption(
            "there are fewer CUDA devices than processes",
            got=f"{torch.cuda.device_count()} devices, {nproc} processes",
            do="give fewer processes, or cpu as the device",
        )
    return name


def _settled_source(data: str | Path | None) -> str | None:
    """The source of the data as a run can use it again from any directory."""
    if data is None or data in SOURCES:
        return None if data is None else str(data)
    return str(Path(data).expanduser().resolve())
