"""The supervisor: keeps its children alive, bounds their times, and looks after the line for all workers."""

import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sightline.jobs.ledger import Ledger
from sightline.settings import Settings
from sightline.storage.job_kept import Claim
from sightline.storage.outage import Outage
from sightline.worker.kin import TASKS
from sightline.worker.presence import present
from sightline.worker.slot import Ended, Slot

_STEP_S: Final = 0.1
_REAP_S: Final = 2.0
_EXPIRE_S: Final = 600.0

_log = logging.getLogger(__name__)


def work(
    settings: Settings,
    *,
    slots: int,
    tasks: str = TASKS,
    idle_s: float = 0.0,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Work until SIGTERM or SIGINT; or, with ``idle_s``, until there was nothing to do for so long.

    Running jobs are handed back when it stops. ``started`` is called once that is sure. Must be called in
    the main thread.
    """
    supervisor = Supervisor(settings, slots=slots, tasks=tasks, idle_s=idle_s)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    started()
    with present(settings):
        supervisor.run()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # all is handed back: another signal must not look like a crash


class Supervisor:
    """One parent and its children."""

    def __init__(self, settings: Settings, *, slots: int, tasks: str = TASKS, idle_s: float = 0.0) -> None:
        """Nothing is started yet."""
        self._settings = settings
        self._ledger = Ledger.open(settings)
        self._idle_s = idle_s
        self._stops = 0
        self._stopping = threading.Event()
        self._needed = time.monotonic()
        name = f"{socket.gethostname()}:{os.getpid()}"
        shared = _shared(settings, slots)
        self._slots = [Slot(shared, tasks, f"{name}/{number}") for number in range(slots)]

    def run(self) -> None:
        """Until `stop`, or until it is idle."""
        keeper = threading.Thread(target=self._look_after, name="reaper", daemon=True)
        keeper.start()
        while not self._stopping.is_set():
            for slot in self._slots:
                slot.ensure()
            self._step()
            if self._idle_s and time.monotonic() - self._needed > self._idle_s and not self._wanted():
                self._stopping.set()
            self._listen()
        self._wind_down()
        keeper.join(5)
        self._ledger.close()

    def stop(self) -> None:
        """Wind down; the second call does not wait for jobs to be handed back by their children."""
        self._stops += 1
        self._stopping.set()

    def _wanted(self) -> bool:
        """Whether something came since the last look: a child that starts slowly has not taken it yet."""
        self._needed = time.monotonic()
        try:
            return bool(self._ledger.unfinished())
        except Exception:  # noqa: BLE001 - out of reach: whoever starts us asks it too
            return True

    def _step(self) -> None:
        for slot in self._slots:
            ended = slot.step()
            if slot.job is not None:
                self._needed = time.monotonic()
            if ended is not None:
                if not self._stopping.is_set():
                    slot.ensure()  # first: the others wait for it, and writing takes a while
                self._note(ended)

    def _listen(self) -> None:
        """Until a child says something, or a step is over."""
        lines = [slot.line for slot in self._slots if slot.alive]
        select.select(lines, [], [], _STEP_S)

    def _note(self, ended: Ended) -> None:
        """The child cannot say any more how its job ended."""
        if ended.ahead is not None:
            self._write(ended.ahead, self._ledger.hand_back)
        if ended.job is None or ended.why == "stopped":
            return
        _log.warning("Job %s ended its worker: %s", ended.job[0], ended.words["message"])
        if self._stopping.is_set():
            self._write(ended.job, self._ledger.hand_back)
        else:
            self._write(ended.job, lambda it: self._ledger.fail(it, ended.words, retry=True))

    def _write(self, job: tuple[str, int], write: Callable[[Claim], bool]) -> None:
        """Write how an attempt ended, if it is not written already."""
        try:
            attempt = self._ledger.attempt(*job)
            if attempt is not None:
                write(attempt)
        except Exception:  # noqa: BLE001 - the lease ends by itself
            _log.exception("That could not be written; the job will be taken back when its lease has passed.")

    def _wind_down(self) -> None:
        end = time.monotonic() + self._settings.stop_s
        for slot in self._slots:
            slot.ask_to_stop()
        while any(slot.alive for slot in self._slots):
            if time.monotonic() > end or self._stops > 1:
                for slot in self._slots:
                    slot.kill()
            self._step()
            time.sleep(_STEP_S / 2)

    def _look_after(self) -> None:
        """Reap every two seconds, expire every ten minutes."""
        expired = -_EXPIRE_S
        outage = Outage(_log, "Looking after the jobs waits")
        while not self._stopping.is_set():
            try:
                done = self._ledger.reap()
                if done.requeued or done.buried:
                    _log.warning("Workers vanished: %s jobs wait again, %s dead.", done.requeued, done.buried)
                if time.monotonic() - expired > _EXPIRE_S:
                    self._ledger.expire()
                    expired = time.monotonic()
            except Exception as error:  # noqa: BLE001 - the next round may work
                self._stopping.wait(max(_REAP_S, outage.failed(error)))
            else:
                outage.worked()
                self._stopping.wait(_REAP_S)


def _shared(settings: Settings, slots: int) -> Settings:
    """The processors are shared out to the children."""
    each = max(1, len(os.sched_getaffinity(0)) // max(1, slots))
    return replace(settings, threads=settings.threads or each, decoders=settings.decoders or min(4, each))
