"""Carries what rules have to say: one thread that asks the database what is due, and tries again later.

The database is the line, so nothing is lost when the process dies: an attempt whose holder vanished is due
again when its lease has passed, and only who holds the attempt may write down how it ended. A receiver may
hence get a message twice, with the same ``webhook-id``; it is marked as delivered once.
"""

import logging
import random
import threading
from typing import TYPE_CHECKING, Final

from sightline.rules.acting import COMMAND_S, Attempt, act
from sightline.settings import Settings
from sightline.storage import rule_rows
from sightline.storage.database import Database
from sightline.storage.outage import Outage

if TYPE_CHECKING:
    from sightline.storage.rule_kept import DeliveryState

WAITS_S: Final = (5.0, 30.0, 120.0, 600.0, 3600.0, 6 * 3600.0, 12 * 3600.0)
"""After each attempt that failed, about so long until the next; after the last of them it has failed."""
VANISHED: Final = Attempt(
    done=False, status=None, answer="Whoever tried was gone each time before it could say how it went."
)
"""Of a delivery that has been tried as often as may be, without an end: it may be what ends those who try."""
_LOOK_S: Final = 1.0
_TIDY_EVERY: Final = 600
_log = logging.getLogger(__name__)


class Courier:
    """Delivers in the background from `start` to `close`."""

    def __init__(
        self, database: Database, settings: Settings, *, waits_s: tuple[float, ...] = WAITS_S
    ) -> None:
        self._database, self._settings, self._waits_s = database, settings, waits_s
        self._lease_s = COMMAND_S + settings.fetch_total_s + 30.0
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; starting twice is harmless."""
        with self._starting:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._work, name="courier", daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """Something is due now."""
        self._woken.set()

    def close(self) -> None:
        """End after the attempt under way."""
        self._stop.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(timeout=self._lease_s)

    def deliver_one(self) -> bool:
        """Try what has been due longest; false when nothing is due."""
        if not self._database.read(rule_rows.is_due):
            return False
        taken = self._database.write(lambda it: rule_rows.claim(it, lease_s=self._lease_s))
        if taken is None:
            return False
        one, action, secret = taken
        most = len(self._waits_s) + 1
        attempt = act(one, action, secret, self._settings) if one.attempts <= most else VANISHED
        wait_s = self._wait_s(one.attempts)
        over = attempt.final or wait_s is None
        state: DeliveryState = "delivered" if attempt.done else "failed" if over else "waiting"
        ended = rule_rows.Ended(state, attempt.status, attempt.answer, wait_s or 0.0)
        self._database.write(lambda it: rule_rows.finish(it, one, ended))
        return True

    def _wait_s(self, attempts: int) -> float | None:
        """Seconds until the next attempt, a little at random so that not all come at once; None: enough."""
        if attempts > len(self._waits_s):
            return None
        return self._waits_s[attempts - 1] * random.uniform(0.8, 1.2)  # noqa: S311 - not a secret

    def _work(self) -> None:
        rounds = 0
        outage = Outage(_log, "Deliveries wait")
        while not self._stop.is_set():
            try:
                if rounds % _TIDY_EVERY == 0:
                    self._database.write(rule_rows.tidy)
                while not self._stop.is_set() and self.deliver_one():
                    pass
            except Exception as error:  # noqa: BLE001 - a database that is away may be back in a moment
                self._stop.wait(outage.failed(error))
            else:
                outage.worked()
            rounds += 1
            self._woken.wait(_LOOK_S)
            self._woken.clear()
