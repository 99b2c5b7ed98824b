"""One place for a child: has it forked, knows what it does, ends it, and has the next one forked."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sightline.settings import Settings
from sightline.worker.kin import start

if TYPE_CHECKING:
    import subprocess

_GRACE_S: Final = 10.0
"""A job that was taken away has so long to notice before its process is killed."""
_YOUNG_S: Final = 10.0
"""A child that dies younger is not started again at once."""
_PAUSE_MAX_S: Final = 30.0


class Ended:
    """How a child ended: with which job (id, fence), which one it had taken ahead, and why, if it was us."""

    def __init__(
        self, job: tuple[str, int] | None, ahead: tuple[str, int] | None, why: str, code: int
    ) -> None:
        """As named."""
        self.job, self.ahead, self.why, self.code = job, ahead, why, code

    @property
    def words(self) -> Mapping[str, str]:
        """The error of the job."""
        if self.why == "timeout":
            return {
                "code": "job_timeout",
                "message": "The job overran the time that one attempt may take, and was stopped.",
                "next_step": "Give it less to do at once, or raise `job_s`.",
            }
        how = f"signal {signal.Signals(-self.code).name}" if self.code < 0 else f"exit status {self.code}"
        return {
            "code": "worker_died",
            "message": f"The worker's process died of this job ({how}).",
            "next_step": "If it was SIGKILL, memory was short: give the worker more, or the job less.",
        }


class Slot:
    """All methods are called by the supervisor's one thread, which therefore is the keeper's parent."""

    def __init__(self, settings: Settings, tasks: str, name: str) -> None:
        """No child yet."""
        self._order = {"role": "child", "settings": asdict(settings), "tasks": tasks, "name": name}
        self._keeper: subprocess.Popen[bytes] | None = None
        self._line = self._orders = -1
        self._heard = b""
        self._child: int | None = None
        """Process id, once it is known."""
        self._ordered = False
        """Whether there is a child, or will be in a moment."""
        self._leaving = False
        self._ended: Ended | None = None
        self._began = 0.0
        self._not_before = 0.0
        self._deaths = 0
        self._kill_at: float | None = None
        self._why = ""
        self.job: tuple[str, int] | None = None
        """Id and fence of what the child works on."""
        self._ahead: tuple[str, int] | None = None
        """Of what it has taken for afterwards."""

    @property
    def line(self) -> int:
        """Descriptor that can be read when there is something to hear, while it is alive."""
        return self._line

    @property
    def alive(self) -> bool:
        """Whether there is a process."""
        return self._keeper is not None

    def ensure(self) -> None:
        """Have a child forked if there is none and it is time."""
        if self._ordered or time.monotonic() < self._not_before:
            return
        if self._keeper is None:
            self._start()
        self._ordered, self._began = True, time.monotonic()
        with contextlib.suppress(BrokenPipeError):  # it has just died; `step` will say so
            os.write(self._orders, b"F")

    def _start(self) -> None:
        ours, line = os.pipe()
        orders, self._orders = os.pipe()
        os.set_blocking(ours, False)
        try:
            self._keeper = start({**self._order, "line": line, "orders": orders}, [line, orders])
        finally:
            os.close(line)
            os.close(orders)
        self._line, self._heard = ours, b""

    def step(self) -> Ended | None:
        """Hear what is said, keep the child's times; how it ended, if it did."""
        if self._keeper is None:
            return None
        code = self._keeper.poll()
        self._hear()
        if code is not None:
            self._let_go()
            if self._ordered:
                self._bury(code)
        elif self._kill_at is not None and time.monotonic() >= self._kill_at:
            self.kill()
        ended, self._ended = self._ended, None
        return ended

    def ask_to_stop(self) -> None:
        """SIGTERM: hand the job back and leave; the keeper leaves after its child."""
        if self._keeper is not None and not self._leaving:
            self._leaving = True
            os.close(self._orders)
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the child and everything in its group; `step` will say that it ended."""
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child, signal.SIGKILL)
        elif self._keeper is not None and self._leaving:
            self._keeper.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, number)

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while heard := os.read(self._line, 65536):
                self._heard += heard
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            self._note(json.loads(line))

    def _note(self, words: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if "pid" in words:
            self._child = words["pid"]
            if self._leaving:
                self._signal(signal.SIGTERM)
        elif "died" in words:
            self._bury(words["died"])
        elif "began" in words:
            self.job, self._ahead = (words["began"], words["fence"]), None
            self._kill_at = now + words["limit_s"] if words["limit_s"] else None
            self._why = "timeout"
        elif "ahead" in words:
            self._ahead = (words["ahead"], words["fence"])
        elif "ended" in words:
            self.job, self._kill_at, self._why = None, None, ""
        elif self.job and words.get("stop") == self.job[0]:
            self._kill_at, self._why = min(now + _GRACE_S, self._kill_at or now + _GRACE_S), "stopped"

    def _let_go(self) -> None:
        """The keeper has ended, and with it its child."""
        self.kill()  # whatever the child started
        os.close(self._line)
        if not self._leaving:
            os.close(self._orders)
        self._keeper = None

    def _bury(self, code: int) -> None:
        """Note the end; the next child comes at once, unless they die young and idle, one after the other.

        A job that kills whoever takes it has its own end: its attempts.
        """
        now = time.monotonic()
        ours = self._kill_at is not None and now >= self._kill_at
        self._ended = Ended(self.job, self._ahead, self._why if ours else "", code)
        young = now - self._began < _YOUNG_S and self.job is None
        self._deaths = self._deaths + 1 if young else 0
        self._not_before = now + min(_PAUSE_MAX_S, 0.25 * 2**self._deaths) if young else 0.0
        self._child, self._ordered, self._kill_at, self._why = None, False, None, ""
        self.job, self._ahead = None, None
