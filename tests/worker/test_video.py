"""Videos as jobs, in this process and on a real worker: what is kept, what is counted, how it ends early."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.runtime import graphs
from tests.watching.conftest import MakeVideo, colour_data, video

from sightline.errors import BadOption, ConfigError, NotAPicture, NotFound
from sightline.jobs.ledger import Ledger
from sightline.jobs.stops import Cancelled
from sightline.jobs.video import LIMIT_S, VIDEO, VideoOrder
from sightline.registry import Registry
from sightline.serving.pipelines import import_pipeline
from sightline.settings import Settings, load_settings
from sightline.storage.job_kept import Claim, Job
from sightline.storage.kept import Picture
from sightline.types import Ask
from sightline.worker.crew import Crew
from sightline.worker.desk import Desk
from sightline.worker.tasks import TASKS

__all__ = ["colour_data", "video"]
MakeScene = Callable[..., Path]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data folder with a detector whose boxes are cells of 8 pixels, and SQLite."""
    values = {"data_dir": str(tmp_path / "data"), "threads": 1, "decoders": 1, "model": "cells"}
    options = load_settings(values, environment={})
    Registry(options).add(graphs.sized_bundle(tmp_path / "cells"))
    return options


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    ledger = Ledger.open(settings)
    made = Desk(settings, ledger)
    yield made
    made.close()
    ledger.close()


def order_of(desk: Desk, path: Path, **changes: object) -> VideoOrder:
    digest = desk.ledger.keep(Picture(path.read_bytes(), "application/octet-stream"))
    return replace(VideoOrder("blob", digest, path.name), **changes)  # type: ignore[arg-type]


def submit(desk: Desk, order: VideoOrder) -> Job:
    blobs = [order.place] if order.type == "blob" else []
    return desk.ledger.submit(VIDEO, order.to_json(), limit_s=LIMIT_S, blobs=blobs)


def claim(desk: Desk) -> Claim:
    found = desk.ledger.claim("test", (VIDEO,))
    assert found is not None
    return found


def run(desk: Desk, order: VideoOrder) -> Job:
    submit(desk, order)
    mine = claim(desk)
    desk.ledger.finish(mine, TASKS[VIDEO](desk, mine))
    return desk.ledger.get(mine.job.id)


@pytest.fixture
def moving(tmp_path: Path) -> Path:
    """A red square that walks to the right over black, 20 frames, and from frame 10 a green one below."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV (the extra `video`) is not installed.")
    path = tmp_path / "moving.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"FFV1"), 10.0, (128, 128))
    for frame in range(20):
        pixels = np.zeros((128, 128, 3), np.uint8)
        pixels[0:32, frame * 4 : frame * 4 + 32] = (0, 0, 255)
        if frame >= 10:
            pixels[96:128, 64:96] = (0, 255, 0)
        writer.write(pixels)
    writer.release()
    return path


def files(desk: Desk, job: Job) -> dict[str, Picture]:
    items = desk.ledger.items(job.id).items
    assert all(item.image for item in items)
    return {Path(item.source).suffix: desk.ledger.picture(job.id, str(item.image)) for item in items}


def test_everything_comes_out(desk: Desk, moving: Path) -> None:
    job = run(desk, order_of(desk, moving))
    assert job.state == "done"
    assert (job.progress.done, job.progress.total) == (20, 20)
    assert job.result is not None
    assert (job.result["frames"], job.result["seconds"], job.result["fps"]) == (20, 2.0, 10.0)
    found = files(desk, job)
    assert {suffix: kept.media_type for suffix, kept in found.items()} == {
        ".webm": "video/webm",
        ".csv": "text/csv",
        ".jsonl": "application/x-ndjson",
    }
    rows = list(csv.DictReader(io.StringIO(found[".csv"].data.decode())))
    lines = [json.loads(line) for line in found[".jsonl"].data.decode().splitlines()]
    assert [line["frame"] for line in lines] == list(range(20))
    told = [(line["frame"], row["label"], row.get("object")) for line in lines for row in line["predictions"]]
    assert [(int(row["frame"]), row["label"], int(row["object"] or 0) or None) for row in rows] == told
    assert sum(job.result["counts"].values()) == len(job.result["objects"])
    assert found[".webm"].data[:4] == b"\x1a\x45\xdf\xa3"


def test_objects_are_counted_once_and_have_their_times(desk: Desk, moving: Path) -> None:
    job = run(desk, order_of(desk, moving, ask=Ask(labels=frozenset({"green"}))))
    assert job.result is not None
    assert set(job.result["counts"]) == {"green"}
    for found in job.result["objects"]:
        assert found["label"] == "green"
        assert found["first"] >= 1.0
        assert found["last"] == pytest.approx(1.9)


def test_the_poster_is_a_small_picture(desk: Desk, moving: Path) -> None:
    job = run(desk, order_of(desk, moving))
    item = desk.ledger.items(job.id).items[0]
    assert item.thumbnail is not None
    with Image.open(io.BytesIO(desk.ledger.picture(job.id, item.thumbnail).data)) as poster:
        assert poster.format == "JPEG"
        assert poster.size == (128, 128)


def test_a_pace_and_no_film(desk: Desk, moving: Path) -> None:
    job = run(desk, order_of(desk, moving, every_s=0.5, side=0))
    assert job.result is not None
    assert job.result["frames"] == 4
    assert set(files(desk, job)) == {".csv", ".jsonl"}


def test_a_classifier_counts_frames(desk: Desk, colour_data: Path, video: MakeVideo, tmp_path: Path) -> None:
    desk.road.registry.add(colour_data.parent / "bundle")
    job = run(desk, order_of(desk, video("red", "blue", frames=4), model="colour"))
    assert job.result is not None
    assert job.result["counts"] == {"red": 4, "blue": 4}
    assert job.result["objects"] == []


PALE = """
name = "warmth"

