"""What a watcher saw -> one line of JSON, and the store."""

import json
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sightline.formats import native
from sightline.serving import keeping
from sightline.watching.loop import Seen

if TYPE_CHECKING:  # the database loads only where something is kept
    from sightline.serving.road import Road
    from sightline.storage.store import Store

_PRUNE_S: Final = 600.0


class Keeper:
    """Puts answers and pictures into the store, and prunes it as a server does. Thread-safe."""

    def __init__(self, road: "Road", store: "Store") -> None:
        self._road, self._store = road, store
        self._lock = threading.Lock()
        self._pruned = float("-inf")

    def keep(self, seen: Seen) -> dict[str, Any]:
        """Store all of it; the JSON of what counts.

        Raises:
            StorageFull: There is no room.
        """
        self._prune()
        body = native.to_json(seen.whole)
        return keeping.keep(self._road, self._store, seen.shot.picture, body, seen.plan.ask)

    def _prune(self) -> None:
        with self._lock:
            if time.monotonic() - self._pruned < _PRUNE_S:
                return
            self._pruned = time.monotonic()
        self._store.prune()


def body_of(seen: Seen, keeper: Keeper | None = None) -> dict[str, Any]:
    """The result's JSON and ``frame``: its index, its time in the source, when it was taken, how much moved.

    Raises:
        StorageFull: It was to be kept, and there is no room.
    """
    body = keeper.keep(seen) if keeper else native.to_json(seen.result)
    taken = datetime.fromtimestamp(seen.shot.taken, UTC).isoformat(timespec="milliseconds")
    frame: dict[str, Any] = {
        "index": seen.shot.index,
        "time_s": round(seen.shot.time_s, 3),
        "taken": taken.replace("+00:00", "Z"),
    }
    if seen.motion is not None:
        frame["motion"] = round(seen.motion.share, 4)
    return body | {"frame": frame}


def line_of(body: dict[str, Any]) -> str:
    """One line of JSON, without its end."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
