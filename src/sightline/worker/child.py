"""The process that does the work: one job after the other, with models that stay loaded."""

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from sightline.errors import ConfigError, Conflict, InputError, ModelRefused, NotFound, SightlineError
from sightline.jobs.ledger import Ledger
from sightline.jobs.stops import HandBack, Stop
from sightline.settings import Settings
from sightline.storage.job_kept import Claim
from sightline.storage.outage import Outage
from sightline.worker.desk import Desk

if TYPE_CHECKING:
    from sightline.worker.tasks import Task

_IDLE_S: Final = 1.0
"""Even while the queue says nothing, the database is asked so often."""
_LOOK_S: Final = 1.0
"""How soon a running job learns that it was cancelled."""
FINAL: Final = (InputError, NotFound, ConfigError, Conflict, ModelRefused)
"""Trying again would end in the same way."""

_log = logging.getLogger(__name__)


def tasks_of(entry: str) -> "Mapping[str, Task]":
    """The table that ``module:name`` names."""
    module, _, name = entry.partition(":")
    table: Mapping[str, Task] = getattr(import_module(module), name)
    return table


def load(settings: Settings, tasks: str) -> None:
    """Import what every child needs, and open nothing."""
    tasks_of(tasks)
    with Ledger.open(settings) as ledger:
        ledger.database.load()


class Child:
    """Claims, works, finishes, until it is told to stop. Its supervisor hears of each job by one line."""

    def __init__(self, settings: Settings, tasks: str, name: str, line: int) -> None:
        """Open the ledger; nothing is loaded for work that may never come."""
        self._tasks = tasks_of(tasks)
        self._name = name
        self._line = line
        self._ledger = Ledger.open(settings)
        self._desk = Desk(settings, self._ledger)
        self._outage = Outage(_log, "A worker waits", most_s=5.0)
        self._lease_s = settings.lease_s
        self._current: Claim | None = None
        self._ahead: Claim | None = None
        """Taken while the current one nears its end; the next one."""
        self._desk.take_ahead = self._take_ahead
        signal.signal(signal.SIGTERM, lambda *_: self._desk.stopping.set())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=self._watch, name="lease", daemon=True).start()

    def run(self) -> None:
        """Until SIGTERM."""
        worked = True  # as far as we know there is something to do
        while not self._desk.stopping.is_set():
            claimed, self._ahead = self._ahead or self._next(0.0 if worked else _IDLE_S), None
            worked = claimed is not None
            if claimed is not None:
                self._tell({"began": claimed.job.id, "fence": claimed.fence, "limit_s": claimed.job.limit_s})
                self._do(claimed)
                self._tell({"ended": claimed.job.id})
        if (ahead := self._ahead) is not None:
            self._settle(lambda: self._ledger.hand_back(ahead))
        self._desk.close()
        self._ledger.close()

    def _next(self, wait_s: float) -> Claim | None:
        """The best of the line. What the queue says is a sign only: it may be lost, old or repeated."""
        try:
            self._ledger.queue.take(wait_s)
            claimed = self._ledger.claim(self._name, tuple(self._tasks))
        except Exception as error:  # noqa: BLE001 - whatever it is, the next round may work
            self._desk.stopping.wait(self._outage.failed(error))
            return None
        self._outage.worked()
        if claimed is not None:
            self._desk.tell(claimed, "go")
        return claimed

    def _take_ahead(self) -> Claim | None:
        """The next job, while the current one is not quite done; the supervisor hears of it."""
        if self._ahead is None and not self._desk.stopping.is_set():
            self._ahead = self._next(0.0)
            if self._ahead is not None:
                self._tell({"ahead": self._ahead.job.id, "fence": self._ahead.fence})
        return self._ahead

    def _do(self, claimed: Claim) -> None:
        self._current = claimed
        try:
            result = self._tasks[claimed.job.kind](self._desk, claimed)
            self._settle(lambda: self._ledger.finish(claimed, result))
        except HandBack:
            self._settle(lambda: self._ledger.hand_back(claimed))
        except Stop:
            pass  # whoever took it away has written why
        except SightlineError as error:
            self._fail(claimed, error, retry=not isinstance(error, FINAL))
        except Exception:  # noqa: BLE001 - a task's defect ends the task, not the worker
            _log.exception("Job %s (%s) failed.", claimed.job.id, claimed.job.kind)
            self._fail(
                claimed, _Defect("Sightline failed on this job; the worker's log says why."), retry=True
            )
        finally:
            self._current = None

    def _fail(self, claimed: Claim, error: SightlineError, *, retry: bool) -> None:
        words = {"code": error.code, "message": error.message, "next_step": error.next_step}
        self._settle(lambda: self._ledger.fail(claimed, words, retry=retry))

    def _settle(self, write: Callable[[], bool]) -> None:
        """Write how an attempt ended, also when the database is away for a moment."""
        end = time.monotonic() + self._lease_s
        while True:
            try:
                write()
            except Exception:  # noqa: BLE001 - the database is away; the lease has time left
                if time.monotonic() > end:
                    _log.exception("How a job ended could not be written; it will be done again.")
                    return
                time.sleep(_LOOK_S)
            else:
                return

    def _watch(self) -> None:
        """Extend the lease while a job runs, and learn when somebody cancelled it or took it away."""
        renewed = time.monotonic()
        while True:
            time.sleep(min(_LOOK_S, self._lease_s / 3))
            renew = time.monotonic() - renewed >= self._lease_s / 3
            if renew:
                renewed = time.monotonic()
            for claimed in (self._current, self._ahead):
                if claimed is not None:
                    self._ask(claimed, self._ledger.renew if renew else self._ledger.verdict)

    def _ask(self, claimed: Claim, ask: Callable[[Claim], str]) -> None:
        try:
            verdict = ask(claimed)
        except Exception as error:  # noqa: BLE001 - the database is away; the lease has time left
            _log.warning("A lease could not be renewed: %s", type(error).__name__)
            return
        if verdict != "go" and claimed in (self._current, self._ahead):
            self._desk.tell(claimed, verdict)
            self._tell({"stop": claimed.job.id})

    def _tell(self, words: Mapping[str, Any]) -> None:
        os.write(self._line, json.dumps(words).encode() + b"\n")


class _Defect(SightlineError):
    """A defect of Sightline itself, without its text: that may hold paths."""

    code = "internal"
    default_next_step = "Read the worker's log and report it."
