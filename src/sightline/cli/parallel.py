"""Do a piece of work on many items with a few threads, and hand the outcomes back in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def in_order(
    items: Iterable[Item], work: Callable[[Item], Outcome], *, threads: int
) -> Iterator[tuple[Item, Outcome]]:
    """``(item, work(item))`` for every item, in order, with at most ``4 * threads`` under way.

    The window bounds memory: a slow first picture cannot pile up the answers of all the others.
    When the consumer stops early (an error, Ctrl-C), what has not begun is dropped.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="predict")
    window: deque[tuple[Item, Future[Outcome]]] = deque()
    try:
        for item in items:
            window.append((item, pool.submit(work, item)))
            if len(window) >= 4 * threads:
                done, future = window.popleft()
                yield done, future.result()
        while window:
            done, future = window.popleft()
            yield done, future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
