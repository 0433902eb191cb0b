"""Run suites and write what they found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from evenkeel.bench.accuracy import accuracy
from evenkeel.bench.determinism import determinism
from evenkeel.bench.memory import memory
from evenkeel.bench.nets import nets
from evenkeel.bench.ops import ops
from evenkeel.bench.options import Options as Options
from evenkeel.bench.record import Record, as_text
from evenkeel.bench.suite import Work, records
from evenkeel.bench.traffic import traffic
from evenkeel.errors import BadOption
from evenkeel.files import replace_file
from evenkeel.tables import Table
from evenkeel.threads import borrowed_threads

ALL = "all"
SUITES: Table[Callable[[Options], Work]] = Table("suite")
for _name, _suite in {
    "ops": ops,
    "nets": nets,
    "accuracy": accuracy,
    "traffic": traffic,
    "memory": memory,
    "determinism": determinism,
}.items():
    SUITES.add(_name)(_suite)


def bench(
    suite: str, options: Options, out: str | Path | None = None
) -> Iterator[tuple[Record, list[Path]]]:
    """Run a suite, or every one with "all"; each comes with the files it was written to.

    Files:   ``<suite>.json``, written anew after every row, and ``<suite>-<rival>.png`` where there
             are ratios; in ``out``, or in the next free ``runs/bench-<number>``; files of the same
             names are replaced
    Raises:  UnknownName, BadOption, BadRun when a file cannot be written
    """
    names = list(SUITES) if suite == ALL else [suite]
    chosen = {name: SUITES[name] for name in names}
    if suite == ALL and options.dtype != "float32":
        del chosen["nets"]  # measured in float32 only
    with folder_for(out) as folder:
        for name, plan in chosen.items():
            with borrowed_threads(options.threads):
                record = _run(name, plan(options), options, folder)
            yield record, [folder / f"{name}.json", *draw(record, folder)]


def _run(name: str, work: Work, options: Options, folder: Path) -> Record:
    """The whole record; what there is of it is on disk after every row."""
    target = folder / f"{name}.json"
    try:
        for record in records(name, work, options):
            replace_file(target, as_text(record))
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"interrupted; the rows so far are in {target}") from stop
    return record


def draw(record: Record, folder: Path) -> list[Path]:
    """The charts of a record with ratios, written."""
    if not record.summary:
        return []
    from evenkeel.bench.chart import charts  # matplotlib takes a second to import

    written = {folder / name: picture for name, picture in charts(record).items()}
    for target, picture in written.items():
        replace_file(target, picture)
    return list(written)


@contextmanager
def folder_for(out: str | Path | None) -> Iterator[Path]:
    """The folder to write to, made when it is not there; gone again after an error, when empty.

    Raises:  BadOption when it cannot be made
    """
    numbered = (Path("runs") / f"bench-{number:03d}" for number in range(1, 1_000_000))
    folder = Path(out).expanduser() if out else next(p for p in numbered if not p.exists())
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadOption(
            "the output folder cannot be made",
            got=f"{folder}: {error.strerror}",
            do="give a folder that you can write to as --out",
        ) from error
    try:
        yield folder
    except BaseException:
        with suppress(OSError):
            folder.rmdir()
        raise
