"""What hooks of a MonitoredSession implement, and what they are given."""

from typing import Any, NamedTuple


class SessionRunArgs(NamedTuple):
    """What a hook asks a run for, besides what the caller asks for.

    ``options`` (RunOptions: traces, timeouts) are kept, without meaning here.
    """

    fetches: Any
    feed_dict: Any = None
    options: Any = None


class SessionRunValues(NamedTuple):
    """What a run gave a hook."""

    results: Any
    options: Any
    run_metadata: Any


class SessionRunContext:
    """A run about to begin: its arguments, its session, and a way to ask for the end."""

    def __init__(self, original_args: SessionRunArgs, session: Any) -> None:
        self._original_args, self._session, self._stop_requested = original_args, session, False

    @property
    def original_args(self) -> SessionRunArgs:
        """What the caller asked for."""
        return self._original_args

    @property
    def session(self) -> Any:
        """The session, without hooks."""
        return self._session

    @property
    def stop_requested(self) -> bool:
        """Whether a hook asked for the end."""
        return self._stop_requested

    def request_stop(self) -> None:
        """Ask for the end: ``should_stop`` is true after this run."""
        self._stop_requested = True


class SessionRunHook:
    """Does something around each run of a MonitoredSession; every method may stay as it is."""

    def begin(self) -> None:
        """Before the session is made: the last chance to change the graph."""

    def after_create_session(self, session: Any, coord: Any) -> None:
        """After the session was made and its variables have values."""

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """What to fetch and feed in addition, or None."""
        return None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """After each run, with what was asked for."""

    def end(self, session: Any) -> None:
        """When all ended without an error."""