[first]
model = "pale"
labels = ["red", "green", "blue"]

[crop]
of = "frame"

[second]
model = "pale"
verdicts = { red = "warm", green = "cold", blue = "cold" }

[verdicts]
order = ["warm", "cold"]
"""


def test_a_pipeline_that_begins_with_a_classifier(desk: Desk, video: MakeVideo, tmp_path: Path) -> None:
    """Its classes are about 0.54, 0.23 and 0.23: the others are above what a film asks for, and not sure."""
    registry = desk.road.registry
    registry.add(graphs.colour_bundle(tmp_path / "pale", name="pale", sharpness=1))
    (tmp_path / "warmth.toml").write_text(PALE)
    import_pipeline(tmp_path / "warmth.toml", registry)
    order = order_of(desk, video("red", "blue", frames=4), model="warmth", ask=Ask(min_score=0.5))
    job = run(desk, order)
    assert job.result is not None
    assert job.result["counts"] == {"red": 4, "blue": 4}
    assert job.result["verdicts"] == {"warm": 4, "cold": 4}
    lines = [json.loads(line) for line in files(desk, job)[".jsonl"].data.decode().splitlines()]
    told = [[(row["label"], row["verdict"]) for row in line["predictions"]] for line in lines]
    assert told == [[("red", "warm")]] * 4 + [[("blue", "cold")]] * 4


def test_a_file_of_the_workers_machine(desk: Desk, moving: Path, tmp_path: Path) -> None:
    job = run(desk, VideoOrder("file", str(moving), "moving.avi", side=0))
    assert job.state == "done"
    submit(desk, VideoOrder("file", str(tmp_path / "gone.mp4"), "gone.mp4"))
    with pytest.raises(NotFound, match="gone"):
        TASKS[VIDEO](desk, claim(desk))


def test_what_is_no_video(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "no.mp4"
    path.write_bytes(b"nothing" * 1000)
    submit(desk, order_of(desk, path))
    with pytest.raises(NotAPicture, match="no video that can be read"):
        TASKS[VIDEO](desk, claim(desk))


def test_a_cancelled_job_stops_and_leaves_nothing_behind(desk: Desk, video: MakeVideo) -> None:
    submit(desk, order_of(desk, video("red", frames=500)))
    mine = claim(desk)
    desk.tell(mine, "cancelled")
    with pytest.raises(Cancelled):
        TASKS[VIDEO](desk, mine)
    assert not list(desk.settings.data_path.glob(".video-*"))
    assert desk.ledger.items(mine.job.id).items == ()


def test_a_worker_does_it(settings: Settings, desk: Desk, moving: Path) -> None:
    job = submit(desk, order_of(desk, moving))
    with Crew(settings):
        for _ in range(1200):
            now = desk.ledger.get(job.id)
            if now.ended:
                break
            desk.stopping.wait(0.1)
    assert now.state == "done", now.error


@pytest.mark.parametrize("changes", [{"side": 10}, {"side": 5000}, {"every_s": -1.0}])
def test_wrong_wishes(changes: dict[str, float]) -> None:
    with pytest.raises(BadOption):
        replace(VideoOrder("blob", "0" * 64, "x"), **changes)  # type: ignore[arg-type]


def test_another_versions_payload() -> None:
    with pytest.raises(ConfigError, match="version 9"):
        VideoOrder.from_json(VideoOrder("blob", "0" * 64, "x").to_json() | {"version": 9})
