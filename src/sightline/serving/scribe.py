"""Results as JSON, made in children of our own.

Outlines of masks are a few milliseconds of plain Python each. Where many pictures are on the road at once,
these milliseconds would be spent one after the other under the interpreter's lock, which the engines need for
their next picture. The children see our own results only, never what a stranger sent.
"""

import json
import threading
from typing import Any, Final

from sightline.errors import Busy
from sightline.formats import native, writing
from sightline.sandbox import ChildDied, ChildTimeout, Limits, Pool
from sightline.types import Result, Segments

_LIMITS: Final = Limits(memory_mb=512, cpu_s=60.0, wall_s=60.0)


class Scribe:
    """Writes results; children start with the first one that has masks. Thread-safe; close it when done."""

    def __init__(self, size: int) -> None:
        """At most ``size`` children; none yet."""
        self._size = size
        self._pool: Pool | None = None
        self._lock = threading.Lock()
        self._closed = False

    def body(self, result: Result) -> dict[str, Any]:
        """As `native.to_json`.

        Raises:
            Busy: It is closed.
        """
        if not isinstance(result.prediction, Segments):
            return native.to_json(result)
        try:
            text = self._opened().call(writing.write, result)
        except (ChildDied, ChildTimeout):  # the machine is short of something; the answer is worth the wait
            return native.to_json(result)
        body: dict[str, Any] = json.loads(text)
        return body

    def close(self) -> None:
        """End the children."""
        with self._lock:
            self._closed = True
            if self._pool is not None:
                self._pool.close()

    def _opened(self) -> Pool:
        with self._lock:
            if self._closed:
                raise Busy("The worker is stopping.")
            if self._pool is None:
                self._pool = Pool(self._size, [writing.__name__], _LIMITS)
            return self._pool
