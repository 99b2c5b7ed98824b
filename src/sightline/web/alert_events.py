"""Server-sent events of rules that fired: notifications for every page that wants them.

The database is the truth, so rules that fired in another process (a second server, ``sightline watch``) are
told of like those of this one. Nothing is asked of it while nobody listens.
"""

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from sightline.web.event_stream import LOOK_S, event_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from sightline.rules import RuleDesk
    from sightline.storage.rule_kept import Notice

_FREE: Final = ("waiting", "sending")
"""States of a notification that no page has yet."""


class Board:
    """The notifications that are news now, read at most once every ``LOOK_S`` for all who listen."""

    def __init__(self, desk: "Callable[[], RuleDesk]") -> None:
        """Nothing is read yet; ``desk`` is opened when somebody listens."""
        self._desk = desk
        self._turn = asyncio.Lock()
        self._looked = float("-inf")
        self._news: tuple[Notice, ...] = ()
        self._taken: frozenset[str] = frozenset()
        """News that a page has, and the database knows it."""
        self._owed: frozenset[str] = frozenset()
        """A page has these, and the database was away when it was to be told."""

    async def look(self) -> "tuple[Notice, ...]":
        """All of them, the oldest first.

        Raises:
            SightlineError: The database cannot be used.
        """
        async with self._turn:
            if time.monotonic() - self._looked >= LOOK_S:
                await self._settle()
                self._news = await asyncio.to_thread(lambda: self._desk().notices())
                self._looked = time.monotonic()
                self._taken &= {one.delivery.id for one in self._news}
            return self._news

    async def taken(self, news: "tuple[Notice, ...]") -> None:
        """These have been handed to a page, which is written down once.

        Raises:
            SightlineError: The database cannot be used.
        """
        async with self._turn:
            self._owed |= {one.delivery.id for one in news if self.is_free(one)}
            await self._settle()

    def is_free(self, one: "Notice") -> bool:
        """Whether no page has it yet, as far as this server knows."""
        return one.delivery.state in _FREE and one.delivery.id not in self._taken | self._owed

    async def _settle(self) -> None:
        if self._owed:
            await asyncio.to_thread(lambda: self._desk().taken(self._owed))
            self._taken, self._owed = self._taken | self._owed, frozenset()


class AlertFeed:
    """What one page has been told of so far.

    Who comes back with the number of the last event is told of what is still news and later than that. Who
    comes for the first time is told of what nobody has seen yet.
    """

    of: Final = "alerts"

    def __init__(self, board: Board, after: int | None) -> None:
        """Nothing is told yet."""
        self._board, self._after = board, after
        self._known: frozenset[str] | None = None
        self._handing: tuple[Notice, ...] = ()

    async def more(self) -> tuple[str, bool]:
        """See `Feed`; there is always more to come."""
        news = await self._board.look()
        self._handing = tuple(filter(self._is_news, news))
        self._known = frozenset(one.delivery.id for one in news)
        return "".join(event_text("alert", alert_body(one), one.number) for one in self._handing), False

    async def handed(self) -> None:
        """See `Feed`."""
        handed, self._handing = self._handing, ()
        await self._board.taken(handed)

    def _is_news(self, one: "Notice") -> bool:
        if self._known is not None:
            return one.delivery.id not in self._known
        if self._after is not None:
            return one.number > self._after
        return self._board.is_free(one)


def alert_body(one: "Notice") -> dict[str, Any]:
    """What pages need to show it."""
    payload, data = one.delivery.payload, one.delivery.payload["data"]
    return {
        "id": one.delivery.id,
        "rule": data["rule"],
        "what": data["what"],
        "score": data["score"],
        "source": data["source"],
        "time": payload["timestamp"],
        "test": payload["type"] == "rule.test",
        "result": one.result or None,
    }
