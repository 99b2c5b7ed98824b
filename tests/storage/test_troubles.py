"""A database that is away, set up wrongly or not to be written: what is said, and never its password."""

import logging
import socket
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from sightline.errors import BadOption, Busy, ConfigError, SightlineError, Unreachable
from sightline.jobs.ledger import Ledger
from sightline.settings import load_settings
from sightline.storage import database as opening
from sightline.storage.blobs import Blobs
from sightline.storage.database import Database
from sightline.storage.kept import DATABASE, FOLDER
from sightline.storage.outage import Outage
from sightline.storage.peek import Peek

if TYPE_CHECKING:
    from tests.chaos.servers import OwnPostgres


def _trouble(url: str, file: Path) -> SightlineError:
    database = Database(url, file)
    with pytest.raises(SightlineError) as caught:
        database.read(lambda it: it.execute(text("SELECT 1")))
    database.close()
    return caught.value


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as bound:  # nobody else takes the port meanwhile, and nobody listens
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        error = _trouble(f"postgresql://u:hush@127.0.0.1:{port}/x", tmp_path / "x")
    assert isinstance(error, Unreachable)
    assert f"127.0.0.1:{port} cannot be reached: Connection refused" in error.message
    assert "hush" not in error.message + error.next_step


def test_no_such_host(tmp_path: Path) -> None:
    error = _trouble("postgresql://u:hush@nowhere.invalid/x", tmp_path / "x")
    assert isinstance(error, Unreachable)
    assert "nowhere.invalid:5432" in error.message
    assert "hush" not in error.message


def test_no_such_database(postgres: "OwnPostgres", tmp_path: Path) -> None:
    error = _trouble(postgres.database().rpartition("/")[0] + "/nothing", tmp_path / "x")
    assert isinstance(error, ConfigError)
    assert 'database "nothing" does not exist' in error.message


def test_the_server_ends_in_the_middle(postgres: "OwnPostgres", tmp_path: Path) -> None:
    database = Database(postgres.database(), tmp_path / "x")
    ended = text("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(Unreachable):
        database.read(lambda it: it.execute(ended))
    assert database.read(lambda it: it.execute(text("SELECT 1")).scalar_one()) == 1
    database.close()


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = _trouble("", tmp_path / "file" / "results" / "results.sqlite")
    assert isinstance(error, ConfigError)
    assert "cannot be made: Not a directory" in error.message
    with pytest.raises(ConfigError, match="cannot be made: Not a directory"):
        Blobs(tmp_path / "file" / "blobs")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "results.sqlite"
    file.write_bytes(b"something else entirely" * 100)
    error = _trouble("", file)
    assert isinstance(error, ConfigError)
    assert "not a database" in error.message


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%41b", "a?mode=memory", "ü b", "file:x"])
def test_folders_whose_names_mean_something_in_addresses(tmp_path: Path, name: str) -> None:
    settings = load_settings({"data_dir": str(tmp_path / name)}, environment={})
    file = tmp_path / name / FOLDER / DATABASE
    peek = Peek(file)
    assert not peek.unfinished()
    with Ledger.open(settings) as ledger:
        ledger.submit("work", {})
        assert file.is_file()
        assert peek.unfinished()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_value_that_is_no_text_is_the_callers(postgres: "OwnPostgres", tmp_path: Path) -> None:
    for url, value in ((postgres.database(), "\0"), (postgres.database(), "\ud800"), ("", "\ud800")):
        database = Database(url, tmp_path / "results.sqlite")
        said = text("SELECT CAST(:value AS VARCHAR)")
        with pytest.raises(BadOption, match="does not take such a value"):
            database.read(lambda it, value=value, said=said: it.execute(said, {"value": value}))  # type: ignore[misc]
        assert database.read(lambda it: it.execute(text("SELECT 1")).scalar_one()) == 1
        database.close()


def test_one_who_keeps_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "results.sqlite"
    monkeypatch.setattr(opening, "_LOCKED_S", 0.01)
    database = Database("", file)
    database.read(lambda _: None)
    holder = sqlite3.connect(file)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy, match="locked"):
        database.write(lambda _: None)
    holder.close()
    database.close()


def test_an_outage_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(logging.getLogger("sightline.test"), "Jobs wait")
    away = Unreachable("The database at db:5432 cannot be reached: Connection refused.")
    pauses = [outage.failed(away) for _ in range(8)]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    assert [record.getMessage() for record in caplog.records] == [
        f"Jobs wait until the database can be used: {away}"
    ]
    assert caplog.records[0].exc_info is None
    outage.worked()
    outage.worked()
    assert len(caplog.records) == 2
    assert outage.failed(away) == 1
