"""The workers of ``sightline serve``: started when there are jobs, gone when there are none.

For jobs an idle server keeps nothing but a thread that looks whether the database's file changed.
"""

import logging
import subprocess
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, Self

from sightline.settings import Settings
from sightline.storage.kept import DATABASE, FOLDER
from sightline.storage.outage import Outage
from sightline.storage.peek import Peek
from sightline.worker.kin import TASKS, start
from sightline.worker.presence import present

if TYPE_CHECKING:
    from sightline.jobs.ledger import Ledger

_LOOK_S: Final = 0.5
_LOOK_FAR_S: Final = 3.0
"""Another machine's database is asked less often."""
_IDLE_S: Final = 60.0
_PAUSE_MAX_S: Final = 30.0

_log = logging.getLogger(__name__)


class Crew:
    """A context: inside it, jobs are worked on."""

    def __init__(self, settings: Settings, *, tasks: str = TASKS, idle_s: float = _IDLE_S) -> None:
        """Nothing is started yet; with ``workers`` 0 nothing ever is."""
        self._settings = settings
        self._order = {
            "role": "supervisor",
            "settings": asdict(settings),
            "slots": settings.workers,
            "tasks": tasks,
            "idle_s": idle_s,
        }
        self._closing = threading.Event()
        self._there = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="crew", daemon=True)

    def __enter__(self) -> Self:
        """Begin to look for jobs."""
        if self._settings.workers:
            self._there.enter_context(present(self._settings))
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let the workers hand back what they have, and wait for them."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._there.close()

    @property
    def pid(self) -> int | None:
        """The supervisor's, while there is one."""
        process = self._process
        return None if process is None else process.pid

    def _keep(self) -> None:
        """The thread: whom it starts ends with it."""
        look = _Look(self._settings)
        failures, not_before = 0, 0.0
        try:
            while not self._closing.wait(look.pause_s):
                if self._process is not None:
                    code = self._process.poll()
                    if code is None:
                        continue
                    self._process = None
                    failures = failures + 1 if code else 0
                    not_before = time.monotonic() + min(_PAUSE_MAX_S, 0.5 * 2**failures) * bool(failures)
                if time.monotonic() >= not_before and look.work_waits():
                    self._process = start(self._order)
        finally:
            look.close()
            self._end()

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(self._settings.stop_s + 5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None


class _Look:
    """Whether there is anything to do, as cheaply as can be."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ledger: Ledger | None = None
        self._peek = Peek(settings.data_path / FOLDER / DATABASE)
        self._usual_s = self.pause_s = _LOOK_FAR_S if settings.database else _LOOK_S
        self._outage = Outage(_log, "Jobs wait", most_s=10.0)

    def work_waits(self) -> bool:
        """Whether rows wait, or seem to run (their worker may have vanished)."""
        try:
            found = self._peek.unfinished() if not self._settings.database else self._far()
        except Exception as error:  # noqa: BLE001 - the next look may work
            self.pause_s = max(self._usual_s, self._outage.failed(error))
            return False
        self._outage.worked()
        self.pause_s = self._usual_s
        return found

    def _far(self) -> bool:
        from sightline.jobs.ledger import Ledger  # noqa: PLC0415 - loads the database's library

        self._ledger = self._ledger or Ledger.open(self._settings)
        return self._ledger.unfinished() > 0

    def close(self) -> None:
        """Let go of the database."""
        if self._ledger is not None:
            self._ledger.close()
