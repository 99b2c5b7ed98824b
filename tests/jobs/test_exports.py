"""A job's results as files: what they hold, and that they are written while they are read."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.formats import reading
from tests.formats.conftest import classified, detected, judged, nothing, segmented
from tests.worker.working import square, zipped

from sightline.errors import BadOption, NotFound, PictureTooComplex
from sightline.formats import native
from sightline.jobs import exports
from sightline.jobs.exports import Format, export
from sightline.jobs.inputs import LIST_TYPE, PREDICT, Inputs, PredictOrder, pictures_blob
from sightline.jobs.ledger import Ledger
from sightline.jobs.pictures import Pictures
from sightline.jobs.video import VIDEO
from sightline.settings import Settings
from sightline.storage.job_kept import Item, Job
from sightline.storage.kept import Picture
from sightline.types import Result

__all__ = ["classified", "detected", "judged", "nothing", "segmented"]

Make = Callable[..., Job]


@pytest.fixture
def ledger(data_settings: Settings) -> Iterator[Ledger]:
    with Ledger.open(replace(data_settings, disk_reserve_mb=0)) as opened:
        yield opened


@pytest.fixture
def finished(ledger: Ledger) -> Make:
    """A job whose pictures have these results; ``None`` is a picture that failed."""

    def make(
        results: Sequence[Result | None], inputs: Inputs | None = None, sources: Sequence[str] = ()
    ) -> Job:
        digest = ledger.keep(Picture(pictures_blob([]), LIST_TYPE))
        order = PredictOrder(inputs or Inputs("pictures", digest))
        job = ledger.submit(PREDICT, order.to_json(), blobs=[digest])
        claim = ledger.claim("test", (PREDICT,))
        assert claim is not None
        error = {"code": "not_a_picture", "message": "=1+1 is no picture.", "next_step": "Send one."}
        for index, result in enumerate(results):
            source = sources[index] if sources else f"in/{index}.jpg"
            if result is None:
                item = Item(job.id, index, source, "failed", error=error)
            else:
                body = native.to_json(replace(result, source=source))
                item = Item(job.id, index, source, "done", body)
            ledger.put_items(claim, [item])
        ledger.finish(claim)
        return ledger.get(job.id)

    return make


def drawn(data: bytes, result: Result, media_type: str) -> bytes:
    return b"drawn:" + media_type.encode() + b":" + data


def exported(ledger: Ledger, job: Job, kind: Format, draw: exports.Draw = drawn) -> bytes:
    with Pictures(Settings(), ledger.blobs) as pictures:
        made = export(kind, ledger, job.id, pictures=pictures, draw=draw)
        assert made.media_type
        assert made.name.startswith("job-")
        return b"".join(made.chunks)


def test_json_lines(ledger: Ledger, finished: Make, detected: Result, segmented: Result) -> None:
    job = finished([detected, None, segmented])
    lines = [json.loads(line) for line in exported(ledger, job, "jsonl").splitlines()]
    assert [line["index"] for line in lines] == [0, 1, 2]
    assert [line["state"] for line in lines] == ["done", "failed", "done"]
    assert lines[1]["result"] is None
    assert lines[1]["error"]["code"] == "not_a_picture"
    assert lines[2]["result"] == native.to_json(replace(segmented, source="in/2.jpg"))


def test_csv_says_which_bytes_were_looked_at(ledger: Ledger, detected: Result) -> None:
    """Of an upload or an address; of a picture out of a zip or a bucket nobody has the sum."""
    digest = ledger.keep(Picture(b"its bytes", "image/jpeg"))
    listed = ledger.keep(Picture(pictures_blob([(digest, "a.jpg")]), LIST_TYPE))
    order = PredictOrder(Inputs("pictures", listed))
    job = ledger.submit(PREDICT, order.to_json(), blobs=[digest, listed])
    claim = ledger.claim("test", (PREDICT,))
    assert claim is not None
    items = [
        Item(job.id, place, "a.jpg", "done", native.to_json(replace(detected, id=str(place))), image=image)
        for place, image in enumerate((digest, None))
    ]
    ledger.put_items(claim, items)
    ledger.finish(claim)
    rows = list(csv.DictReader(io.StringIO(exported(ledger, job, "csv").decode())))
    assert [row["image_sha256"] for row in rows] == [hashlib.sha256(b"its bytes").hexdigest()] * 2 + [""] * 2


def test_csv_has_one_head_and_every_row(
    ledger: Ledger, finished: Make, detected: Result, nothing: Result, classified: Result
) -> None:
    job = finished([detected, None, nothing, classified])
    rows = list(csv.DictReader(io.StringIO(exported(ledger, job, "csv").decode())))
    assert [(row["image"], row["label"]) for row in rows] == [
        ("in/0.jpg", "猫 & <dog>"),
        ("in/0.jpg", "person"),
        ("in/2.jpg", ""),
        ("in/3.jpg", 'stop "sign"'),
        ("in/3.jpg", "person"),
    ]


def test_coco_is_what_the_whole_data_set_would_be(
    ledger: Ledger, finished: Make, detected: Result, nothing: Result, segmented: Result, judged: Result
) -> None:
    job = finished([detected, None, nothing, segmented, judged])
    body = json.loads(exported(ledger, job, "coco"))
    assert [image["id"] for image in body["images"]] == [1, 3, 4, 5]
    assert [image["file_name"] for image in body["images"]] == ["0.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert body["images"][3]["verdict"] == "rider"
    names = {category["id"]: category["name"] for category in body["categories"]}
    assert sorted(names) == [1, 2]
    marks = [(mark["image_id"], names[mark["category_id"]]) for mark in body["annotations"]]
    pair = ["猫 & <dog>", "person"]
    assert marks == [(image, label) for image in (1, 4, 5) for label in pair]
    assert [mark["id"] for mark in body["annotations"]] == list(range(1, 7))
    assert body["annotations"][2]["segmentation"]["size"] == [80, 100]
    assert [len(things) for things in reading.coco(json.dumps(body)).values()] == [2, 0, 2, 2]


def test_coco_of_classes_is_refused_before_the_first_byte(
    ledger: Ledger, finished: Make, classified: Result
) -> None:
    job = finished([None, classified])
    with pytest.raises(BadOption, match="classifies") as caught:
        exported(ledger, job, "coco")
    assert caught.value.next_step == "This job has `jsonl`, `csv` and `zip`."


@pytest.mark.parametrize("kind", ["jsonl", "csv", "coco", "zip"])
def test_a_kind_that_makes_no_files_says_where_its_result_is(ledger: Ledger, kind: Format) -> None:
    job = ledger.submit("train", {})
    with pytest.raises(BadOption, match=f"'train' has no results as `{kind}`") as caught:
        exported(ledger, job, kind)
    assert f"GET /api/v1/jobs/{job.id}" in caught.value.next_step


def test_a_video_says_which_formats_it_has_and_when(ledger: Ledger) -> None:
    job = ledger.submit(VIDEO, {})
    with pytest.raises(BadOption, match="'video' has no results as `coco`") as caught:
        exported(ledger, job, "coco")
    assert caught.value.next_step == "This job has `jsonl`, `csv` and `zip`."
    with pytest.raises(BadOption, match="is queued and has made no files yet") as caught:
        exported(ledger, job, "zip")
    assert caught.value.next_step == "Ask again once it is done."
    ledger.cancel(job.id)
    with pytest.raises(BadOption, match=r"is cancelled and has made no files\."):
        exported(ledger, job, "csv")


def test_a_job_without_pictures_yet(ledger: Ledger, finished: Make) -> None:
    job = finished([])
    assert exported(ledger, job, "jsonl") == b""
    assert exported(ledger, job, "csv").count(b"\n") == 1
    assert json.loads(exported(ledger, job, "coco"))["images"] == []
    with zipfile.ZipFile(io.BytesIO(exported(ledger, job, "zip"))) as archive:
        assert archive.namelist() == ["errors.csv"]


def test_a_zip_holds_annotated_pictures_their_json_and_the_errors(
    ledger: Ledger, finished: Make, detected: Result, tmp_path: Path
) -> None:
    (tmp_path / "p.png").write_bytes(b"on disk")
    archive = ledger.keep(Picture(zipped({"in/q.jpg": b"packed"}), "application/zip"))
    files = [(archive, "trip.zip")]
    listed = ledger.keep(Picture(pictures_blob(files), LIST_TYPE))
    sources = ["trip.zip/in/q.jpg", "trip.zip/in/gone.jpg", "../../etc/broken", "trip.zip/in/q.jpg"]
    job = finished([detected, detected, None, detected], Inputs("pictures", listed), sources)
    calls: list[bytes] = []

    def draw(data: bytes, result: Result, media_type: str) -> bytes:
        calls.append(data)
        if len(calls) == 2:
            raise PictureTooComplex("It took too long.")
        return drawn(data, result, media_type)

    with zipfile.ZipFile(io.BytesIO(exported(ledger, job, "zip", draw))) as made:
        assert made.testzip() is None
        names = made.namelist()
        pictures = [name for name in names if "_annotated" in name]
        assert len(pictures) == 1
        assert made.read(pictures[0]) == b"drawn:image/jpeg:packed"
        assert {name for name in names if name.endswith(".json")} == {
            "000000-q.json",
            "000001-gone.json",
            "000003-q.json",
        }
        rows = list(csv.DictReader(io.StringIO(made.read("errors.csv").decode())))
    assert [(row["index"], row["code"]) for row in rows if row["index"] in "12"] == [
        ("1", "not_found"),
        ("2", "not_a_picture"),
    ]
    assert {row["code"] for row in rows} == {"not_found", "not_a_picture", "picture_too_complex"}
    assert rows[1]["message"] == "'=1+1 is no picture.", "no cell is a formula"


def test_pictures_of_this_machine_are_drawn_from_where_they_lie(
    ledger: Ledger, finished: Make, detected: Result, tmp_path: Path
) -> None:
    (tmp_path / "p.png").write_bytes(square())
    job = finished([detected], Inputs("files", "0" * 64), [str(tmp_path / "p.png")])
    with zipfile.ZipFile(io.BytesIO(exported(ledger, job, "zip"))) as made:
        assert made.read("000000-p_annotated.png") == b"drawn:image/png:" + square()


def test_exports_are_written_while_they_are_read(
    ledger: Ledger, finished: Make, detected: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_PAGE", 2)
    job = finished([detected] * 7)
    asked: list[int] = []
    items = ledger.items

    def counted(job_id: str, **options: object) -> object:
        asked.append(1)
        return items(job_id, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "items", counted)
    with Pictures(Settings(), ledger.blobs) as pictures:
        chunks = export("jsonl", ledger, job.id, pictures=pictures, draw=drawn).chunks
        assert next(chunks).count(b"\n") == 2
        assert len(asked) == 1
        assert b"".join(chunks).count(b"\n") == 5
        left = export("zip", ledger, job.id, pictures=pictures, draw=drawn).chunks
        next(left)
        left.close()  # whoever read has gone


def test_jobs_that_have_no_pictures_or_are_not_there(ledger: Ledger) -> None:
    other = ledger.submit("train", {})
    with Pictures(Settings(), ledger.blobs) as pictures:
        with pytest.raises(BadOption, match="train"):
            export("csv", ledger, other.id, pictures=pictures, draw=drawn)
        with pytest.raises(NotFound):
            export("csv", ledger, "0" * 32, pictures=pictures, draw=drawn)
        with pytest.raises(NotFound):
            export("csv", ledger, other.id, owner="somebody", pictures=pictures, draw=drawn)
