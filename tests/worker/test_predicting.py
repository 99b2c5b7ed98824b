"""Jobs of pictures: what becomes of each, in parts, again, and ended early."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import jsonschema
import numpy as np
import pytest
from PIL import Image
from tests.runtime import graphs
from tests.worker.working import album, items_of, square, submit_files, submit_uploads, work_off, zipped

from sightline.errors import ModelFailed
from sightline.jobs.inputs import LIST_TYPE, PREDICT, Inputs, PredictOrder, urls_blob
from sightline.jobs.ledger import Ledger
from sightline.jobs.stops import Cancelled, HandBack, Lost
from sightline.registry import Registry, file_sha256
from sightline.settings import Settings, load_settings
from sightline.storage.job_kept import Claim
from sightline.storage.kept import Picture
from sightline.types import Ask
from sightline.worker.desk import Desk
from sightline.worker.predicting import PART
from sightline.worker.tasks import TASKS


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data folder with a detector whose boxes are cells of 8 pixels; parts of four pictures."""
    values = {
        "data_dir": str(tmp_path / "data"),
        "threads": 1,
        "decoders": 1,
        "model": "cells",
        "job_shard": 4,
    }
    options = load_settings(values, environment={})
    Registry(options).add(graphs.sized_bundle(tmp_path / "cells"))
    return options


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    with Ledger.open(settings) as ledger:
        made = Desk(settings, ledger)
        yield made
        made.close()


def test_a_folder_becomes_parts_and_each_picture_an_item(desk: Desk, tmp_path: Path, root: Path) -> None:
    folder = album(tmp_path / "album", 10, broken=[3])
    job = submit_files(desk, folder)
    kinds: list[str] = []
    assert work_off(desk, kinds.append) == 4
    assert kinds == [PREDICT, PART, PART, PART]
    job = desk.ledger.get(job.id)
    assert (job.state, job.failed) == ("done", 1), job.error
    assert (job.progress.done, job.progress.total) == (10, 10)
    items = items_of(desk, job)
    assert [item.index for item in items] == list(range(10))
    assert [item.source for item in items] == [str(folder / f"{number:03d}.png") for number in range(10)]
    assert [item.index for item in items if item.state == "failed"] == [3]
    assert items[3].error is not None
    assert items[3].error["code"] == "not_a_picture"
    schema = json.loads((root / "docs/reference/result.schema.json").read_text())
    for item in items:
        if item.index != 3:
            assert item.result is not None
            jsonschema.validate(item.result, schema)
            assert item.result["predictions"]
            small = desk.ledger.picture(job.id, str(item.thumbnail))
            assert small.media_type == "image/jpeg"


def test_thumbnails_are_small_pictures(desk: Desk, tmp_path: Path) -> None:
    Image.new("RGB", (800, 400), (255, 0, 0)).save(tmp_path / "wide.png")
    job = submit_files(desk, tmp_path / "wide.png")
    work_off(desk)
    (item,) = items_of(desk, job)
    data = desk.ledger.picture(job.id, str(item.thumbnail)).data
    (tmp_path / "small.jpg").write_bytes(data)
    with Image.open(tmp_path / "small.jpg") as small:
        assert small.size == (320, 160)


def test_uploads_and_a_zip_of_them(desk: Desk) -> None:
    packed = zipped({"in/a.png": square(), "b.png": b"junk", "notes.txt": b"-"})
    job = submit_uploads(desk, ("cat.png", square((0, 255, 0))), ("cat.png", square()), ("trip.zip", packed))
    assert work_off(desk) == 1, "few pictures whose list cannot change need no parts"
    items = items_of(desk, job)
    assert [(item.source, item.state) for item in items] == [
        ("cat.png", "done"),
        ("cat (2).png", "done"),
        ("trip.zip/b.png", "failed"),
        ("trip.zip/in/a.png", "done"),
    ]
    assert desk.ledger.picture(job.id, str(items[0].image)).data == square((0, 255, 0))
    assert [item.image for item in items[2:]] == [None, None]


