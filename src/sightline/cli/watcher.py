"""The work of ``sightline watch``: a thread for each source, one voice for all of them."""

import errno
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

import click

from sightline.cli.exits import words
from sightline.cli.looking import check_labels
from sightline.cli.terminal import clean, duration
from sightline.errors import BadOption, ModelFailed, ModelRefused, SightlineError
from sightline.outbound.address import without_login
from sightline.serving import keeping
from sightline.serving.road import Road
from sightline.settings import Settings
from sightline.types import Ask
from sightline.watching.capture import need_video
from sightline.watching.loop import Ended, Event, Lost, Missed, Plan, Seen, Watcher
from sightline.watching.opening import for_this_terminal
from sightline.watching.records import Keeper, body_of, line_of
from sightline.watching.source import Source, parse

if TYPE_CHECKING:
    from sightline.rules import RuleDesk

_LOOK_UP_S = 0.5


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for on the command line."""

    sources: tuple[str, ...]
    ask: Ask
    every_s: float
    motion: bool
    store: bool
    jsonl: Path | None
    count: int
    retries: int


def watch(order: Order, settings: Settings) -> int:
    """Watch until every source is over.

    Returns:
        How many sources ended with an error; each has been reported on standard error.

    Raises:
        SightlineError: The order or the model is wrong, so nothing can be watched.
    """
    sources, missing = _parsed(order.sources)
    if any(source.kind != "http" for source in sources):
        need_video()
    with ExitStack() as stack:
        file = stack.enter_context(_appended(order.jsonl)) if order.jsonl else None
        road = stack.enter_context(Road.open(settings))
        bundle = road.registry.resolve(settings.model or None)
        check_labels(order.ask, bundle)
        asked = keeping.wanted(road, bundle.reference, order.ask)  # says what is off before anything loads
        road.load(bundle.reference)
        keeper = _keeper(stack, road, settings) if order.store else None
        voice = _Voice(keeper, file, _rules(stack, settings))
        for word, error in missing:
            voice.refuse(word, error)
        ask, wide = (asked.narrow, asked.wide) if order.store else (order.ask, None)
        more = {"count": order.count, "retries": order.retries}
        plans = [
            Plan(source, order.every_s, order.motion, bundle.reference, ask, wide, **more)
            for source in sources
        ]
        opened = for_this_terminal(settings)
        _run([Watcher(plan, road, opened, voice.tell) for plan in plans], voice)
    if voice.broken is not None:
        raise voice.broken
    return voice.failed


def _parsed(words: Sequence[str]) -> tuple[list[Source], list[tuple[str, SightlineError]]]:
    """Those that can be watched (a camera that is not there may come), and what is wrong with the others.

    Raises:
        SightlineError: None of them can be.
    """
    sources, missing = [], []
    for word in words:
        try:
            sources.append(parse(word, later=True))
        except SightlineError as error:
            missing.append((word, error))
    if not sources:
        raise missing[0][1]
    return sources, missing


def _run(watchers: Sequence[Watcher], voice: "_Voice") -> None:
    """Until all are over, somebody presses Ctrl-C, or a service manager says stop."""
    threads = [
        threading.Thread(target=watcher.run, name=f"watch-{number}", daemon=True)
        for number, watcher in enumerate(watchers)
    ]
    with _stop_signal_is_ctrl_c():
        try:
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads) and not voice.gone:
                for thread in threads:
                    thread.join(_LOOK_UP_S)
        finally:
            for watcher in watchers:
                watcher.stop()
            for thread in threads:
                thread.join(2 * _LOOK_UP_S)
    if voice.gone:
        raise BrokenPipeError(errno.EPIPE, "Nobody reads the answers any more.")


class _Voice:
    """Says what every watcher tells: answers on standard output, troubles on standard error."""

    def __init__(self, keeper: Keeper | None, file: TextIO | None, rules: "RuleDesk") -> None:
        self._keeper, self._file, self._rules = keeper, file, rules
        self._lock = threading.Lock()
        self.failed = 0
        self.broken: SightlineError | None = None
        """What is wrong with the model, which is everybody's."""
        self.gone = False
        """Nobody reads standard output any more."""

    def refuse(self, word: str, error: SightlineError) -> None:
        """One of the sources cannot be watched; the others are."""
        self.failed += 1
        with self._lock:
            click.echo(f"{clean(without_login(word))}: {words(error)}", err=True)

    def tell(self, event: Event) -> None:
        if self.gone:
            return
        match event:
            case Seen():
                self._answer(event)
            case Missed(plan, error):
                self._warn(plan, error)
            case Lost(plan, error, again_s):
                self._warn(plan, error, f"  Trying again in {duration(again_s)}.")
            case Ended(plan, SightlineError() as error):
                self.failed += 1
                if isinstance(error, ModelFailed | ModelRefused):
                    self.broken = error
                self._warn(plan, error)

    def _answer(self, seen: Seen) -> None:
        try:
            alerts = self._rules.seen(seen.plan.source.shown, seen.result, seen.shot.taken)
            fired = {"alerts": [alert.to_json() for alert in alerts]} if alerts else {}
            line = line_of(body_of(seen, self._keeper) | fired)
        except SightlineError as error:  # it could not be kept
            self._warn(seen.plan, error)
        else:
            self._say(line)

    def _say(self, line: str) -> None:
        with self._lock:
            try:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
            except BrokenPipeError:
                self.gone = True
                raise
            if self._file is not None:
                self._file.write(line + "\n")
                self._file.flush()

    def _warn(self, plan: Plan, error: SightlineError, more: str = "") -> None:
        with self._lock:
            text = f"{clean(plan.source.shown)}: {words(error)}"
            click.echo(f"{text}\n{more}" if more else text, err=True)


def _keeper(stack: ExitStack, road: Road, settings: Settings) -> Keeper:
    from sightline.storage.store import Store  # noqa: PLC0415 - the database loads only where something is kept

    store = Store.open(settings)
    stack.callback(store.close)
    return Keeper(road, store)


def _rules(stack: ExitStack, settings: Settings) -> "RuleDesk":
    from sightline.rules import RuleDesk  # noqa: PLC0415 - the database's library

    desk = RuleDesk.open(settings)
    stack.callback(desk.close)
    desk.start()
    return desk


@contextmanager
def _appended(path: Path) -> Iterator[TextIO]:
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise BadOption(
            f"--jsonl {path} cannot be written: {error.strerror}.", next_step="Name another file."
        ) from error
    with file:
        yield file


@contextmanager
def _stop_signal_is_ctrl_c() -> Iterator[None]:
    """A service manager says SIGTERM; it ends as cleanly."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
