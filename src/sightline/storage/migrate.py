"""Bring a database's tables up to date, whoever made them: an earlier release, this one, or nobody yet.

It happens when the database is opened, in one transaction that no other process's can overlap. A new
database gets its tables at once; Alembic is loaded only when there is something to change.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, inspect, text

from sightline.errors import ConfigError
from sightline.storage.job_tables import jobs
from sightline.storage.rule_tables import rules
from sightline.storage.tables import metadata
from sightline.storage.watch_tables import watches

HEAD: Final = "0006"
"""The newest file of ``migrations/versions``."""
_FIRST: Final = "0001"
"""What releases before the first migration made."""
_FOLDER: Final = Path(__file__).parent / "migrations"


def bring_up_to_date(engine: Engine) -> None:
    """Make or change the tables, if need be.

    Args:
        engine: Its transactions must exclude each other.

    Raises:
        ConfigError: The database was made by a newer release.
    """
    with engine.execution_options(write=False, alone=False).begin() as connection:
        if _revision(connection) == HEAD:
            return
    with engine.begin() as connection:
        found = _revision(connection)
        if found == HEAD:
            return  # another process was faster
        if found == "":
            assert jobs.metadata is rules.metadata is watches.metadata is metadata
            metadata.create_all(connection)
            _stamp(connection, HEAD)
            return
        if found > HEAD:
            raise ConfigError(
                f"The database has the tables of a newer release ({found}; this one knows {HEAD}).",
                next_step="Run the newer release, or use another database.",
            )
        if "alembic_version" not in inspect(connection).get_table_names():
            _stamp(connection, found)
        _upgrade(connection)


def _revision(connection: Connection) -> str:
    """The database's revision; empty for a database without tables, `_FIRST` for one without a mark."""
    tables = set(inspect(connection).get_table_names())
    if "alembic_version" in tables:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
    return _FIRST if "results" in tables else ""


def _stamp(connection: Connection, revision: str) -> None:
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:it)"), {"it": revision})


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - a database that is current needs none of it
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
