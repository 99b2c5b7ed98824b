"""Watches inside a server: started with it, kept in the database, each in a thread of its own."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from sightline.errors import NotFound, SightlineError
from sightline.formats import native
from sightline.serving import keeping
from sightline.settings import Settings
from sightline.storage.kept import DATABASE, FOLDER
from sightline.storage.watch_kept import Watch
from sightline.types import Ask, Result
from sightline.watching.loop import Ended, Event, Lost, Missed, Plan, Seen, Watcher
from sightline.watching.opening import check, for_strangers
from sightline.watching.source import parse

if TYPE_CHECKING:
    from sightline.serving.road import Road
    from sightline.storage.database import Database
    from sightline.storage.store import Store

State = Literal["starting", "watching", "lost", "ended"]
_JOIN_S: Final = 5.0


@dataclass(slots=True)
class Standing:
    """How a watch is doing. Changed by its thread, read by others."""

    watch: Watch
    shown: str
    """The source without name and password."""
    state: State = "starting"
    answers: int = 0
    error: SightlineError | None = None
    last: Seen | None = None
    counts: dict[str, int] = field(default_factory=dict)
    """Of the last answer."""


@dataclass(slots=True)
class _Running:
    standing: Standing
    watcher: Watcher | None = None
    thread: threading.Thread | None = None


class Watches:
    """All watches of a server. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        road: Callable[[], "Road"],
        store: Callable[[], "Store"],
        told: Callable[[str, Result], object],
    ) -> None:
        """Nothing is opened yet.

        Args:
            settings: All of them.
            road: Gives the road.
            store: Gives the store.
            told: Hears of each answer: the watch's name, and what was seen (for rules).
        """
        self._settings, self._road, self._store, self._told = settings, road, store, told
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._database: Database | None = None

    def start(self) -> None:
        """Go on with the watches of the last server, if there were any."""
        if not self._settings.database and not (self._settings.data_path / FOLDER / DATABASE).exists():
            return
        from sightline.storage import watch_rows  # noqa: PLC0415 - loads the database's library

        for watch in self._open().read(watch_rows.every):
            self._begin(watch)

    def add(self, source: str, name: str, wish: Mapping[str, Any]) -> Standing:
        """Write a watch down and begin it.

        Raises:
            SightlineError: The source may not be opened for a request, or the model or the wish is off.
        """
        from sightline.storage import watch_rows  # noqa: PLC0415

        watch = self._sound(Watch(secrets.token_hex(8), name, source, dict(wish), time.time()))
        self._open().write(partial(watch_rows.add, watch=watch))
        return self._begin(watch)

    def change(self, watch_id: str, source: str, name: str, wish: Mapping[str, Any]) -> Standing:
        """Go on under other terms: written down first, then begun anew under the same id.

        Args:
            watch_id: Which one.
            source: Where else to look; empty: where it looks now, with the password that is known here only.
            name: Its name from now on; empty: the address.
            wish: As of `add`, all of it.

        Raises:
            NotFound: There is none.
            SightlineError: As of `add`; it goes on as it was.
        """
        from sightline.storage import watch_rows  # noqa: PLC0415

        before = self.get(watch_id).watch
        after = replace(before, source=source or before.source, name=name, wish=dict(wish))
        watch = self._sound(after)
        self._open().write(partial(watch_rows.change, watch=watch))
        with self._lock:
            one = self._running.get(watch_id)
        if one is not None:
            self._end([one])
        return self._begin(watch)

    def _sound(self, watch: Watch) -> Watch:
        """The same with a name, if it can be watched at all. An error names the field that is off."""
        try:
            found = parse(watch.source)
            check(found, self._settings)
        except SightlineError as error:
            error.field = "source"
            raise
        try:
            keeping.wanted(self._road(), watch.wish["model"], _ask(watch.wish))
        except NotFound as error:
            error.field = "model"
            raise
        return replace(watch, name=watch.name or found.shown[:200])

    def all(self) -> list[Standing]:
        """How all of them are doing, the oldest first."""
        with self._lock:
            return [one.standing for one in self._running.values()]

    def get(self, watch_id: str) -> Standing:
        """How one is doing.

        Raises:
            NotFound: There is none.
        """
        with self._lock:
            one = self._running.get(watch_id)
        if one is None:
            raise NotFound(f"There is no watch {watch_id[:64]!r}.")
        return one.standing

    def remove(self, watch_id: str) -> None:
        """End a watch and forget it; what it stored stays.

        Raises:
            NotFound: There is none.
        """
        from sightline.storage import watch_rows  # noqa: PLC0415

        self.get(watch_id)
        self._open().write(partial(watch_rows.remove, watch_id=watch_id))
        with self._lock:
            one = self._running.pop(watch_id, None)
        if one is not None:
            self._end([one])

    def close(self) -> None:
        """End all of them; they begin again with the next server."""
        with self._lock:
            running, self._running = list(self._running.values()), {}
        self._end(running)
        if self._database is not None:
            self._database.close()

    def _end(self, running: list[_Running]) -> None:
        for one in running:
            if one.watcher is not None:
                threading.Thread(target=one.watcher.stop, daemon=True).start()
        for one in running:
            if one.thread is not None:
                one.thread.join(_JOIN_S)

    def _open(self) -> "Database":
        from sightline.storage.database import Database  # noqa: PLC0415

        with self._lock:
            if self._database is None:
                self._database = Database.of(self._settings)
            return self._database

    def _begin(self, watch: Watch) -> Standing:
        standing = Standing(watch, "")
        one = _Running(standing)
        with self._lock:
            self._running[watch.id] = one
        try:
            source = parse(watch.source)
            standing.shown = source.shown
            wish, road = watch.wish, self._road()
            wanted = keeping.wanted(road, wish["model"], _ask(wish))
            ask = wanted.wide if wish["store"] else _ask(wish)
            plan = Plan(source, wish["every_s"], wish["motion"], wish["model"], ask)
            tell = partial(self._heard, standing, wanted.narrow)
            one.watcher = Watcher(plan, road, for_strangers(self._settings), tell)
        except SightlineError as error:  # since the last server: the model is gone, the device is away
            standing.state, standing.error = "ended", error
            return standing
        one.thread = threading.Thread(target=one.watcher.run, name=f"watch-{watch.id}", daemon=True)
        one.thread.start()
        return standing

    def _heard(self, standing: Standing, narrow: Ask, event: Event) -> None:
        match event:
            case Seen():
                self._seen(standing, narrow, event)
            case Missed(_, error):
                standing.error = error
            case Lost(_, error, _):
                standing.state, standing.error = "lost", error
            case Ended(_, error):
                standing.state, standing.error = "ended", error or standing.error

    def _seen(self, standing: Standing, narrow: Ask, seen: Seen) -> None:
        body = native.to_json(seen.result)
        error: SightlineError | None = None
        if standing.watch.wish["store"]:
            try:
                body = keeping.keep(self._road(), self._store(), seen.shot.picture, body, narrow)
            except SightlineError as problem:
                error = problem
        standing.state, standing.error = "watching", error
        standing.counts = dict(Counter(row["label"] for row in body["predictions"]))
        standing.last = seen
        standing.answers += 1
        try:
            self._told(standing.watch.name, seen.result)
        except SightlineError as problem:
            standing.error = problem


def _ask(wish: Mapping[str, Any]) -> Ask:
    labels = frozenset(wish["labels"]) if wish["labels"] else None
    return Ask(wish["min_score"], None, labels, wish["size"])
