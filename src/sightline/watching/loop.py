"""One watcher: looks at one source for as long as it is wanted, whatever becomes of the source.

A camera that is lost is opened again after a pause that grows (`Backoff`); a file that is over is over. A
picture that cannot be read is told and the next is taken; a model that fails ends the watcher. Nothing that
happens to one watcher reaches another: each runs in a thread of its own and ends in words.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from sightline.errors import (
    Busy,
    ConfigError,
    DeadlineExceeded,
    InputError,
    ModelFailed,
    ModelRefused,
    NotFound,
    SightlineError,
)
from sightline.formats.selection import narrowed
from sightline.serving.parallel import in_order
from sightline.serving.road import Road
from sightline.types import Ask, Frame, Result
from sightline.watching.backoff import Backoff
from sightline.watching.motion import CELLS, Motion, MotionGate, grey
from sightline.watching.opening import Opener
from sightline.watching.shot import Eye, Shot
from sightline.watching.source import Source

_FATAL: Final = (ConfigError, ModelFailed, ModelRefused, NotFound)
"""What trying again does not mend."""
_PASSING: Final = (InputError, Busy, DeadlineExceeded)
"""What is about one picture."""
MOTION_S: Final = 0.5
"""With the motion gate on, pictures are compared at least this often, however seldom one is looked at."""
_SMALL: Final = (2 * CELLS, 2 * CELLS)


@dataclass(frozen=True, slots=True)
class Plan:
    """How one source is watched."""

    source: Source
    every_s: float = 10.0
    """Seconds from look to look; of a file, seconds of the video. 0: every frame, or as fast as answers
    come."""
    motion: bool = False
    """Look only where something changed."""
    model: str | None = None
    ask: Ask = field(default_factory=Ask)
    """What counts of an answer."""
    wide: Ask | None = None
    """What the model is asked instead, so that more can be kept than counts."""
    count: int = 0
    """Answers after which the watcher ends; 0: no end."""
    retries: int = -1
    """Failures in a row after which a camera is given up; below 0: never."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A picture and its answer."""

    plan: Plan
    shot: Shot
    result: Result
    """What counts of it."""
    whole: Result
    """All of it, for keeping."""
    motion: Motion | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Missed:
    """A picture without an answer; the watcher goes on."""

    plan: Plan
    error: SightlineError


@dataclass(frozen=True, slots=True, eq=False)
class Lost:
    """The source is lost and will be opened again."""

    plan: Plan
    error: SightlineError
    again_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Ended:
    """The watcher is over; without an error, everything asked for was done."""

    plan: Plan
    error: SightlineError | None = None


Picked: TypeAlias = tuple[Shot, Motion | None]
Event: TypeAlias = Seen | Missed | Lost | Ended
Tell: TypeAlias = Callable[[Event], None]


class Watcher:
    """Watches one source in the thread that calls `run`."""

    def __init__(self, plan: Plan, road: Road, opened: Opener, tell: Tell) -> None:
        """Get ready.

        Args:
            plan: What to do.
            road: Looks at the pictures.
            opened: Opens the source.
            tell: Is called with every event, in the watcher's thread. What it raises ends the watcher.
        """
        self.plan, self._road, self._opened, self._tell = plan, road, opened, tell
        self._stop = threading.Event()
        self._eye: Eye | None = None
        self._gate = MotionGate()
        self._answers = 0
        self._first = 0.0
        """When the first picture came since the source was opened; 0: none did."""

    def stop(self) -> None:
        """End soon, from any thread."""
        self._stop.set()
        eye = self._eye
        if eye is not None:
            eye.close()

    def run(self) -> None:
        """Watch until it is over, stopped, or beyond hope; the last event is `Ended`."""
        error: SightlineError | None = None
        try:
            self._watch()
        except SightlineError as problem:
            error = problem
        except Exception as problem:  # noqa: BLE001 - one watcher does not take others along
            error = SightlineError(f"The watcher broke: {type(problem).__name__}: {problem}")
        with suppress(Exception):  # who listens may be what broke
            self._tell(Ended(self.plan, None if self._stop.is_set() else error))

    def _watch(self) -> None:
        backoff = Backoff()
        while not self._done:
            self._first = 0.0
            try:
                self._once()
            except _FATAL:
                raise
            except SightlineError as error:
                if self._stop.is_set():
                    return
                wait = backoff.lost(time.monotonic() - self._first if self._first else 0.0)
                if not self.plan.source.live or 0 <= self.plan.retries < backoff.failures:
                    raise
                self._tell(Lost(self.plan, error, wait))
                self._stop.wait(wait)
            else:
                return

    def _once(self) -> None:
        """From opening the source to its end."""
        plan = self.plan
        pace_s = min(plan.every_s, MOTION_S) if plan.motion else plan.every_s
        eye = self._eye = self._opened(plan.source, pace_s)
        try:
            if plan.source.live:
                self._camera(eye, pace_s)
            else:
                self._file(eye)
        finally:
            eye.close()

    def _camera(self, eye: Eye, pace_s: float) -> None:
        """One picture at a time; while one is looked at, the eye drops what comes."""
        due = time.monotonic()
        for shot, motion in self._worthy(eye):
            if shot is not None:
                self._hand_out((shot, motion), self._look((shot, motion)))
            due = max(due + pace_s, time.monotonic())
            if self._stop.wait(due - time.monotonic()):
                return

    def _file(self, eye: Eye) -> None:
        """Several frames side by side, answers in order: nothing is dropped, and nobody waits for a clock."""
        worthy = ((shot, motion) for shot, motion in self._worthy(eye) if shot is not None)
        threads = self._road.settings.decoder_count + 1
        answers = in_order(worthy, self._look, threads=threads, window=2 * threads)
        with closing(answers):
            for picked, outcome in answers:
                self._hand_out(picked, outcome)
                if self._done:
                    return

    def _worthy(self, eye: Eye) -> Iterator[tuple[Shot | None, Motion | None]]:
        """Each picture that shall be looked at, and ``None`` for each that need not be."""
        looked = -self.plan.every_s
        while not self._done:
            shot = eye.look()
            if shot is None:
                return
            self._first = self._first or time.monotonic()
            if not self.plan.motion:
                yield shot, None
                continue
            motion = self._moved(shot)
            wanted = motion is not None and motion.open and shot.time_s - looked >= self.plan.every_s
            looked = shot.time_s if wanted else looked
            yield (shot, motion) if wanted else (None, None)

    def _moved(self, shot: Shot) -> Motion | None:
        """What the gate says; ``None``: the picture cannot be read, which is told."""
        try:
            picture = shot.picture
            small = picture if isinstance(picture, Frame) else self._road.decoder.frame(picture, _SMALL)
        except _PASSING as error:
            self._tell(Missed(self.plan, error))
            return None
        return self._gate.see(grey(small.pixels))

    def _look(self, picked: Picked) -> Result | SightlineError:
        plan = self.plan
        try:
            return self._road.predict(
                picked[0].picture, source=plan.source.shown, model=plan.model, ask=plan.wide or plan.ask
            )
        except _PASSING as error:
            return error

    def _hand_out(self, picked: Picked, outcome: Result | SightlineError) -> None:
        if isinstance(outcome, SightlineError):
            self._tell(Missed(self.plan, outcome))
        else:
            self._answers += 1
            told = narrowed(outcome, self.plan.ask) if self.plan.wide else outcome
            self._tell(Seen(self.plan, picked[0], told, outcome, picked[1]))

    @property
    def _done(self) -> bool:
        return self._stop.is_set() or 0 < self.plan.count <= self._answers
