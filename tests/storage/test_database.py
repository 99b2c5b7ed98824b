"""Opening a database: by URL, from an earlier release, many at once, and what is said where that fails."""

import json
import sqlite3
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select, text

from sightline.errors import ConfigError
from sightline.settings import load_settings
from sightline.storage import job_tables, migrate, watch_tables
from sightline.storage.database import Database, clock
from sightline.storage.kept import Search
from sightline.storage.migrate import HEAD
from sightline.storage.peek import Peek
from sightline.storage.store import Store
from sightline.storage.tables import metadata

if TYPE_CHECKING:
    from tests.chaos.servers import OwnPostgres

_RELEASED = """
CREATE TABLE blobs (digest VARCHAR(64) NOT NULL PRIMARY KEY, media_type VARCHAR(40) NOT NULL,
  bytes INTEGER NOT NULL, refs INTEGER NOT NULL);
CREATE TABLE results (id VARCHAR(64) NOT NULL PRIMARY KEY, owner VARCHAR(64) NOT NULL, created FLOAT NOT NULL,
  source VARCHAR(300) NOT NULL, task VARCHAR(16) NOT NULL, model VARCHAR(64) NOT NULL,
  version VARCHAR(32) NOT NULL, model_digest VARCHAR(80) NOT NULL, width INTEGER NOT NULL,
  height INTEGER NOT NULL, input_sha256 VARCHAR(64) NOT NULL, image VARCHAR(64) NOT NULL,
  thumbnail VARCHAR(64) NOT NULL, min_score FLOAT NOT NULL, counts VARCHAR NOT NULL, payload BLOB NOT NULL,
  FOREIGN KEY(image) REFERENCES blobs (digest), FOREIGN KEY(thumbnail) REFERENCES blobs (digest));
CREATE INDEX results_by_time ON results (owner, created, id);
CREATE INDEX ix_results_input_sha256 ON results (input_sha256);
CREATE TABLE result_labels (result VARCHAR(64) NOT NULL, label VARCHAR(200) NOT NULL,
  PRIMARY KEY (result, label), FOREIGN KEY(result) REFERENCES results (id) ON DELETE CASCADE);
CREATE INDEX results_by_label ON result_labels (label, result);
INSERT INTO blobs VALUES ('d', 'image/jpeg', 3, 2);
INSERT INTO results VALUES ('a1', 'me', 1.5, 'cat.jpg', 'detect', 'm', '1', 'x', 2, 1, 'i', 'd', 'd', 0.3,
  '{"cat": 1}', x'00');
"""
"""What the releases before jobs left behind."""


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The setting for an empty database."""
    if request.param == "sqlite":
        yield ""
    else:
        server: OwnPostgres = request.getfixturevalue("postgres")
        yield server.database()


def _differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        found = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True}), metadata
        )
    return [one for one in found if not (isinstance(one, list) and one[0][0] == "modify_comment")]


def _from_nothing(connection: Connection) -> None:
    """All tables made by the migrations alone, up to the newest that there is."""
    metadata.drop_all(connection)
    connection.execute(text("DROP TABLE alembic_version"))
    migrate._stamp(connection, "base")
    connection.execute(text("DELETE FROM alembic_version"))
    migrate._upgrade(connection)


def test_the_migrations_end_in_the_tables_that_a_new_database_gets(url: str, tmp_path: Path) -> None:
    new = Database(url, tmp_path / "new.sqlite")
    assert _differences(new) == []
    with new.engine.begin() as connection:
        _from_nothing(connection)
    assert _differences(new) == []
    new.close()


def test_the_database_of_an_earlier_release_is_adopted(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    old = sqlite3.connect(folder / "results.sqlite")
    old.executescript(_RELEASED)
    old.close()
    store = Store(folder)
    assert [item.source for item in store.page(Search()).items] == ["cat.jpg"]
    store.close()
    database = Database("", folder / "results.sqlite")
    assert (
        database.read(lambda it: it.execute(text("SELECT version_num FROM alembic_version")).scalar()) == HEAD
    )
    assert database.read(lambda it: it.execute(text("SELECT count(*) FROM jobs")).scalar()) == 0
    assert _differences(database) == []
    database.close()


def test_old_jobs_forget_the_passwords_of_their_addresses(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(url, tmp_path / "old.sqlite")
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "HEAD", "0005")
        with database.engine.begin() as connection:
            _from_nothing(connection)
            _insert_old_job(connection)
    database.close()
    again = Database(url, tmp_path / "old.sqlite")
    with again.engine.connect() as connection:
        (job,) = connection.execute(select(job_tables.jobs)).all()
        (item,) = connection.execute(select(job_tables.items)).all()
        (event,) = connection.execute(select(job_tables.events)).all()
        (watch,) = connection.execute(select(watch_tables.watches)).all()
    told = {"camera": "rtsp://cam:554/a?b=jo@x", "list": ["a@b.example", "HTTP://h/é"]}
    assert [json.loads(column) for column in (job.payload, job.error, job.result, event.data)] == [told] * 4
    assert json.loads(zlib.decompress(item.result)) == json.loads(item.error) == told
    assert item.source == "rtsp://cam:554/a"
    assert watch.source == "rtsp://jo:s3cr3t@cam/"  # opening it takes the password
    again.close()
    if not url:
        assert (tmp_path / "old.sqlite").read_bytes().count(b"s3cr3t") == 1


def _insert_old_job(connection: Connection) -> None:
    """As the releases before wrote it: logins in addresses, wherever an address may stand."""
    given = {"camera": "rtsp://jo:s3cr3t@cam:554/a?b=jo@x", "list": ["a@b.example", "HTTP://jo:s3cr3t@x@h/é"]}
    body = json.dumps(given)
    job = {"id": "j", "kind": "predict", "owner": "me", "state": "done", "created": 1.0, "ready": 1.0}
    texts = {"payload": body, "error": body, "result": body}
    connection.execute(insert(job_tables.jobs).values(**job, **texts))
    item = {"source": "rtsp://jo:s3cr3t@cam:554/a", "error": body, "result": zlib.compress(body.encode())}
    connection.execute(insert(job_tables.items).values(job="j", position=0, state="done", **item))
    connection.execute(insert(job_tables.events).values(job="j", seq=1, type="job", data=body, time=1.0))
    watch = {"name": "door", "owner": "me", "wish": "{}", "created": 1.0, "source": "rtsp://jo:s3cr3t@cam/"}
    connection.execute(insert(watch_tables.watches).values(id="w", **watch))


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    database = Database("", tmp_path / "it.sqlite")
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(ConfigError, match="newer release"):
        _ = database.engine


def test_many_open_a_new_database_at_once(url: str, tmp_path: Path) -> None:
    failures: list[Exception] = []
    ready = threading.Barrier(8)

    def open_it() -> None:
        database = Database(url, tmp_path / "it.sqlite")
        ready.wait()
        try:
            _ = database.engine
        except Exception as error:  # noqa: BLE001 - handed to the test
            failures.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_clock_is_unix_time(url: str, tmp_path: Path) -> None:
    import time  # noqa: PLC0415

    database = Database(url, tmp_path / "it.sqlite")
    assert database.read(lambda it: it.execute(select(clock())).scalar_one()) == pytest.approx(
        time.time(), abs=5
    )
    database.close()


@pytest.mark.parametrize(
    "odd", ["mysql://host/name", "sqlite:///elsewhere.sqlite", "nonsense", "postgresql:"]
)
def test_other_databases_are_refused_in_words(odd: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        Database(odd, tmp_path / "it.sqlite")
    assert "postgresql://user:password@host/name" in refused.value.next_step


def test_a_missing_driver_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['pg8000'] = None\n"
        "from pathlib import Path\n"
        "from sightline.errors import ConfigError\n"
        "from sightline.storage.database import Database\n"
        "try: Database('postgresql://h/n', Path('x')).engine\n"
        "except ConfigError as error: print(error.next_step)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip().startswith("Run `make extras ADD=cluster`")


def test_a_look_into_the_file_costs_no_library(tmp_path: Path) -> None:
    peek = Peek(tmp_path / "none.sqlite")
    assert not peek.unfinished()
    code = "import sys; import sightline.storage.peek; print('sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_look_sees_what_changed(tmp_path: Path) -> None:
    from sightline.jobs.ledger import Ledger  # noqa: PLC0415

    settings = load_settings({"data_dir": str(tmp_path), "disk_reserve_mb": 0}, environment={})
    with Ledger.open(settings) as ledger:
        peek = Peek(tmp_path / "results" / "results.sqlite")
        assert not peek.unfinished()
        job = ledger.submit("work", {})
        assert peek.unfinished()
        assert peek.unfinished(), "as long as it is there"
        ledger.cancel(job.id)
        assert not peek.unfinished()
        assert not peek.unfinished()
