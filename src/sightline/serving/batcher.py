"""Many callers, few calls of the engine.

A short line in front of an engine's lanes. Each lane has one runner thread that does little but
run the engine. When several runners are free, they share the line instead of one taking all of it.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sightline.errors import Busy, DeadlineExceeded, ModelFailed, SightlineError
from sightline.manifest import InputContract
from sightline.runtime.engine import Engine, Outputs, Tensor
from sightline.serving.buffer import InputBuffer
from sightline.serving.call import Call

_CHANNELS = 3


class Retired(Busy):
    """The batcher takes no more pictures; ask the pool for the model again."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How the line is kept."""

    batch: int = 1
    """Most pictures in one call of the engine."""
    wait_s: float = 0.0
    """How long a picture waits for company once a runner is free."""
    waiting: int = 64
    """Pictures in the line; one more is refused."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Raw outputs about one picture, and how long they took (milliseconds)."""

    outputs: Outputs
    infer_ms: float


@dataclass(slots=True, eq=False)
class _Job:
    tensor: Tensor
    call: Call
    since: float = field(default_factory=time.monotonic)
    done: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None
    error: SightlineError | None = None

    def finish(self, outcome: Answer | SightlineError) -> None:
        if isinstance(outcome, Answer):
            self.answer = outcome
        else:
            self.error = outcome
        self.done.set()


