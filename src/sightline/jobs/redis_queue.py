"""The line in Redis, in RQ's own format: workers on many machines, and RQ's tools show how long it is.

Only ids travel. Whoever can write to Redis must not be able to run code here: entries are JSON (RQ's default
is pickle), exactly one function name is accepted and it is never imported, and callbacks, webhooks and RQ's
own worker are not used. ``docs/decisions/0008-jobs.md`` says why.
"""

import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NoReturn, TypeVar

from sightline.errors import ConfigError, how_to_add

try:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as RedisGone
    from redis.exceptions import RedisError
    from redis.retry import Retry
    from rq.exceptions import NoSuchJobError
    from rq.job import Job as Entry
    from rq.queue import DequeueTimeout, Queue
    from rq.serializers import JSONSerializer
except ImportError as error:
    raise ConfigError(
        f"A queue in Redis needs a library that is not installed ({error.name}).",
        next_step=how_to_add("cluster"),
    ) from error

T = TypeVar("T")

LINE: Final = "sightline"
"""Name of the queue in RQ."""
FUNCTION: Final = "sightline.jobs.redis_queue.only_a_sightline_worker_runs_this"
_ID: Final = re.compile(r"[0-9a-f]{32}")
_CONNECT_S: Final = 0.8
_ANSWER_S: Final = 1.0
_BLOCK_S: Final = 0.5
"""Redis must answer a blocking call before the client gives up on the socket."""
_REST_S: Final = 2.0
_REST_MAX_S: Final = 15.0
"""After a failure Redis is left alone, twice as long each time: a paused one costs every call its timeout.
Nobody waits for it: workers look into the database, and a reaper refills the line within this time."""
_FORGET_S: Final = 86_400

_log = logging.getLogger(__name__)


def only_a_sightline_worker_runs_this(job_id: str) -> NoReturn:
    """What an entry names. RQ's own worker gets here; it has neither the models nor the claim."""
    raise RuntimeError(f"Job {job_id} is for `sightline worker`, which takes it from the database.")


class _Entry(Entry):  # type: ignore[misc]  # RQ is untyped to us
    """RQ's job, which can name one function only and never imports even that."""

    @property
    def func(self) -> Callable[[str], NoReturn]:
        if self.func_name != FUNCTION:
            raise ValueError("Entries of this queue name one function only.")
        return only_a_sightline_worker_runs_this


class RedisQueue:
    """See `sightline.jobs.queue.JobQueue`."""

    def __init__(self, url: str) -> None:
        """Nothing is connected yet.

        Raises:
            ConfigError: The URL is none of Redis.
        """
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise ConfigError(
                f"queue must be `local` or an address of Redis, got {url.rsplit('@', maxsplit=1)[-1]!r}.",
                next_step="Write it as `redis://host:6379/0`, or `rediss://` for TLS.",
            )
        try:
            self._redis: Any = Redis.from_url(
                url,
                socket_connect_timeout=_CONNECT_S,
                socket_timeout=_ANSWER_S,
                retry=Retry(NoBackoff(), 1, supported_errors=(RedisGone,)),  # a connection that a restart cut
            )
        except ValueError as error:
            raise ConfigError("queue is no address of Redis.") from error
        self._line: Any = Queue(LINE, connection=self._redis, job_class=_Entry, serializer=JSONSerializer)
        self._down_until = 0.0
        self._rest_s = _REST_S

    def offer(self, job_id: str, priority: int = 0) -> bool:
        """Push the entry, in front of all others if it is urgent."""

        def push() -> bool:
            entry = _Entry.create(
                FUNCTION, args=[job_id], id=job_id, connection=self._redis, serializer=JSONSerializer
            )
            pipeline = self._redis.pipeline()
            self._line.enqueue_job(entry, pipeline=pipeline, at_front=priority > 0)
            pipeline.expire(entry.key, _FORGET_S)
            pipeline.execute()
            return True

        return self._try(push) or False

    def take(self, timeout_s: float) -> str | None:
        """Pop the next entry; one that is not ours is thrown away."""
        if self._resting:
            time.sleep(min(timeout_s, _BLOCK_S))
            return None
        blocked = max(0.05, min(timeout_s, _BLOCK_S)) if timeout_s > 0 else None

        def pop() -> str | None:
            with suppress(DequeueTimeout):
                found = Queue.lpop([self._line.key], blocked, connection=self._redis)
                return found and self._read(bytes(found[1]).decode("utf-8", "replace"))
            return None

        return self._try(pop)

    def _read(self, entry_id: str) -> str | None:
        """The id that an entry carries, if it is one of ours; the entry is forgotten either way."""
        if not _ID.fullmatch(entry_id):
            _log.warning("An entry of the queue %r has no id of a job and was thrown away.", LINE)
            return None
        try:
            entry = _Entry.fetch(entry_id, connection=self._redis, serializer=JSONSerializer)
            ours = entry.func_name == FUNCTION and list(entry.args) == [entry_id] and not entry.kwargs
        except RedisError:
            raise
        except NoSuchJobError:  # it was offered twice, and the first sign has been read
            return None
        except Exception:  # noqa: BLE001 - whatever somebody else wrote there; it is not even looked at
            ours = False
        self._redis.delete(_Entry.key_for(entry_id))
        if not ours:
            _log.warning(
                "The entry %s of the queue %r is not Sightline's and was thrown away.", entry_id, LINE
            )
            return None
        return entry_id

    def waiting(self) -> set[str] | None:
        """All ids in the line."""
        return self._try(lambda: set(self._line.get_job_ids()))

    def ping(self) -> bool:
        """Ask now, even while Redis is left alone."""
        self._down_until = 0.0
        return bool(self._try(self._redis.ping))

    def close(self) -> None:
        """Close the connections."""
        with suppress(RedisError):
            self._redis.close()

    @property
    def _resting(self) -> bool:
        return time.monotonic() < self._down_until

    def _try(self, work: Callable[[], T]) -> T | None:
        if self._resting:
            return None
        try:
            found = work()
        except RedisError as error:
            self._down_until = time.monotonic() + self._rest_s
            self._rest_s = min(_REST_MAX_S, 2 * self._rest_s)
            _log.warning("Redis is out of reach; jobs go on from the database: %s", error)
            return None
        self._rest_s = _REST_S
        return found
