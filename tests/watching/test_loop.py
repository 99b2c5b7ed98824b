"""Watchers over real cameras, files and a real model: they go on, and they end."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.watching.cameras import Camera, Heard, RtspCamera
from tests.watching.conftest import MakeVideo, top

from sightline.errors import FetchRefused, NotAPicture, NotFound, SightlineError
from sightline.serving.road import Road
from sightline.settings import Settings
from sightline.watching.loop import Ended, Event, Lost, Missed, Plan, Seen, Watcher
from sightline.watching.opening import for_this_terminal
from sightline.watching.source import parse

Begin = Callable[..., tuple[Watcher, Heard]]


@pytest.fixture
def begin(road: Road, settings: Settings) -> Iterator[Begin]:
    """Start a watcher in a thread; it is stopped at the end, and must then be over."""
    begun: list[tuple[Watcher, threading.Thread]] = []

    def start(word: object, **options: object) -> tuple[Watcher, Heard]:
        plan = Plan(parse(str(word)), **({"every_s": 0.0} | options))  # type: ignore[arg-type]
        heard = Heard()
        watcher = Watcher(plan, road, for_this_terminal(settings), heard)
        thread = threading.Thread(target=watcher.run, daemon=True)
        thread.start()
        begun.append((watcher, thread))
        return watcher, heard

    yield start
    for watcher, thread in begun:
        watcher.stop()
        thread.join(30)
        assert not thread.is_alive()


def seen(heard: Heard) -> list[Seen]:
    return [event for event in heard.events if isinstance(event, Seen)]


def ended(heard: Heard) -> Ended:
    heard.wait(lambda: heard.of(Ended))
    last = heard.events[-1]
    assert isinstance(last, Ended)
    return last


def labels(heard: Heard) -> list[str]:
    return [top(event.result) for event in seen(heard)]


def test_every_frame_of_a_file_in_order(begin: Begin, video: MakeVideo) -> None:
    path = video("red", "green", "blue")
    _, heard = begin(path)
    assert ended(heard).error is None
    assert labels(heard) == ["red"] * 10 + ["green"] * 10 + ["blue"] * 10
    assert [event.shot.index for event in seen(heard)] == list(range(30))
    assert {event.result.source for event in seen(heard)} == {str(path)}


def test_a_file_at_a_pace_needs_no_clock(begin: Begin, video: MakeVideo) -> None:
    _, heard = begin(video("red", "green", "blue", frames=3000 // 10), every_s=10.0)
    assert ended(heard).error is None
    assert [round(event.shot.time_s) for event in seen(heard)] == [0, 10, 20, 30, 40, 50, 60, 70, 80]
    assert labels(heard) == ["red"] * 3 + ["green"] * 3 + ["blue"] * 3


def test_an_end_after_so_many_answers(begin: Begin, video: MakeVideo) -> None:
    _, heard = begin(video("red", "green"), count=7)
    assert ended(heard).error is None
    assert len(seen(heard)) == 7


@pytest.mark.parametrize("camera", [Camera, RtspCamera])
def test_a_cut_in_the_middle_is_told_and_mended(begin: Begin, camera: type[Camera | RtspCamera]) -> None:
    with camera() as server:
        _, heard = begin(server.url())
        heard.wait(lambda: len(seen(heard)) >= 3)
        server.show = lambda _: "blue"
        server.cut()
        heard.wait(lambda: heard.of(Lost))
        heard.wait(lambda: labels(heard)[-1] == "blue")
        after = len(seen(heard))
        heard.wait(lambda: len(seen(heard)) >= after + 3)
    assert not heard.of(Ended)
    (lost, *_) = heard.of(Lost)
    assert isinstance(lost, Lost)
    assert isinstance(lost.error, FetchRefused)
    assert lost.again_s <= 1.0
    assert server.connections >= 2


def test_a_camera_that_comes_back_later(begin: Begin, unused_port: int) -> None:
    _, heard = begin(f"http://127.0.0.1:{unused_port}/video", count=2)
    heard.wait(lambda: len(heard.of(Lost)) >= 2)
    with Camera(port=unused_port):
        assert ended(heard).error is None
    assert len(seen(heard)) == 2


def test_a_camera_is_given_up_if_so_wished(begin: Begin, unused_port: int) -> None:
    _, heard = begin(f"http://127.0.0.1:{unused_port}/video", retries=1)
    assert isinstance(ended(heard).error, FetchRefused)
    assert len(heard.of(Lost)) == 1


def test_one_watcher_that_fails_stops_no_other(begin: Begin, video: MakeVideo, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    with Camera() as camera:
        _, first = begin(camera.url())
        _, second = begin(broken)
        _, third = begin(video("green"), model="no-such-model")
        _, fourth = begin(video("red"))
        assert isinstance(ended(second).error, NotAPicture)
        assert isinstance(ended(third).error, NotFound)
        assert ended(fourth).error is None
        before = len(seen(first))
        first.wait(lambda: len(seen(first)) >= before + 3)


def test_a_listener_that_breaks_ends_its_own_watcher_only(
    road: Road, settings: Settings, video: MakeVideo
) -> None:
    heard: list[Event] = []

    def tell(event: Event) -> None:
        heard.append(event)
        if not isinstance(event, Ended):
            int("no")

    Watcher(Plan(parse(str(video("red")))), road, for_this_terminal(settings), tell).run()
    assert isinstance(heard[-1], Ended)
    assert isinstance(heard[-1].error, SightlineError)
    assert "ValueError" in heard[-1].error.message


def test_a_picture_that_is_damaged_is_told_and_the_next_is_taken(begin: Begin) -> None:
    with Camera() as camera:
        camera.garble = lambda sent: sent == 1
        camera.pace_s = 0.3
        _, heard = begin(camera.url())
        heard.wait(lambda: heard.of(Missed))
        heard.wait(lambda: len(seen(heard)) >= 2)


def test_without_motion_nothing_is_looked_at(begin: Begin, video: MakeVideo) -> None:
    _, heard = begin(video("red", "green", "blue", frames=20), motion=True)
    assert ended(heard).error is None
    found = seen(heard)
    assert [event.motion.share for event in found if event.motion and event.shot.index == 0] == [1.0]
    assert 3 <= len(found) < 60
    assert {"red", "green", "blue"} == set(labels(heard)), "a change of colour is a change"


@pytest.mark.parametrize("camera", [Camera, RtspCamera])
def test_a_still_camera_is_looked_at_once(begin: Begin, camera: type[Camera | RtspCamera]) -> None:
    with camera() as server:
        _, heard = begin(server.url(), motion=True)
        heard.wait(lambda: seen(heard))
        sent = server.sent
        while server.sent < sent + 20:
            server.closing.wait(0.05)
        assert len(seen(heard)) == 1


def test_stop_ends_a_watcher_that_waits_for_its_camera(begin: Begin) -> None:
    with RtspCamera() as camera:
        watcher, heard = begin(camera.url())
        heard.wait(lambda: seen(heard))
        camera.stuck.set()
        watcher.stop()
        assert ended(heard).error is None
