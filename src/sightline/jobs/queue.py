"""What a line of job ids must do. The database is the truth: a queue may lose, repeat or reorder ids."""

from typing import Protocol


class JobQueue(Protocol):
    """Ids go in, ids come out. Thread-safe. No call takes longer than two seconds, ``take`` its timeout more.

    A queue out of reach never raises: ``offer`` answers ``False``, ``take`` and ``waiting`` ``None``. The
    reaper offers again what the queue does not know, and workers look into the database from time to time.
    """

    def offer(self, job_id: str, priority: int = 0) -> bool:
        """Put an id into the line; ``False`` when the queue is out of reach."""

    def take(self, timeout_s: float) -> str | None:
        """A sign that there may be work: the next id, waited for at most so long."""

    def waiting(self) -> set[str] | None:
        """The ids in the line; ``None``: out of reach, or there is no line beside the database."""

    def ping(self) -> bool:
        """Whether the queue can be reached."""

    def close(self) -> None:
        """Let go of connections."""
