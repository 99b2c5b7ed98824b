"""The database: SQLite in the data folder, or PostgreSQL by URL. Opening it brings its tables up to date.

All times in it are its own clock's (`clock`): leases must not depend on what a worker believes the time is.
"""

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, Float, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from sightline.errors import ConfigError, how_to_add
from sightline.private import close_to_others, make_file, private_folder
from sightline.settings import Settings
from sightline.storage.kept import DATABASE, FOLDER
from sightline.storage.migrate import bring_up_to_date
from sightline.storage.troubles import explain, given_up

T = TypeVar("T")

_TRIES: Final = 6
_LOCKED_S: Final = 20.0
"""Seconds that a writer waits for SQLite's one write lock."""
_CONNECT_S: Final = 5.0
_ONE_WRITER: Final = 0x5167_0001
"""Number of the advisory lock that stands for SQLite's write lock in PostgreSQL."""


class clock(FunctionElement[float]):  # noqa: N801 - reads like the function that it is
    """Now, as Unix seconds of the database."""

    type = Float()
    inherit_cache = True


@compiles(clock, "sqlite")
def _sqlite_clock(_element: clock, _compiler: Any, **_kwargs: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(clock, "postgresql")
def _postgres_clock(_element: clock, _compiler: Any, **_kwargs: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS double precision)"


class Database:
    """One database, opened when it is first used. Thread-safe."""

    def __init__(self, url: str, file: Path, *, around: Path | None = None) -> None:
        """Nothing is opened or made yet.

        Args:
            url: The setting ``database``; empty for the file.
            file: The SQLite file.
            around: The data folder that it lies in, which is closed to others too.

        Raises:
            ConfigError: The URL is of another kind, or cannot be read.
        """
        self._url = _url(url) if url else None
        self._file = file
        self._folders = (*((around,) if around else ()), file.parent)
        self._engine: Engine | None = None
        self._opening = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> "Database":
        """The database of the settings.

        Raises:
            ConfigError: As the constructor.
        """
        folder = settings.data_path
        return cls(settings.database, folder / FOLDER / DATABASE, around=folder)

    def load(self) -> None:
        """Import what opening would, and open nothing.

        Raises:
            ConfigError: The driver is missing.
        """
        if self._url:
            _postgres(self._url).dispose()
        else:
            create_engine("sqlite://").dispose()

    @property
    def file(self) -> Path | None:
        """The SQLite file, if it is one."""
        return None if self._url else self._file

    @property
    def engine(self) -> Engine:
        """The engine; the tables are there and current.

        Raises:
            ConfigError: The driver is missing, its folder cannot be written, or the database is of a newer
                release or does not let us in.
            Unreachable: It is away.
        """
        with self._opening:
            if self._engine is None:
                engine = _postgres(self._url) if self._url else self._sqlite()
                try:
                    bring_up_to_date(engine.execution_options(write=True, alone=True))
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    def read(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` in a transaction that only reads."""
        with self.engine.begin() as connection:
            return work(connection)

    def write(self, work: Callable[[Connection], T], *, alone: bool = False) -> T:
        """Do ``work`` in a transaction; again from the start if it met another one half-way.

        Args:
            work: Must have no effect but on the database: it may run several times.
            alone: No other such writer works meanwhile (with SQLite that is always so).

        Raises:
            StorageFull: The database's disk is full.
            Unreachable: It is away.
            Busy: Another process keeps it locked.
        """
        engine = self.engine.execution_options(write=True, alone=alone)
        for attempt in range(1, _TRIES + 1):
            try:
                with engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if attempt == _TRIES or not _met_another(error):
                    raise given_up(error) or error from error
            time.sleep(random.uniform(0.01, 0.05) * attempt)  # noqa: S311 - only so that two do not meet again
        raise AssertionError

    def _sqlite(self) -> Engine:
        """The file, for this user only: what it keeps are other people's pictures, and secrets.

        SQLite gives its further files (``-wal``, ``-shm``) the rights of the first.
        """
        for folder in self._folders:
            private_folder(folder)
        try:
            with suppress(FileExistsError):
                make_file(self._file).close()
        except OSError as error:
            raise ConfigError(
                f"The database {self._file} cannot be made: {error.strerror or error}.",
                next_step="Give data_dir a folder that this user may write.",
            ) from error
        for suffix in ("", "-wal", "-shm"):
            close_to_others(self._file.with_name(self._file.name + suffix))
        return _sqlite(self._file)

    def close(self) -> None:
        """Close all connections."""
        with self._opening:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None


def _met_another(error: DBAPIError) -> bool:
    """Whether nothing was done and the same would work a moment later: a lock, a deadlock."""
    words = str(error.orig)
    return any(sign in words for sign in ("database is locked", "40P01", "40001"))


def _url(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ConfigError("database is no address of a database.", next_step=_ADVICE) from error
    if url.drivername not in ("postgresql", "postgres", "postgresql+pg8000"):
        raise ConfigError(f"database may be PostgreSQL, got {url.drivername!r}.", next_step=_ADVICE)
    return url.set(drivername="postgresql+pg8000")


_ADVICE: Final = "Write it as `postgresql://user:password@host/name`, or leave it empty for SQLite."


def _sqlite(path: Path) -> Engine:
    """SQLite in WAL mode, durable at each commit."""
    place = URL.create("sqlite", database=str(path))  # written as an address, a "?" in it would end it
    engine = create_engine(place, connect_args={"timeout": _LOCKED_S})
    explain(engine, path)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _postgres(url: URL) -> Engine:
    try:
        engine = create_engine(
            url, pool_pre_ping=True, pool_size=4, max_overflow=12, connect_args={"timeout": _CONNECT_S}
        )
    except ImportError as error:
        raise ConfigError(
            "A PostgreSQL database needs a library that is not installed.",
            next_step=how_to_add("cluster"),
        ) from error
    explain(engine, url)
    event.listen(engine, "begin", _begin_postgres)
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3's own BEGIN comes too late; ours is in _begin
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """Writers take the lock at the start, so two of them never meet half-way."""
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _begin_postgres(connection: Connection) -> None:
    if connection.get_execution_options().get("alone", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ONE_WRITER})")
