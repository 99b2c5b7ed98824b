"""Do a piece of work on many items with a few threads, and hand the outcomes back in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def in_order(
    items: Iterable[Item], work: Callable[[Item], Outcome], *, threads: int, window: int = 0
) -> Generator[tuple[Item, Outcome], None, None]:
    """``(item, work(item))`` for every item, in order, ``window`` (or ``4 * threads``) under way at most.

    The window bounds memory: a slow first picture cannot pile up the answers of all the others.
    When the consumer stops early (an error, Ctrl-C), what has not begun is dropped.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="look")
    most = window or 4 * threads
    waiting: deque[tuple[Item, Future[Outcome]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) >= most:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
