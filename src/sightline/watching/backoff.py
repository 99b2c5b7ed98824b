"""How long to wait before a lost camera is tried again."""

from random import Random
from typing import Final

FIRST_S: Final = 1.0
MOST_S: Final = 60.0


class Backoff:
    """Doubles from `FIRST_S` to `MOST_S`, each wait shortened by a random part of up to a half.

    The jitter keeps ten watchers of one restarted camera from knocking together. A connection that lived
    longer than the last wait starts the count again; one that breaks at once does not.
    """

    def __init__(self, random: Random | None = None) -> None:
        """``random``: where the jitter comes from."""
        self._random = random or Random()  # noqa: S311 - a pause, not a secret
        self._next = FIRST_S
        self.failures = 0
        """Failures in a row."""

    def lost(self, lived_s: float) -> float:
        """The source was lost after so many seconds of pictures (0: none came); seconds to wait."""
        if lived_s > self._next:
            self._next, self.failures = FIRST_S, 0
        self.failures += 1
        wait, self._next = self._next, min(MOST_S, 2 * self._next)
        return wait * (1 - self._random.random() / 2)
