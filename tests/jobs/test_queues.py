"""The lines of ids: one suite for both, then what Redis can do to us and what others can do through it."""

import json
import os
import pickle
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.chaos.servers import OwnRedis

from sightline.errors import ConfigError
from sightline.jobs.ledger import Ledger, open_queue
from sightline.jobs.queue import JobQueue
from sightline.settings import Settings, load_settings

redis = pytest.importorskip("redis", reason="The extra `cluster` is not installed.")
ID = "0123456789abcdef" * 2


@pytest.fixture
def line(redis_server: OwnRedis) -> Iterator[JobQueue]:
    """The queue in an empty Redis."""
    redis_server.command("FLUSHALL")
    queue = open_queue(load_settings({"queue": redis_server.url}, environment={}))
    yield queue
    queue.close()


@pytest.fixture(params=["local", "redis"])
def either(request: pytest.FixtureRequest) -> Iterator[JobQueue]:
    """Each queue, empty."""
    if request.param == "redis":
        yield request.getfixturevalue("line")
    else:
        queue = open_queue(load_settings({}, environment={}))
        yield queue
        queue.close()


def test_any_queue_takes_offers_and_never_waits_long(either: JobQueue) -> None:
    assert either.ping()
    began = time.monotonic()
    assert either.take(0) is None
    assert either.take(0.1) is None
    assert either.offer(ID)
    assert either.offer(ID, 5)
    assert either.take(1.0) in (None, ID)
    assert time.monotonic() - began < 30, "no longer than it was told, and a busy machine's share"


def test_ids_come_out_in_order_but_urgent_ones_first(line: JobQueue) -> None:
    ids = [f"{number:032x}" for number in range(3)]
    for one in ids:
        assert line.offer(one)
    assert line.offer("f" * 32, priority=1)
    assert line.waiting() == {*ids, "f" * 32}
    assert [line.take(0.5) for _ in range(5)] == ["f" * 32, *ids, None]
    assert line.waiting() == set()


def test_what_was_offered_twice_is_taken_once_without_a_word(
    line: JobQueue, caplog: pytest.LogCaptureFixture
) -> None:
    assert line.offer(ID)
    assert line.offer(ID)
    assert [line.take(0.5) for _ in range(3)] == [ID, None, None]
    assert not caplog.records


def test_what_is_written_is_json_and_ends_by_itself(line: JobQueue, redis_server: OwnRedis) -> None:
    line.offer(ID)
    client = redis.Redis.from_url(redis_server.url)
    entry = client.hgetall(f"rq:job:{ID}")
    function, _, arguments, keywords = json.loads(zlib.decompress(entry[b"data"]))
    assert (function, arguments, keywords) == (
        "sightline.jobs.redis_queue.only_a_sightline_worker_runs_this",
        [ID],
        {},
    )
    assert 0 < client.ttl(f"rq:job:{ID}") <= 86_400
    line.take(0.5)
    assert not client.exists(f"rq:job:{ID}")
    client.close()


class _Touch:
    """Unpickling it leaves a trace."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self._path}",))


@pytest.mark.parametrize(
    "kind", ["pickle", "another function", "more arguments", "callbacks", "no hash", "odd id"]
)
def test_entries_of_others_are_thrown_away_unseen(
    kind: str, line: JobQueue, redis_server: OwnRedis, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    ours = "sightline.jobs.redis_queue.only_a_sightline_worker_runs_this"
    data = {
        "pickle": pickle.dumps(_Touch(canary)),
        "another function": json.dumps(["os.system", None, [f"touch {canary}"], {}]).encode(),
        "more arguments": json.dumps([ours, None, [ID, f"touch {canary}"], {}]).encode(),
        "callbacks": json.dumps(["builtins.exec", None, [ID], {}]).encode(),
    }
    client = redis.Redis.from_url(redis_server.url)
    name = f"../../{ID}" if kind == "odd id" else ID
    if kind in data:
        entry = {"data": zlib.compress(data[kind]), "status": "queued", "success_callback_name": "os.getcwd"}
        client.hset(f"rq:job:{ID}", mapping=entry)
    client.rpush("rq:queue:sightline", name)
    assert line.take(0.5) is None
    assert line.waiting() == set()
    assert not canary.exists()
    client.close()


def test_rqs_own_worker_cannot_run_an_entry(line: JobQueue, redis_server: OwnRedis) -> None:
    from rq import SimpleWorker  # noqa: PLC0415
    from rq.serializers import JSONSerializer  # noqa: PLC0415

    line.offer(ID)
    client = redis.Redis.from_url(redis_server.url)
    worker = SimpleWorker(["sightline"], connection=client, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="CRITICAL")
    assert client.hget(f"rq:job:{ID}", "status") == b"failed"
    assert line.waiting() == set()
    assert line.offer(ID), "it is offered again, whatever others made of it"
    assert line.take(0.5) == ID
    client.close()


def test_a_queue_that_is_gone_or_hangs_holds_nobody_up(redis_server: OwnRedis, tmp_path: Path) -> None:
    words = {"queue": redis_server.url, "data_dir": str(tmp_path), "disk_reserve_mb": 0}
    settings: Settings = load_settings(words, environment={})
    with Ledger.open(settings) as ledger:
        first = ledger.submit("work", {})
        redis_server.pause()
        try:
            slowest = 0.0
            for _ in range(3):
                began = time.monotonic()
                ledger.submit("work", {})
                ledger.reap()
                slowest = max(slowest, time.monotonic() - began)
            assert ledger.claim("w", ["work"], first.id) is not None, "the database is enough"
            assert not ledger.queue.ping()
        finally:
            redis_server.go_on()
        assert slowest < 2.5
        assert ledger.queue.ping()
        redis_server.command("FLUSHALL")
        assert ledger.reap().offered == 3
        assert len(ledger.queue.waiting() or ()) == 3
        assert ledger.reap().offered == 0
        redis_server.kill()
        assert ledger.submit("work", {}).state == "queued"
        assert ledger.queue.waiting() is None
        redis_server.start()
        assert ledger.queue.ping()
        assert ledger.reap().offered == 4


@pytest.mark.parametrize("odd", ["memcached://h", "http://h:1/0", "redis://h:port/0", ""])
def test_other_queues_are_refused_in_words(odd: str) -> None:
    with pytest.raises(ConfigError, match="queue"):
        open_queue(load_settings({"queue": odd}, environment={}))


def test_a_password_is_never_said() -> None:
    with pytest.raises(ConfigError) as refused:
        open_queue(load_settings({"queue": "amqp://me:secret@h/0"}, environment={}))
    assert "secret" not in str(refused.value)


def test_the_acl_of_the_documentation_is_enough(redis_server: OwnRedis, root: Path) -> None:
    page = (root / "docs/how-to/workers.md").read_text("utf-8")
    words = next(line for line in page.splitlines() if line.startswith("user sightline")).split()[1:]
    assert redis_server.command("ACL", "SETUSER", *words).startswith("+OK")
    redis_server.command("FLUSHALL")
    url = redis_server.url.replace("//", "//sightline:password@")
    queue = open_queue(load_settings({"queue": url}, environment={}))
    assert queue.ping()
    assert queue.offer(ID)
    assert queue.waiting() == {ID}
    assert queue.take(0.5) == ID
    assert queue.take(0) is None
    client = redis.Redis.from_url(url)
    for forbidden in (("CONFIG", "GET", "*"), ("EVAL", "return 1", "0"), ("FLUSHALL",), ("GET", "other")):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*forbidden)
    client.close()
    queue.close()
