"""A database that is away, for loops that nobody waits for: one line when it goes, one when it is back."""

import logging
import threading
from typing import Final

from sightline.errors import SightlineError

_PAUSE_FIRST_S: Final = 1.0


class Outage:
    """Says once that the database is away, once that it is back, and how long to wait before the next look.

    For loops that nobody waits for. Thread-safe.
    """

    def __init__(self, log: logging.Logger, what: str, *, most_s: float = 30.0) -> None:
        """``what``: how the words begin, such as ``Deliveries wait``."""
        self._log, self._what, self._most_s = log, what, most_s
        self._lock = threading.Lock()
        self._failures = 0

    def failed(self, error: Exception) -> float:
        """Note a failure; seconds to wait before the next try. A defect is logged with its trace."""
        with self._lock:
            self._failures += 1
            first = self._failures == 1
            pause = min(self._most_s, _PAUSE_FIRST_S * 2.0 ** min(10, self._failures - 1))
        if first:
            if isinstance(error, SightlineError):
                self._log.warning("%s until the database can be used: %s", self._what, error)
            else:
                self._log.error("%s: an unforeseen error; tried again", self._what, exc_info=error)
        return pause

    def worked(self) -> None:
        """Note that it works; said if it did not before."""
        with self._lock:
            again, self._failures = self._failures > 0, 0
        if again:
            self._log.warning("%s no longer: the database can be used again.", self._what)
