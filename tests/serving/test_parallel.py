import threading
import time
from collections.abc import Iterator

import pytest

from sightline.serving.parallel import in_order


def test_answers_come_in_order_whatever_finishes_first() -> None:
    def work(item: int) -> int:
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item * item

    assert list(in_order(range(40), work, threads=4)) == [(item, item * item) for item in range(40)]


def test_work_goes_on_side_by_side() -> None:
    meeting = threading.Barrier(3, timeout=10)
    assert [answer for _, answer in in_order(range(3), lambda _: meeting.wait() >= 0, threads=3)] == [
        True
    ] * 3


def test_a_slow_first_item_cannot_pile_up_the_rest() -> None:
    taken: list[int] = []
    release = threading.Event()

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    def work(item: int) -> int:
        if item == 0:
            release.wait(10)
        return item

    answers = in_order(items(), work, threads=2)

    def let_go() -> None:
        if len(taken) > 8:
            taken.append(-1)
        release.set()

    threading.Timer(0.2, let_go).start()
    assert [item for item, _ in answers] == list(range(100))
    assert -1 not in taken


def test_an_error_ends_it_and_drops_what_has_not_begun() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 0:
            raise ZeroDivisionError
        time.sleep(0.05)
        return item

    with pytest.raises(ZeroDivisionError):
        list(in_order(range(100), work, threads=1))
    time.sleep(0.1)
    assert len(begun) <= 5
