"""The report of a run: a page and a picture, made from the run's records alone."""

from importlib import import_module

from evenkeel.errors import MissingExtra

for _extra in ("jinja2", "matplotlib"):
    try:
        import_module(_extra)
    except ModuleNotFoundError as _error:
        raise MissingExtra(
            f"the report of a run needs {_extra}",
            got=f"no module named {_error.name!r}",
            do="pip install 'evenkeel[train]'",
        ) from _error

from evenkeel.train.report.write import write_report  # noqa: E402  (after what it needs is known)

__all__ = ["write_report"]
