"""One place for a child: starts it, knows what it does, ends it, and starts the next one."""

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
    """All methods are called by the supervisor's one thread, which therefore is the children's parent."""

    def __init__(self, settings: Settings, tasks: str, name: str) -> None:
        """No child yet."""
        self._order = {"role": "child", "settings": asdict(settings), "tasks": tasks, "name": name}
        self._process: subprocess.Popen[bytes] | None = None
        self._line = -1
        self._heard = b""
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
    def alive(self) -> bool:
        """Whether there is a child."""
        return self._process is not None

    def ensure(self) -> None:
        """Start a child if there is none and it is time."""
        if self._process is not None or time.monotonic() < self._not_before:
            return
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        try:
            self._process = start({**self._order, "line": theirs}, [theirs])
        finally:
            os.close(theirs)
        self._line, self._heard, self._began = ours, b"", time.monotonic()
        self._kill_at, self._why, self.job, self._ahead = None, "", None, None

    def step(self) -> Ended | None:
        """Hear what the child says, keep its times; how it ended, if it did."""
        if self._process is None:
            return None
        code = self._process.poll()
        self._hear()
        if code is not None:
            return self._bury(code)
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self.kill()
        return None

    def ask_to_stop(self) -> None:
        """SIGTERM: hand the job back and leave."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to the child and everything in its group; `step` will say that it ended."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while heard := os.read(self._line, 65536):
                self._heard += heard
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            self._note(json.loads(line))

    def _note(self, words: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if "began" in words:
            self.job, self._ahead = (words["began"], words["fence"]), None
            self._kill_at = now + words["limit_s"] if words["limit_s"] else None
            self._why = "timeout"
        elif "ahead" in words:
            self._ahead = (words["ahead"], words["fence"])
        elif "ended" in words:
            self.job, self._kill_at, self._why = None, None, ""
        elif self.job and words.get("stop") == self.job[0]:
            self._kill_at, self._why = min(now + _GRACE_S, self._kill_at or now + _GRACE_S), "stopped"

    def _bury(self, code: int) -> Ended:
        """Note the end; the next child comes at once, unless they die young and idle, one after the other.

        A job that kills whoever takes it has its own end: its attempts.
        """
        assert self._process is not None
        self.kill()  # whatever it started
        os.close(self._line)
        now = time.monotonic()
        ours = self._kill_at is not None and now >= self._kill_at
        ended = Ended(self.job, self._ahead, self._why if ours else "", code)
        young = now - self._began < _YOUNG_S and self.job is None
        self._deaths = self._deaths + 1 if young else 0
        self._not_before = now + min(_PAUSE_MAX_S, 0.25 * 2**self._deaths) if young else 0.0
        self._process, self.job, self._kill_at = None, None, None
        return ended
