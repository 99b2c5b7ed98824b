"""Watches of a server, without HTTP: real cameras, a real model, the real database."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.watching.cameras import Camera
from tests.web import tiny

from sightline.errors import FetchRefused, NotFound, SightlineError
from sightline.serving.road import Road
from sightline.settings import Settings, load_settings
from sightline.storage import watch_rows
from sightline.storage.database import Database
from sightline.storage.store import Store
from sightline.storage.watch_kept import Watch
from sightline.types import Detections, Result
from sightline.watching.manager import Watches

WISH: dict[str, Any] = {
    "every_s": 0.05,
    "motion": False,
    "store": False,
    "model": "tiny",
    "min_score": None,
    "labels": None,
    "size": None,
}
NOWHERE = "/dev/video987"


@dataclass
class Ears:
    """Hears of each answer, as rules do; may be held up."""

    told: list[tuple[str, Result]] = field(default_factory=list)
    busy: threading.Event = field(default_factory=threading.Event)
    free: threading.Event = field(default_factory=threading.Event)

    def __call__(self, name: str, result: Result) -> None:
        self.told.append((name, result))
        self.busy.set()
        assert self.free.wait(60)


class HeldRoad(Road):
    """A road on which pictures wait until they may go on."""

    busy, free = threading.Event(), threading.Event()

    def predict(self, *args: Any, **options: Any) -> Result:
        self.busy.set()
        assert self.free.wait(60)
        return super().predict(*args, **options)


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def threads_of(watch_id: str) -> int:
    return sum(thread.name == f"watch-{watch_id}" for thread in threading.enumerate())


@pytest.fixture
def camera() -> Iterator[Camera]:
    with Camera() as made:
        yield made


@pytest.fixture
def settings(tmp_path: Path, camera: Camera) -> Settings:
    allowed = f"127.0.0.1:{camera.port}, {NOWHERE}"
    values = {"data_dir": str(tmp_path / "data"), "threads": 1, "decoders": 1, "fetch_allow": allowed}
    options = load_settings(values | {"disk_reserve_mb": 0}, environment={})
    tiny.install(options, tmp_path / "bundles")
    return options


@pytest.fixture
def road(settings: Settings) -> Iterator[Road]:
    with Road.open(settings) as made:
        yield made


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    made = Store.open(settings)
    yield made
    made.close()


@pytest.fixture
def ears() -> Iterator[Ears]:
    made = Ears()
    made.free.set()
    yield made
    made.free.set()


@pytest.fixture
def watches(settings: Settings, road: Road, store: Store, ears: Ears) -> Iterator[Watches]:
    made = Watches(settings, lambda: road, lambda: store, ears)
    yield made
    ears.free.set()
    made.close()


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    made = Database.of(settings)
    yield made
    made.close()


def test_changes_at_once_leave_one_watcher(watches: Watches, camera: Camera) -> None:
    watch_id = watches.add(camera.url(), "door", WISH).watch.id
    barrier = threading.Barrier(4)

    def change(number: int) -> None:
        barrier.wait(60)
        watches.change(watch_id, "", f"door {number}", WISH)

    changing = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in changing:
        thread.start()
    for thread in changing:
        thread.join(60)
    until(lambda: threads_of(watch_id) == 1)
    until(lambda: watches.get(watch_id).answers)
    watches.remove(watch_id)
    until(lambda: not threads_of(watch_id))


def test_what_is_removed_while_it_is_changed_is_over(
    watches: Watches, camera: Camera, ears: Ears, database: Database
) -> None:
    ears.free.clear()
    watch_id = watches.add(camera.url(), "door", WISH).watch.id
    assert ears.busy.wait(60)  # the watcher cannot end just now
    changing = threading.Thread(target=watches.change, args=(watch_id, "", "yard", WISH))
    changing.start()
    until(lambda: [row.name for row in database.read(watch_rows.every)] == ["yard"])
    removing = threading.Thread(target=watches.remove, args=(watch_id,))
    removing.start()
    until(lambda: not database.read(watch_rows.every) and not watches.all())
    ears.free.set()
    changing.join(60)
    removing.join(60)
    until(lambda: not threads_of(watch_id))
    assert watches.all() == []
    with pytest.raises(NotFound):
        watches.change(watch_id, "", "gate", WISH)


def test_starting_again_begins_nothing_twice(
    watches: Watches, camera: Camera, settings: Settings, road: Road, store: Store, ears: Ears
) -> None:
    watch_id = watches.add(camera.url(), "door", WISH).watch.id
    watches.start()
    assert threads_of(watch_id) == 1
    watches.close()
    until(lambda: not threads_of(watch_id))
    again = Watches(settings, lambda: road, lambda: store, ears)
    again.start()
    again.start()
    assert threads_of(watch_id) == 1
    until(lambda: again.get(watch_id).state == "watching")
    again.close()
    until(lambda: not threads_of(watch_id))
    again.start()
    assert threads_of(watch_id) == 0, "a server that stops begins nothing"


def test_an_answer_about_what_is_removed_is_told_nobody(
    settings: Settings, store: Store, camera: Camera, ears: Ears
) -> None:
    with HeldRoad.open(settings) as road:
        assert isinstance(road, HeldRoad)
        watches = Watches(settings, lambda: road, lambda: store, ears)
        watch_id = watches.add(camera.url(), "door", WISH | {"store": True}).watch.id
        assert road.busy.wait(60)
        removing = threading.Thread(target=watches.remove, args=(watch_id,))
        removing.start()
        until(lambda: not watches.all())
        road.free.set()
        removing.join(60)
        until(lambda: not threads_of(watch_id))
        watches.close()
    assert ears.told == []
    assert camera.connections == 1


def test_what_is_kept_changes_nothing_of_what_is_told(
    watches: Watches, camera: Camera, ears: Ears, store: Store
) -> None:
    """The model sees 0.9, 0.6, 0.2, 0.08 and 0.01; its own threshold is 0.3, what is kept begins at 0.05."""
    for kept in (False, True):
        for more, scores in (
            ({}, [0.9, 0.6]),
            ({"min_score": 0.1}, [0.9, 0.6, 0.2]),
            ({"labels": ["dog"]}, [0.6]),
        ):
            watch_id = watches.add(camera.url(), "door", WISH | {"store": kept} | more).watch.id
            until(lambda: watches.get(watch_id).answers)  # noqa: B023 - asked here and now
            standing = watches.get(watch_id)
            watches.remove(watch_id)
            name, told = ears.told[-1]
            for result in (told, standing.last.result if standing.last else None):
                assert result is not None
                assert isinstance(result.prediction, Detections)
                assert result.prediction.score.tolist() == pytest.approx(scores)
            assert (name, sum(standing.counts.values())) == ("door", len(scores))
            if kept:
                rows = store.get(told.id).payload["predictions"]
                assert [row["score"] for row in rows] == [0.9, 0.6, 0.2, 0.08]


def test_a_camera_that_is_away_when_the_server_starts_is_waited_for(
    watches: Watches, database: Database
) -> None:
    database.write(partial(watch_rows.add, watch=Watch("a1", "desk", NOWHERE, WISH, 0.0)))
    watches.start()
    until(lambda: watches.get("a1").state == "lost")
    error = watches.get("a1").error
    assert isinstance(error, FetchRefused)
    assert NOWHERE in error.message
    assert watches.change("a1", "", "table", WISH).watch.name == "table", "its name has nothing to do with it"
    with pytest.raises(NotFound, match="no camera") as caught:
        watches.add(NOWHERE, "another", WISH)
    assert caught.value.field == "source"


def test_a_watch_that_cannot_begin_keeps_no_other_from_it(
    watches: Watches, camera: Camera, database: Database
) -> None:
    for number, wish in enumerate(({}, WISH | {"model": "gone"}, WISH)):
        row = Watch(f"a{number}", f"door {number}", camera.url(), wish, 0.0)
        database.write(partial(watch_rows.add, watch=row))
    watches.start()
    until(lambda: watches.get("a2").answers)
    for broken in ("a0", "a1"):
        assert watches.get(broken).state == "ended"
        assert isinstance(watches.get(broken).error, SightlineError)
    watches.remove("a0")
    assert [one.watch.id for one in watches.all()] == ["a1", "a2"]
