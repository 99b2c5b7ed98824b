"""A video goes in over HTTP, and its film comes out."""

import io
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from tests.web.conftest import Server

from sightline.settings import load_settings
from sightline.worker.crew import Crew

pytest.importorskip("cv2", reason="OpenCV (the extra `video`) is not installed.")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Ten frames of noise."""
    cv2 = pytest.importorskip("cv2")

    path = tmp_path_factory.mktemp("clip") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    random = np.random.default_rng(1)
    for _ in range(10):
        writer.write(random.integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    return path.read_bytes()


@pytest.fixture
def working(starting: Callable[..., Server]) -> Iterator[httpx.Client]:
    """Talks to a server beside which a worker works."""
    server = starting()
    values = {"data_dir": str(server.data), "decoders": 1, "disk_reserve_mb": 0}
    crew = Crew(load_settings(values, environment={}))
    with crew, httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def wait(client: httpx.Client, place: str) -> dict[str, Any]:
    for _ in range(1200):
        job: dict[str, Any] = client.get(place).json()
        if job["state"] not in {"queued", "running"}:
            return job
        time.sleep(0.1)
    raise AssertionError(job)


def test_a_video_becomes_a_film(working: httpx.Client, clip: bytes) -> None:
    form = {"model": "tiny", "every": "0.2", "side": "64"}
    sent = working.post("/api/v1/jobs", files={"video": ("clip.avi", clip)}, data=form)
    assert sent.status_code == 202, sent.text
    assert sent.json()["kind"] == "video"
    job = wait(working, sent.headers["location"])
    assert job["state"] == "done", job
    assert job["result"]["frames"] == 5
    names = {file["name"]: file for file in job["result"]["files"]}
    assert set(names) == {"clip.webm", "clip.csv", "clip.jsonl"}
    place = f"/api/v1/jobs/{job['id']}/files"
    film = working.get(f"{place}/clip.webm")
    assert film.headers["content-type"] == "video/webm"
    assert film.headers["content-disposition"].startswith("inline")
    assert len(film.content) == names["clip.webm"]["bytes"]
    part = working.get(f"{place}/clip.webm", headers={"range": "bytes=4-9"})
    assert (part.status_code, part.content) == (206, film.content[4:10])
    assert part.headers["content-range"] == f"bytes 4-9/{len(film.content)}"
    assert working.get(f"{place}/clip.webm", headers={"range": "bytes=99999999-"}).status_code == 416
    table = working.get(f"{place}/clip.csv")
    assert table.text.startswith("frame,time_s,object,label")
    assert table.headers["content-disposition"].startswith("attachment")
    assert working.get(f"{place}/other.csv").status_code == 404
    items = working.get(f"/api/v1/jobs/{job['id']}/results").json()["results"]
    assert [item["source"] for item in items] == ["clip.webm", "clip.csv", "clip.jsonl"]
    assert working.get(items[0]["thumbnail"]).headers["content-type"] == "image/jpeg"


def test_what_is_no_video_fails_in_words(working: httpx.Client) -> None:
    sent = working.post("/api/v1/jobs", files={"video": ("no.mp4", b"nothing" * 99)}, data={"model": "tiny"})
    job = wait(working, sent.headers["location"])
    assert job["state"] == "failed"
    assert job["error"]["code"] == "not_a_picture"
    assert "no video that can be read" in job["error"]["message"]


@pytest.mark.parametrize(
    ("files", "form", "words"),
    [
        (["video", "image"], {}, "a video or pictures, not both"),
        (["video", "video"], {}, "one file 'video'"),
        (["video"], {"side": "7"}, "side must be"),
        (["video"], {"every": "often"}, "every must be"),
        (["video"], {"kind": "predict"}, "kind must be 'video'"),
        (["image"], {"kind": "video"}, "kind must be 'predict'"),
    ],
)
def test_wrong_wishes(
    client: httpx.Client, clip: bytes, files: list[str], form: dict[str, str], words: str
) -> None:
    parts = [(name, ("x.avi", clip)) for name in files]
    answer = client.post("/api/v1/jobs", files=parts, data={"model": "tiny"} | form)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["detail"]


def test_a_picture_that_is_a_video_says_where_to_go(client: httpx.Client, clip: bytes) -> None:
    answer = client.post("/api/v1/predict", files={"image": ("x.avi", clip)})
    assert answer.status_code in {415, 422}
    assert "job of the kind `video`" in answer.json()["detail"]


def test_its_files_are_exports_too(working: httpx.Client, clip: bytes) -> None:
    sent = working.post(
        "/api/v1/jobs", files={"video": ("clip.avi", clip)}, data={"model": "tiny", "side": "64"}
    )
    place = sent.headers["location"]
    assert wait(working, place)["state"] == "done"
    table = working.get(f"{place}/results", params={"format": "csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.content == working.get(f"{place}/files/clip.csv").content
    lines = working.get(f"{place}/results", params={"format": "jsonl"}).content
    assert lines == working.get(f"{place}/files/clip.jsonl").content
    packed = working.get(f"{place}/results", params={"format": "zip"}).content
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert sorted(archive.namelist()) == ["clip.csv", "clip.jsonl", "clip.webm"]
        assert archive.read("clip.csv") == table.content
    refused = working.get(f"{place}/results", params={"format": "coco"})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_option")
