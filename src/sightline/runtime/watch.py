"""A limit on how long a graph may compute: one that never ends would keep its lane for ever."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sightline.errors import ModelFailed


@dataclass(slots=True, eq=False)
class _Run:
    deadline: float
    stop: Callable[[], None]
    stopped: bool = False


class Watch:
    """Stops runs that take longer than ``limit_s``; 0: none is stopped. Thread-safe.

    All runs have the same limit, so the oldest one is the next to end, and whoever comes later need not wake
    the thread that waits for it. The thread lives only while something runs: an idle server does nothing.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._changed = threading.Condition()
        self._runs: dict[int, _Run] = {}
        self._watching = False

    @contextmanager
    def over(self, stop: Callable[[], None]) -> Iterator[None]:
        """Watch what runs inside; ``stop`` is called from another thread, once, and never after the end.

        Raises:
            ModelFailed: It was stopped, whatever it raised then.
        """
        if not self._limit_s:
            yield
            return
        run = self._enter(stop)
        try:
            yield
        finally:
            with self._changed:
                self._runs.pop(id(run), None)
            if run.stopped:  # the engine's own words would not say why
                raise ModelFailed(
                    f"The model computed longer than the {self._limit_s:g} s that it may; it was stopped.",
                    next_step="Use a smaller picture or model, or raise the setting `infer_s`.",
                )

    def _enter(self, stop: Callable[[], None]) -> _Run:
        run = _Run(time.monotonic() + self._limit_s, stop)
        with self._changed:
            self._runs[id(run)] = run
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="watch", daemon=True).start()
        return run

    def _watch(self) -> None:
        with self._changed:
            while self._runs:
                oldest = next(iter(self._runs.values()))
                left_s = oldest.deadline - time.monotonic()
                if left_s > 0:
                    self._changed.wait(left_s)
                    continue
                del self._runs[id(oldest)]
                oldest.stopped = True
                with suppress(Exception):  # with the lock: the run cannot end, and its request serve another
                    oldest.stop()
            self._watching = False