class Batcher:
    """The line in front of one engine."""

    def __init__(self, engine: Engine, contract: InputContract, rules: Rules) -> None:
        self._engine, self._contract, self._rules = engine, contract, rules
        self._most = max(1, min(rules.batch, engine.max_batch or rules.batch))
        self._pixels = self._most * contract.width * contract.height
        self._line: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._idle = 0
        self._closed = False
        self._pace_s = 0.05
        self._quiet_since = time.monotonic()
        self._runners = [
            threading.Thread(target=self._work, name=f"runner-{lane}", daemon=True)
            for lane in range(max(1, engine.info.lanes))
        ]
        for runner in self._runners:
            runner.start()

    @property
    def width(self) -> int:
        """Pictures that can be in the engine at once."""
        return self._most * len(self._runners)

    def room(self, pixels: int) -> int:
        """Most pictures of so many pixels in one call.

        The plan's number is measured at the model's usual size. Of larger pictures fewer go together, so
        that a call takes about as long, and as much memory, whatever the size.
        """
        return min(self._most, max(1, self._pixels // pixels))

    @property
    def waiting(self) -> int:
        """Pictures in the line."""
        return len(self._line)

    @property
    def quiet_s(self) -> float:
        """Seconds since the last picture came or went; 0 while any is being computed."""
        with self._changed:
            working = self._idle < len(self._runners) or self._line
            return 0.0 if working else time.monotonic() - self._quiet_since

    def submit(self, tensor: Tensor, call: Call) -> Answer:
        """Wait in line and be answered.

        Args:
            tensor: One picture as the engine wants it, without a batch axis.
            call: The caller's claim.

        Raises:
            Busy: The line is full.
            DeadlineExceeded: The answer did not come in time, or the caller left.
            ModelFailed: The model broke on this picture.
        """
        return self.submit_all([tensor], call)[0]

    def submit_all(self, tensors: Sequence[Tensor], call: Call) -> list[Answer]:
        """Several pictures of one caller, put in line at once, so that they are computed together.

        Raises:
            SightlineError: As `submit`; of the first picture that has no answer.
        """
        jobs = [_Job(tensor, call) for tensor in tensors]
        with self._changed:
            if self._closed:
                raise Retired("The model is being replaced.", retry_after_s=0.1)
            if self._line and len(self._line) + len(jobs) > self._rules.waiting:
                raise self._full()
            self._line.extend(jobs)
            self._changed.notify(len(jobs))
        return [self._answer(job, call) for job in jobs]

    def _answer(self, job: _Job, call: Call) -> Answer:
        call.on_cancel(job.done.set)
        job.done.wait(min(max(call.left_s, 0.0), threading.TIMEOUT_MAX))
        if job.error is not None:
            raise job.error
        if job.answer is None:
            self._forget(job)
            call.check()
            raise DeadlineExceeded("The answer was not ready within the deadline.")
        return job.answer

    def close(self, *, drain: bool = True) -> None:
        """Take no more pictures, end the runners and close the engine.

        Args:
            drain: Compute what is in the line first; otherwise those callers get ``Busy``.
        """
        with self._changed:
            self._closed = True
            dropped = [] if drain else list(self._line)
            if not drain:
                self._line.clear()
            self._changed.notify_all()
        for job in dropped:
            job.finish(Busy("The server is stopping before this picture's turn came.", retry_after_s=5))
        for runner in self._runners:
            runner.join(timeout=30)
        if not any(runner.is_alive() for runner in self._runners):
            self._engine.close()

    def _full(self) -> Busy:
        ahead = len(self._line) / self.width
        return Busy(
            f"The line is full: {len(self._line)} pictures are waiting.",
            retry_after_s=max(0.1, round(ahead * self._pace_s, 1)),
        )

    def _forget(self, job: _Job) -> None:
        with self._changed:
            if job in self._line:
                self._line.remove(job)

    def _work(self) -> None:
        buffer = InputBuffer(self._contract, self._most)
        while (jobs := self._take()) is not None:
            self._run(jobs, buffer)

    def _take(self) -> list[_Job] | None:
        """The next batch; ``None`` when the batcher is closed and the line is done."""
        with self._changed:
            self._idle += 1
            self._quiet_since = time.monotonic()
            try:
                while True:
                    while not self._line:
                        if self._closed:
                            return None
                        self._changed.wait()
                    self._wait_for_company()
                    if jobs := self._pick():
                        if self._line:  # what was left is for a runner that may have slept through its call
                            self._changed.notify()
                        return jobs
            finally:
                self._idle -= 1

    def _wait_for_company(self) -> None:
        until = self._line[0].since + self._rules.wait_s
        while self._most > 1 and 0 < len(self._line) < self._most and not self._closed:
            left = until - time.monotonic()
            if left <= 0:
                return
            self._changed.wait(left)

    def _pick(self) -> list[_Job]:
        """Take this runner's share of the line: pictures of one shape whose callers still wait.

        The first in the line is always taken. Pictures of other shapes are passed over and keep their
        places: callers who ask for two sizes by turns would otherwise all be computed one by one.
        """
        share = -(-len(self._line) // self._idle)
        jobs: list[_Job] = []
        passed: list[_Job] = []
        while self._line and len(jobs) < share:
            job = self._line.popleft()
            if job.call.cancelled or job.call.left_s <= 0:
                job.done.set()
            elif not jobs:
                jobs.append(job)
                share = min(share, self.room(job.tensor.size // _CHANNELS))
            elif job.tensor.shape == jobs[0].tensor.shape:
                jobs.append(job)
            else:
                passed.append(job)
        self._line.extendleft(reversed(passed))
        return jobs

    def _run(self, jobs: list[_Job], buffer: InputBuffer) -> None:
        try:
            for job, answer in zip(jobs, self._compute(jobs, buffer), strict=True):
                job.finish(answer)
        except SightlineError as error:
            self._fail(jobs, buffer, error)
        except Exception as error:  # noqa: BLE001 - a runner must outlive whatever one batch does to it
            self._fail(jobs, buffer, ModelFailed(f"The model broke while running: {type(error).__name__}."))

    def _fail(self, jobs: list[_Job], buffer: InputBuffer, error: SightlineError) -> None:
        """One picture that breaks the model must not take its neighbours along."""
        if len(jobs) == 1:
            jobs[0].finish(error)
            return
        for job in jobs:
            if job.call.cancelled or job.call.left_s <= 0:  # a batch that took too long took their time too
                job.finish(error)
            else:
                self._run([job], buffer)

    def _compute(self, jobs: list[_Job], buffer: InputBuffer) -> list[Answer]:
        began = time.perf_counter()
        outputs = self._engine.run(buffer.gather([job.tensor for job in jobs]))
        took = time.perf_counter() - began
        self._pace_s += 0.1 * (took - self._pace_s)
        return [Answer(part, 1e3 * took) for part in _split(outputs, len(jobs))]


def _split(outputs: Outputs, n: int) -> list[Outputs]:
    """Rows of a batch, each with a leading axis of 1; a single picture's outputs stay as they are."""
    if n == 1:
        return [outputs]
    if any(value.ndim == 0 or len(value) != n for value in outputs.values()):
        raise ModelFailed(f"The model does not keep {n} pictures apart in its outputs.")
    return [{name: value[row : row + 1] for name, value in outputs.items()} for row in range(n)]
