"""Fixtures for every room whose tests need jobs: each database, each queue."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from tests.chaos.servers import Missing, OwnPostgres, OwnRedis, own_postgres, own_redis

from sightline.jobs.ledger import Ledger
from sightline.settings import Settings, load_settings

PAIRS = ["local+sqlite", "redis+sqlite", "local+postgres", "redis+postgres"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[OwnPostgres]:
    """A PostgreSQL server; tests that need it are skipped where it is not installed."""
    try:
        with own_postgres() as server:
            yield server
    except Missing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[OwnRedis]:
    """A Redis server; tests that need it are skipped where it is not installed."""
    try:
        with own_redis() as server:
            yield server
    except Missing as error:
        pytest.skip(str(error))


@pytest.fixture(params=PAIRS)
def job_settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings for each pair of queue and database, both empty."""
    return settings_of(request, tmp_path_factory)


def settings_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings for the pair that the fixture's parameter names."""
    queue, database = request.param.split("+")
    words = {"data_dir": str(tmp_path_factory.mktemp("data")), "lease_s": 1, "disk_reserve_mb": 0}
    if queue == "redis":
        server: OwnRedis = request.getfixturevalue("redis_server")
        server.command("FLUSHALL")
        words["queue"] = server.url
    if database == "postgres":
        cluster: OwnPostgres = request.getfixturevalue("postgres")
        words["database"] = cluster.database()
    return load_settings(words, environment={})


@pytest.fixture
def ledger(job_settings: Settings) -> Iterator[Ledger]:
    """A ledger over `job_settings`."""
    with Ledger.open(job_settings) as opened:
        yield opened


@pytest.fixture
def another(job_settings: Settings) -> Iterator[Callable[..., Ledger]]:
    """Opens further ledgers on the same database and queue, with other settings if wanted."""
    opened: list[Ledger] = []

    def make(**changes: object) -> Ledger:
        opened.append(Ledger.open(replace(job_settings, **changes)))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for one in opened:
        one.close()
