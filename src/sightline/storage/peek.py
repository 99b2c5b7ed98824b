"""A look into SQLite's file that loads nothing and writes nothing: whether there is a job to do."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

_OPEN = "SELECT 1 FROM jobs WHERE state = 'queued' OR (state = 'running' AND parts = 0) LIMIT 1"


class Peek:
    """Asks the database only when its file changed since it last said no."""

    def __init__(self, file: Path) -> None:
        """The file need not exist."""
        self._file = file
        self._seen: tuple[int, ...] | None = None

    def unfinished(self) -> bool:
        """Whether rows wait or run."""
        now = tuple(self._changed(suffix) for suffix in ("", "-wal"))
        if now == self._seen or not self._file.is_file():
            return False
        found = self._ask()
        self._seen = None if found else now
        return found

    def _ask(self) -> bool:
        try:
            place = f"{self._file.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(place, uri=True, timeout=2)) as connection:
                return connection.execute(_OPEN).fetchone() is not None
        except sqlite3.OperationalError:  # no such table yet, or somebody is making it
            return False

    def _changed(self, suffix: str) -> int:
        with suppress(OSError):
            return self._file.with_name(self._file.name + suffix).stat().st_mtime_ns
        return 0
