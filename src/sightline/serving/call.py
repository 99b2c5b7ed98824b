"""One caller's claim on an answer: a deadline, and the right to walk away."""

import threading
import time
from collections.abc import Callable
from typing import Self

from sightline.errors import DeadlineExceeded


class Call:
    """Lives from the moment a request is let in until it is answered.

    ``cancel`` may be called from any thread; work that has not begun is then never done, and
    whoever waits for it gets ``DeadlineExceeded`` at once.
    """

    def __init__(self, deadline_s: float = float("inf"), leave: Callable[[], None] | None = None) -> None:
        """Begin a call that must end ``deadline_s`` seconds from now; ``leave`` runs once when it is over."""
        self.began = time.monotonic()
        self.deadline = self.began + deadline_s
        self._leave = leave
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether the caller has gone."""
        return self._cancelled

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; negative when it has passed."""
        return self.deadline - time.monotonic()

    def cancel(self) -> None:
        """The caller has gone."""
        with self._lock:
            self._cancelled = True
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()

    def on_cancel(self, listener: Callable[[], None]) -> None:
        """Be told when the caller goes (at once, if it has gone)."""
        with self._lock:
            if not self._cancelled:
                self._listeners.append(listener)
                return
        listener()

    def check(self) -> None:
        """Ask between two stages whether the answer is still wanted.

        Raises:
            DeadlineExceeded: It is not.
        """
        if self._cancelled:
            raise DeadlineExceeded("The caller left before the answer was ready.")
        if self.left_s <= 0:
            late = time.monotonic() - self.began
            raise DeadlineExceeded(f"The answer was not ready within the deadline; {late:.1f} s have passed.")

    def close(self) -> None:
        """The call is over; its place is free. Closing twice is harmless."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
