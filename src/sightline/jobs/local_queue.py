"""The line without a server beside the database: the rows that wait *are* the line.

Workers look into the database several times a second, which costs one indexed query; within one process a
submitted job wakes them at once.
"""

import threading
from typing import Final

_LOOK_S: Final = 0.25


class LocalQueue:
    """See `sightline.jobs.queue.JobQueue`."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._changed = threading.Event()

    def offer(self, job_id: str, priority: int = 0) -> bool:
        """The row is in the line already; only wake who waits."""
        del job_id, priority
        self._changed.set()
        return True

    def take(self, timeout_s: float) -> str | None:
        """Wait a moment; no id, for the database knows better which one is next."""
        self._changed.wait(min(timeout_s, _LOOK_S))
        self._changed.clear()
        return None

    def waiting(self) -> set[str] | None:
        """There is no line beside the database."""
        return None

    def ping(self) -> bool:
        """Always."""
        return True

    def close(self) -> None:
        """Nothing is held."""
        self._changed.set()