def test_inputs_that_give_nothing_are_items_that_say_why(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04")
    job = submit_files(
        desk, tmp_path / "gone.jpg", tmp_path / "empty", tmp_path / "broken.zip", f"{tmp_path}/*.tif"
    )
    work_off(desk)
    job = desk.ledger.get(job.id)
    assert (job.state, job.failed) == ("done", 4)
    codes = [item.error["code"] for item in items_of(desk, job) if item.error]
    assert codes == ["not_found", "not_found", "bad_option", "not_found"]


def test_what_is_wrong_with_the_order_fails_the_job_at_once(desk: Desk, tmp_path: Path) -> None:
    folder = album(tmp_path / "album", 2)
    unknown = submit_files(desk, folder, model="nobody")
    label = submit_files(desk, folder, ask=Ask(labels=frozenset({"unicorn"})))
    size = submit_files(desk, folder, ask=Ask(size=17))
    work_off(desk)
    states = {job.id: desk.ledger.get(job.id) for job in (unknown, label, size)}
    assert {job.state for job in states.values()} == {"failed"}
    assert [states[job.id].error["code"] for job in (unknown, label, size)] == [  # type: ignore[index]
        "not_found",
        "bad_option",
        "bad_option",
    ]


def test_the_wishes_reach_the_model(desk: Desk, tmp_path: Path) -> None:
    folder = album(tmp_path / "album", 1)
    all_of_it = submit_files(desk, folder)
    one = submit_files(desk, folder, ask=Ask(max_results=1))
    work_off(desk)
    counts = [len(items_of(desk, job)[0].result["predictions"]) for job in (all_of_it, one)]  # type: ignore[index]
    assert counts[0] > counts[1] == 1


def test_parts_stay_with_the_version_that_the_whole_began_with(desk: Desk, tmp_path: Path) -> None:
    job = submit_files(desk, album(tmp_path / "album", 8))
    claim = desk.ledger.claim("test", (PREDICT,))
    assert claim is not None
    TASKS[PREDICT](desk, claim)
    Registry(desk.settings).add(graphs.sized_bundle(tmp_path / "newer", version="2"))
    work_off(desk)
    versions = {item.result["model"]["version"] for item in items_of(desk, job) if item.result}
    assert versions == {"1"}


def test_a_second_attempt_looks_only_at_what_is_left(desk: Desk, tmp_path: Path) -> None:
    job = submit_files(desk, album(tmp_path / "album", 4, broken=[1, 2]))
    work_off(desk)
    before = {item.index: item.result for item in items_of(desk, job)}
    (tmp_path / "album" / "001.png").write_bytes(square())
    desk.ledger.retry(job.id)
    work_off(desk)
    after = {item.index: item for item in items_of(desk, job)}
    assert [after[number].state for number in range(4)] == ["done", "done", "failed", "done"]
    assert (after[0].result, after[3].result) == (before[0], before[3]), "done is done"
    assert desk.ledger.get(job.id).failed == 1


def test_the_next_part_begins_before_the_last_one_has_ended(desk: Desk, tmp_path: Path) -> None:
    """Its first pictures are decoded while the part before is written down; each is looked at once."""
    job = submit_files(desk, album(tmp_path / "album", 12, broken=[5]))
    split = desk.ledger.claim("test", [PREDICT])
    assert split is not None
    desk.ledger.finish(split, TASKS[PREDICT](desk, split))
    taken: list[Claim] = []
    begun: list[bool] = []

    def take() -> Claim | None:
        ahead = desk.ledger.claim("test", [PART])
        taken.extend([ahead] if ahead else [])
        return ahead

    desk.take_ahead = take
    claim = desk.ledger.claim("test", [PART])
    while claim is not None:
        here = len(taken)
        desk.ledger.finish(claim, TASKS[PART](desk, claim))
        begun.append(len(taken) > here)
        claim = taken[here] if len(taken) > here else None
    assert begun == [True, True, False]
    done = desk.ledger.get(job.id)
    assert (done.state, done.progress.done, done.failed) == ("done", 12, 1)
    items = items_of(desk, job)
    assert [item.index for item in items] == list(range(12))
    seen = [item.result["id"] for item in items if item.result is not None]
    assert len(set(seen)) == 11


def test_what_has_broken_before_is_looked_at_alone(desk: Desk, tmp_path: Path) -> None:
    submit_files(desk, album(tmp_path / "album", 8))
    split = desk.ledger.claim("test", [PREDICT])
    assert split is not None
    desk.ledger.finish(split, TASKS[PREDICT](desk, split))
    first = desk.ledger.claim("test", [PART])
    assert first is not None
    assert first.job.attempt == 1

    def never() -> Claim | None:
        raise AssertionError("a part in its second attempt takes nothing ahead")

    desk.take_ahead = never
    TASKS[PART](desk, replace(first, job=replace(first.job, attempt=2)))


def test_what_is_done_is_written_before_the_worker_stops(desk: Desk, tmp_path: Path) -> None:
    job = submit_files(desk, album(tmp_path / "album", 4))
    for _ in range(2):
        claim = desk.ledger.claim("test", tuple(TASKS))
        assert claim is not None
        if claim.job.kind == PREDICT:
            TASKS[PREDICT](desk, claim)
    desk.stopping.set()
    assert claim is not None
    with pytest.raises(HandBack):
        TASKS[PART](desk, claim)
    assert len(items_of(desk, job)) == 1


@pytest.mark.parametrize(("verdict", "stop"), [("lost", Lost), ("cancelled", Cancelled)])
def test_nothing_is_written_for_a_job_that_is_somebody_elses(
    desk: Desk, tmp_path: Path, verdict: str, stop: type[Exception]
) -> None:
    job = submit_uploads(desk, *((f"{number}.png", square()) for number in range(3)))
    claim = desk.ledger.claim("test", (PREDICT,))
    assert claim is not None
    read, calls = desk.check, []

    def check(mine: object) -> None:
        calls.append(mine)
        if len(calls) > 3:  # the list has been read by then
            desk.tell(claim, verdict)
        read(claim)

    desk.check = check  # type: ignore[method-assign,assignment]
    with pytest.raises(stop):
        TASKS[PREDICT](desk, claim)
    assert items_of(desk, job) == ()


def test_a_model_that_breaks_ends_the_attempt_and_not_the_pictures(
    settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    path = graphs.breaks_when_run(folder / "model.onnx")
    about = graphs.manifest(
        name="broken", sha256=file_sha256(path), bytes=path.stat().st_size, licence="CC0-1.0"
    )
    (folder / "model.json").write_text(about.model_dump_json())
    Registry(settings).add(folder)
    with Ledger.open(settings) as ledger:
        desk = Desk(settings, ledger)
        job = submit_uploads(desk, ("a.png", square()))
        claim = ledger.claim("test", (PREDICT,))
        assert claim is not None
        payload = {**claim.job.payload, "model": "broken"}
        with pytest.raises(ModelFailed):
            TASKS[PREDICT](desk, replace(claim, job=replace(claim.job, payload=payload)))
        assert items_of(desk, job) == ()
        desk.close()


@pytest.fixture
def site() -> Iterator[str]:
    """A server that gives a picture at /a.png and nothing elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = square() if self.path == "/a.png" else b""
            self.send_response(200 if data else 404)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_addresses_are_fetched_within_the_rules_and_kept(settings: Settings, site: str) -> None:
    options = replace(settings, fetch_allow=site)
    urls = [f"http://{site}/a.png", f"http://{site}/b.png", "http://127.0.0.1:1/c.png"]
    with Ledger.open(options) as ledger:
        desk = Desk(options, ledger)
        digest = ledger.keep(Picture(urls_blob(urls), LIST_TYPE))
        order = PredictOrder(Inputs("urls", digest, 3))
        job = ledger.submit(PREDICT, order.to_json(), blobs=[digest])
        work_off(desk)
        items = items_of(desk, job)
        assert [(item.source, item.state) for item in items] == list(
            zip(urls, ["done", "failed", "failed"], strict=True)
        )
        assert [item.error["code"] for item in items if item.error] == ["fetch_refused"] * 2
        assert ledger.picture(job.id, str(items[0].image)).data == square()
        desk.close()


def test_a_prefix_of_a_bucket(settings: Settings, bucket: str) -> None:
    s3fs = pytest.importorskip("s3fs", reason="The extra `cluster` is not installed.")
    for number in range(5):
        s3fs.S3FileSystem().pipe_file(f"{bucket.removeprefix('s3://')}/real/{number}.png", square())
    options = replace(settings, job_prefixes=f"{bucket}/real, {bucket}/nothing", blobs=f"{bucket}/ours")
    with Ledger.open(options) as ledger:
        desk = Desk(options, ledger)
        jobs = [
            ledger.submit(PREDICT, PredictOrder(Inputs("prefix", place=f"{bucket}/{name}")).to_json())
            for name in ("real", "trip", "nothing")
        ]
        work_off(desk)
        real, trip, nothing = (ledger.get(job.id) for job in jobs)
        assert (real.state, real.progress.done, real.failed) == ("done", 5, 0)
        items = items_of(desk, real)
        assert [item.source for item in items] == [f"{bucket}/real/{number}.png" for number in range(5)]
        assert ledger.picture(real.id, str(items[0].thumbnail)).data[:2] == b"\xff\xd8"
        assert desk.ledger.counts(trip.id) == {"done": 0, "failed": 1}
        (refused,) = items_of(desk, trip)
        assert refused.error is not None
        assert "may not read" in refused.error["message"]
        (empty,) = items_of(desk, nothing)
        assert empty.error is not None
        assert empty.error["code"] == "not_found"
        desk.close()


def test_files_of_an_expired_job_are_deleted(settings: Settings) -> None:
    with Ledger.open(settings) as ledger:
        desk = Desk(settings, ledger)
        job = submit_uploads(desk, ("a.png", square()))
        work_off(desk)
        (item,) = items_of(desk, job)
        kept = [str(item.image), str(item.thumbnail)]
        with ledger.database.engine.execution_options(write=True).begin() as connection:
            connection.exec_driver_sql("UPDATE blobs SET kept = 0")  # an hour has passed
            connection.exec_driver_sql("UPDATE jobs SET expires = 1")  # and the job's days
        assert ledger.expire() == 1
        assert not set(kept) & set(ledger.blobs.digests())
        desk.close()


def test_a_thumbnail_is_the_picture_upright_and_small(desk: Desk, tmp_path: Path, photos: Path) -> None:
    """From pixels that were decoded for the model, it looks as one that is made from the file."""
    files = sorted(photos.glob("*.jpg"))[:4]
    job = submit_files(desk, *files)
    work_off(desk)
    for item in items_of(desk, job):
        own = desk.ledger.picture(job.id, str(item.thumbnail)).data
        other = desk.road.decoder.thumbnail(Path(item.source).read_bytes(), 320)
        with Image.open(io.BytesIO(own)) as mine, Image.open(io.BytesIO(other)) as theirs:
            assert mine.size == theirs.size
            apart = np.abs(np.asarray(mine, np.int16) - np.asarray(theirs, np.int16)).mean()
        assert apart < 6, item.source
