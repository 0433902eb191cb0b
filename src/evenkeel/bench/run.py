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
from evenkeel.bench.timing import threads
from evenkeel.errors import BadOption
from evenkeel.tables import Table
from evenkeel.train.files import replace_file

ALL = "all"
SUITES: Table[Callable[[Options], Record]] = Table("suite")
for _name, _suite in {
    "ops": ops,
    "nets": nets,
    "accuracy": accuracy,
    "memory": memory,
    "determinism": determinism,
}.items():
    SUITES.add(_name)(_suite)


def bench(
    suite: str, options: Options, out: str | Path | None = None
) -> Iterator[tuple[Record, list[Path]]]:
    """Run a suite, or every one with "all"; each comes with the files it was written to.

    Files:   ``<suite>.json``, and ``<suite>-<rival>.png`` where there are ratios; in ``out``, or in
             the next free ``runs/bench-<number>``; files of the same names are replaced
    Raises:  UnknownName, BadOption, BadRun when a file cannot be written
    """
    names = list(SUITES) if suite == ALL else [suite]
    chosen = {name: SUITES[name] for name in names}
    if suite == ALL and options.dtype != "float32":
        del chosen["nets"]  # measured in float32 only
    with folder_for(out) as folder:
        for name, run in chosen.items():
            with threads(options.threads):
                record = run(options)
            yield record, write(record, folder / name)


def write(record: Record, stem: Path) -> list[Path]:
    """The JSON file, and the charts beside it."""
    target = stem.with_suffix(".json")
    replace_file(target, as_text(record))
    written = [target]
    if record.summary:
        from evenkeel.bench.chart import charts  # matplotlib takes a second to import

        for name, picture in charts(record).items():
            written.append(target.with_name(name))
            replace_file(written[-1], picture)
    return written


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
