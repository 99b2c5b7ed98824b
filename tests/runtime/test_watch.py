"""Runs that take too long, without an engine."""

import threading
import time

import pytest

from sightline.errors import ModelFailed
from sightline.runtime.watch import Watch

LONG_S = 20.0


def test_a_run_over_the_limit_is_stopped_and_said_to_be() -> None:
    stop = threading.Event()

    def run() -> None:
        with Watch(0.05).over(stop.set):
            assert stop.wait(LONG_S)
            raise RuntimeError("The engine's own words.")

    with pytest.raises(ModelFailed, match="was stopped"):
        run()


def test_a_run_that_ends_is_left_alone_and_the_thread_goes_home() -> None:
    stop, watch = threading.Event(), Watch(0.05)
    for _ in range(3):
        with watch.over(stop.set):
            pass
    until = time.monotonic() + LONG_S
    while watch._watching:
        assert time.monotonic() < until, "the thread stays"
        time.sleep(0.01)
    assert not stop.is_set()


def test_each_of_many_runs_has_its_own_time() -> None:
    watch, stopped, ended = Watch(2.0), threading.Event(), []

    def quick() -> None:
        while not stopped.is_set():
            with watch.over(lambda: ended.append("quick")):
                time.sleep(0.001)

    def long() -> None:
        with watch.over(stopped.set):
            assert stopped.wait(LONG_S)

    threads = [threading.Thread(target=quick) for _ in range(4)]
    for thread in threads:
        thread.start()
    with pytest.raises(ModelFailed):
        long()
    for thread in threads:
        thread.join(LONG_S)
    assert ended == []


def test_without_a_limit_nothing_is_watched() -> None:
    watch = Watch(0)
    with watch.over(lambda: pytest.fail("stopped")):
        assert not watch._watching
