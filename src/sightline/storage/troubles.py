"""What a database has against us, in our words: out of reach, set up wrongly, full.

One listener for each engine, so that no caller has to know the errors of a driver. Addresses are named
without user and password.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine.interfaces import ExceptionContext

from sightline.errors import BadOption, Busy, ConfigError, SightlineError, StorageFull, Unreachable

_FULL: Final = ("database or disk is full", "disk I/O", "No space left")
_BARRED: Final = ("readonly database", "unable to open database file", "not a database")
_LOCKED: Final = "database is locked"
_PASSING: Final = re.compile(r"08...|57P0[1-5]|53300")
"""SQLSTATE: the connection broke, the server stops or starts, or all its connections are taken."""
_WRONG: Final = re.compile(r"28...|3D000|42501|25006")
"""SQLSTATE: name or password, no such database, not allowed to, only to be read."""
_UNFIT: Final = re.compile(r"22...")
"""SQLSTATE: a value that no column takes, such as a text with NUL."""


def explain(engine: Engine, place: URL | Path) -> None:
    """From now on the engine raises `SightlineError` where the place is what is wrong."""
    here = place if isinstance(place, Path) else f"{place.host or 'localhost'}:{place.port or 5432}"

    def translated(context: ExceptionContext) -> SightlineError | None:
        if context.is_pre_ping:
            return None  # the pool opens another connection
        if isinstance(context.original_exception, UnicodeEncodeError):
            context.is_disconnect = not isinstance(here, Path)  # pg8000 has sent half of a message
            context.invalidate_pool_on_disconnect = False
            return _unfit("a letter in it is none")
        if isinstance(here, Path):
            return _of_file(str(context.original_exception), here)
        return _of_server(context.original_exception, here)

    event.listen(engine, "handle_error", translated, retval=True)


def _unfit(why: str) -> BadOption:
    return BadOption(
        f"The database does not take such a value: {why}.",
        next_step="Leave out NUL and other characters that are no text.",
    )


def _of_file(words: str, file: Path) -> SightlineError | None:
    if any(sign in words for sign in _FULL):
        return StorageFull(f"The database could not be written: {words}.")
    if any(sign in words for sign in _BARRED):
        return ConfigError(
            f"The database {file} cannot be used: {words}.",
            next_step="Give data_dir a folder that this user may write, or mend the file's rights and disk.",
        )
    return None


def _of_server(error: BaseException, address: str) -> SightlineError | None:
    fields = error.args[0] if error.args and isinstance(error.args[0], Mapping) else {}
    state, said = str(fields.get("C", "")), str(fields.get("M", ""))
    if state.startswith("53100"):
        return StorageFull(f"The database could not be written: {said}.")
    if _UNFIT.fullmatch(state):
        return _unfit(said)
    if _WRONG.fullmatch(state):
        return ConfigError(
            f"The database at {address} does not let us in: {said}.",
            next_step="Check user, password and name in the setting `database`, and the user's rights there.",
        )
    if _PASSING.fullmatch(state):
        return Unreachable(f"The database at {address} cannot be used now: {said}.")
    if type(error).__name__ == "InterfaceError" or isinstance(error, OSError):
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        why = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        return Unreachable(f"The database at {address} cannot be reached: {why}.")
    return None


def given_up(error: BaseException) -> Busy | None:
    """What is said when another writer held SQLite's lock too long."""
    if _LOCKED in str(error):
        return Busy("Another process has kept the database locked for too long.", retry_after_s=5)
    return None
