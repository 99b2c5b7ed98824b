"""Watches inside a server: started with it, kept in the database, each in a thread of its own."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sightline.errors import NotFound, SightlineError
from sightline.formats import native
from sightline.serving import keeping
from sightline.settings import Settings
from sightline.storage.kept import DATABASE, FOLDER
from sightline.storage.watch_kept import Watch
from sightline.types import Ask, Result
from sightline.watching.loop import Event, Plan, Seen, Watcher
from sightline.watching.opening import check, for_strangers
from sightline.watching.source import need_device, parse
from sightline.watching.standing import Standing

if TYPE_CHECKING:
    from sightline.serving.road import Road
    from sightline.storage.database import Database
    from sightline.storage.store import Store

__all__ = ["Standing", "Watches"]

_JOIN_S: Final = 5.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    """A watch from its beginning to its removal, whatever it is changed to."""

    standing: Standing
    watcher: Watcher | None = None
    thread: threading.Thread | None = None
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever begins or changes it: one after the other, while other watches go their way."""
    gone: bool = False
    """It has been removed, or the server stops: nothing of it begins any more, and nobody listens to it."""


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
        self._roll = threading.Lock()
        """Held while a watch comes or goes, so that rows and what runs agree."""
        self._running: dict[str, _Running] = {}
        self._closed = False
        self._database: Database | None = None

    def start(self) -> None:
        """Go on with the watches of the last server, if there were any; what is here already is left alone.

        Raises:
            SightlineError: The database cannot be used; try again.
        """
        if not self._settings.database and not (self._settings.data_path / FOLDER / DATABASE).exists():
            return
        from sightline.storage import watch_rows  # noqa: PLC0415 - loads the database's library

        with self._roll:
            rows = self._open().read(watch_rows.every)
            fresh = [self._entered(watch) for watch in rows if watch.id not in self._running]
        for one in fresh:
            self._go(one)

    def add(self, source: str, name: str, wish: Mapping[str, Any]) -> Standing:
        """Write a watch down and begin it.

        Raises:
            SightlineError: The source may not be opened for a request, or the model or the wish is off.
        """
        from sightline.storage import watch_rows  # noqa: PLC0415

        watch = self._sound(Watch(secrets.token_hex(8), name, source, dict(wish), time.time()))
        with self._roll:
            self._open().write(partial(watch_rows.add, watch=watch))
            one = self._entered(watch)
        return self._go(one)

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

        one = self._one(watch_id)
        with one.turn:
            before = one.standing.watch
            after = replace(before, source=source or before.source, name=name, wish=dict(wish))
            watch = self._sound(after, later=not source)
            self._open().write(partial(watch_rows.change, watch=watch))
            return self._begin(one, watch)

    def _sound(self, watch: Watch, *, later: bool = False) -> Watch:
        """The same with a name, if it can be watched at all. An error names the field that is off.

        ``later``: a camera of this machine need not be there now.
        """
        try:
            found = parse(watch.source, later=True)
            check(found, self._settings)
            if found.kind == "device" and not later:
                need_device(found.address)
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
        return self._one(watch_id).standing

    def _one(self, watch_id: str) -> _Running:
        with self._lock:
            one = self._running.get(watch_id)
        if one is None:
            raise NotFound(f"There is no watch {watch_id[:64]!r}.")
        return one

    def remove(self, watch_id: str) -> None:
        """End a watch and forget it; what it stored stays.

        Raises:
            NotFound: There is none.
        """
        from sightline.storage import watch_rows  # noqa: PLC0415

        one = self._one(watch_id)
        with self._roll:
            self._open().write(partial(watch_rows.remove, watch_id=watch_id))
            with self._lock:
                one.gone = True
                self._running.pop(watch_id, None)
        self._end([one])

    def close(self) -> None:
        """End all of them; they begin again with the next server."""
        with self._lock:
            self._closed = True
            running, self._running = list(self._running.values()), {}
            for one in running:
                one.gone = True
        self._end(running)
        if self._database is not None:
            self._database.close()

    def _end(self, running: list[_Running]) -> None:
        with self._lock:
            watchers = [one.watcher for one in running if one.watcher is not None]
            threads = [one.thread for one in running if one.thread is not None]
        for watcher in watchers:
            threading.Thread(target=watcher.stop, daemon=True).start()
        for thread in threads:
            thread.join(_JOIN_S)

    def _open(self) -> "Database":
        from sightline.storage.database import Database  # noqa: PLC0415

        with self._lock:
            if self._database is None:
                self._database = Database.of(self._settings)
            return self._database

    def _entered(self, watch: Watch) -> _Running:
        """A watch that is about to begin; the roll is held."""
        with self._lock:
            one = _Running(Standing(watch, ""), gone=self._closed)
            if not one.gone:
                self._running[watch.id] = one
        return one

    def _go(self, one: _Running) -> Standing:
        """Begin what has been entered, or what it has been changed to since."""
        with one.turn:
            return self._begin(one, one.standing.watch)

    def _begin(self, one: _Running, watch: Watch) -> Standing:
        """In place of whatever it was; its turn is held."""
        standing = Standing(watch, "")
        watcher = self._watcher(one, standing)
        one.standing = standing  # what its thread still says is about terms of before
        self._end([one])
        with self._lock:
            one.watcher = one.thread = None
            if watcher is not None and not one.gone:
                one.watcher = watcher
                one.thread = threading.Thread(target=watcher.run, name=f"watch-{watch.id}", daemon=True)
                one.thread.start()
        return standing

    def _watcher(self, one: _Running, standing: Standing) -> Watcher | None:
        """Who will look; None where that cannot be, and the standing says why."""
        wish = standing.watch.wish
        try:
            source = parse(standing.watch.source, later=True)
            standing.shown = source.shown
            wanted = keeping.wanted(self._road(), wish["model"], _ask(wish))
            ask, wide = (wanted.narrow, wanted.wide) if wish["store"] else (_ask(wish), None)
            plan = Plan(source, wish["every_s"], wish["motion"], wish["model"], ask, wide)
            tell = partial(self._heard, one, standing)
            return Watcher(plan, self._road(), for_strangers(self._settings), tell)
        except SightlineError as error:  # since the last server: the model is gone
            standing.state, standing.error = "ended", error
        except Exception as error:  # noqa: BLE001 - the others are to begin all the same
            _log.exception("The watch %s cannot begin.", standing.watch.id)
            words = f"The watch cannot begin: {type(error).__name__}: {error}"
            standing.state, standing.error = "ended", SightlineError(words)
        return None

    def _heard(self, one: _Running, standing: Standing, event: Event) -> None:
        if one.gone or one.standing is not standing:
            return
        standing.hear(event, self._keep, self._told)

    def _keep(self, seen: Seen) -> None:
        """Store all of an answer, if its watch wishes so."""
        if seen.plan.wide is not None:
            body = native.to_json(seen.whole)
            keeping.keep(self._road(), self._store(), seen.shot.picture, body, seen.plan.ask)


def _ask(wish: Mapping[str, Any]) -> Ask:
    labels = frozenset(wish["labels"]) if wish["labels"] else None
    return Ask(wish["min_score"], None, labels, wish["size"])
