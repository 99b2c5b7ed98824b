"""Notifications: they wait for a page, a while; whoever takes one says so; their numbers rise."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tests.rules.conftest import Opening, ended, rule
from tests.rules.test_desk import SEEN

from sightline.rules.acting import UNSEEN

NOTIFY = {"kind": "browser"}


def test_a_notification_waits_until_a_page_takes_it(opened: Opening) -> None:
    desk = opened()
    kept = desk.add(rule(NOTIFY, quiet_s=0))
    desk.seen("door", SEEN, 1.0)
    (one,) = desk.notices()
    assert (one.delivery.rule, one.delivery.source, one.result) == (kept.id, "door", "")
    assert desk.deliveries()[0].state == "waiting"
    assert desk.deliver() == 0, "it is due only when nobody could see it"
    desk.taken([one.delivery.id])
    (told,) = desk.deliveries()
    assert (told.state, told.answer, told.attempts) == ("delivered", "handed to an open page", 1)
    assert told.finished
    assert [it.delivery.state for it in desk.notices()] == ["delivered"], "other pages want it too"


def test_what_no_page_takes_in_time_was_seen_by_nobody(opened: Opening) -> None:
    desk = opened(unseen_s=0.3)
    desk.add(rule(NOTIFY))
    desk.seen("door", SEEN, 1.0)
    (one,) = ended(desk)
    assert (one.state, one.answer, one.attempts) == ("failed", UNSEEN, 1)
    assert "Nobody could see it" in UNSEEN
    assert desk.notices() == (), "it is no news any more"
    desk.taken([one.id])  # it was on its way to a page when its time was over
    (one,) = desk.deliveries()
    assert (one.state, one.answer) == ("delivered", "handed to an open page")


def test_a_test_of_a_rule_is_for_pages_too(opened: Opening) -> None:
    desk = opened()
    (made,) = desk.test(desk.add(rule(NOTIFY)).id)
    assert made.state == "waiting"
    (one,) = desk.notices()
    assert one.delivery.payload["type"] == "rule.test"


def test_what_fires_in_one_process_is_news_in_all(opened: Opening) -> None:
    first, second = opened(), opened()
    first.add(rule(NOTIFY, {"kind": "log"}, quiet_s=0))
    first.seen("door", SEEN, 1.0)
    first.seen("door", SEEN, 2.0, page=True)
    waiting, shown = second.notices()
    assert (waiting.delivery.state, shown.delivery.state) == ("waiting", "delivered")
    assert waiting.number < shown.number
    second.taken([waiting.delivery.id, shown.delivery.id])
    answers = {one.answer for one in first.deliveries(kinds=["browser"])}
    assert answers == {"handed to an open page", "handed to the page that took the capture"}


def test_numbers_rise_in_the_order_in_which_they_are_seen(opened: Opening) -> None:
    """Whoever has heard of one number may forget all below it, however many write at once."""
    desks = [opened() for _ in range(3)]
    kept = desks[0].add(rule(NOTIFY, NOTIFY))
    over = threading.Event()
    looks: list[list[int]] = []

    def watch() -> None:
        reader = opened()
        while not over.is_set():
            looks.append([one.number for one in reader.notices()])

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(6) as crowd:
        list(crowd.map(lambda number: desks[number % 3].test(kept.id), range(24)))
    over.set()
    watcher.join(60)
    numbers = [one.number for one in desks[0].notices()]
    assert len(set(numbers)) == len(numbers) == 48
    assert all(look == numbers[: len(look)] for look in looks), "nothing came in between later"


def test_asking_for_news_makes_no_database(opened: Opening) -> None:
    desk = opened()
    assert desk.notices() == ()
    assert desk.deliveries() == ()


def test_quiet_counts_what_waits(opened: Opening) -> None:
    first = opened()
    first.add(rule(NOTIFY, quiet_s=600))
    now = time.time()
    assert len(first.seen("door", SEEN, now)) == 1
    assert opened().seen("door", SEEN, now + 5) == ()
