"""Jobs over HTTP, with a worker that really works: submit, watch, read, retry, cancel, remove."""

import asyncio
import csv
import io
import json
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.web import tiny
from tests.web.conftest import Server, awaited, end, start

from sightline.settings import Settings, load_settings
from sightline.web.download import Download
from sightline.web.guards import HostList
from sightline.web.keys import Keyring
from sightline.web.patience import allowed_s, is_large
from sightline.web.services import HEAD, Services

JOBS = "/api/v1/jobs"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def working_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a worker, parts of three pictures, and its own data."""
    folder = tmp_path_factory.mktemp("jobs")
    tiny.install(load_settings({"data_dir": str(folder / "data")}, environment={}), folder / "bundles")
    running = start(folder / "data", workers=1, job_shard=3)
    yield running
    end(running)


@pytest.fixture
def working(working_server: Server) -> Iterator[httpx.Client]:
    """Talks to the server with a worker."""
    with httpx.Client(base_url=working_server.url, timeout=60) as client:
        yield client


def form(*files: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("image", (name, data)) for name, data in files]


def wait(client: httpx.Client, place: str) -> Json:
    for _ in range(1200):
        job: Json = client.get(place).json()
        if job["state"] not in {"queued", "running"}:
            return job
        time.sleep(0.1)
    raise AssertionError(job)


def submitted(client: httpx.Client, **request: Any) -> str:
    answer = client.post(JOBS, **request)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"{JOBS}/{answer.json()['id']}"
    return answer.headers["location"]


def events_of(text: str) -> list[tuple[int, str, Json]]:
    found = []
    for block in text.split("\n\n"):
        rows = dict(row.split(": ", 1) for row in block.splitlines() if not row.startswith(":"))
        if "data" in rows:
            found.append((int(rows.get("id", 0)), rows["event"], json.loads(rows["data"])))
    return found


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_job_of_pictures_from_form_to_removal(working: httpx.Client, cat: bytes) -> None:
    files = form(("in/a.jpg", cat), ("b.jpg", b"\xff\xd8\xffno"), ("c:\\x\\..\\c.jpg", cat), ("d.jpg", cat))
    place = submitted(working, files=files, params={"min_score": 0.5})
    job = wait(working, place)
    assert (job["state"], job["progress"], job["failed"]) == ("done", {"done": 4, "total": 4}, 1)
    assert job["expires"] > job["finished"] >= job["started"] >= job["created"]
    page = working.get(f"{place}/results", params={"brief": True, "limit": 3}).json()
    assert [row["source"] for row in page["results"]] == ["in/a.jpg", "b.jpg", "c:/x/c.jpg"]
    assert (page["next"], page["total"]) == (2, 4)
    first, broken, _ = page["results"]
    assert first["counts"] == {"person": 1, "dog": 1}
    assert first["best"]["label"] == "person"
    assert "result" not in first
    assert (broken["state"], broken["thumbnail"], broken["image"]) == ("failed", None, None)
    assert broken["error"]["code"] == "not_a_picture"
    (last,) = working.get(f"{place}/results", params={"after": 2}).json()["results"]
    assert [found["label"] for found in last["result"]["predictions"]] == ["person", "dog"]
    only = working.get(f"{place}/results?failed=true").json()
    assert [row["index"] for row in only["results"]] == [1]
    whole = working.get(f"{place}/items/0").json()
    assert whole["result"]["source"] == "in/a.jpg"
    for address in (whole["image"], whole["thumbnail"]):
        picture = working.get(address)
        assert picture.headers["content-type"] == "image/jpeg"
        assert picture.content[:3] == b"\xff\xd8\xff"
    assert code(working.get(f"{place}/items/99")) == (404, "not_found")
    assert code(working.get(f"{place}/items/1/image"))[0] == 415
    again = working.post(f"{place}/retry")
    assert (again.status_code, again.json()["state"]) == (200, "running")
    assert wait(working, place)["failed"] == 1
    assert working.delete(place).status_code == 204
    gone = working.get(place)
    assert code(gone) == (410, "gone")
    assert "7 days" in gone.json()["detail"]
    for path in ("/results", "/events", "/items/0", "/items/0/image"):
        assert code(working.get(place + path)) == (410, "gone")
    assert code(working.get(f"{JOBS}/nonsense")) == (404, "not_found")
    assert code(working.get(f"{JOBS}/{'0' * 32}")) == (404, "not_found")


def test_everything_of_a_job_can_be_taken_away(working: httpx.Client, cat: bytes) -> None:
    place = submitted(working, files=form(("a.jpg", cat), ("b.txt", b"none"), ("c.jpg", cat)))
    wait(working, place)
    lines = working.get(f"{place}/results?format=jsonl")
    assert [json.loads(row)["state"] for row in lines.text.splitlines()] == ["done", "failed", "done"]
    assert lines.headers["content-disposition"].endswith('.jsonl"')
    table = list(csv.DictReader(io.StringIO(working.get(f"{place}/results?format=csv").text)))
    assert {row["image"] for row in table} == {"a.jpg", "c.jpg"}
    coco = working.get(f"{place}/results?format=coco").json()
    assert len(coco["images"]) == 2
    head = working.head(f"{place}/results?format=zip")
    assert (head.status_code, head.headers["content-type"]) == (200, "application/zip")
    archive = zipfile.ZipFile(io.BytesIO(working.get(f"{place}/results?format=zip").content))
    assert archive.testzip() is None
    assert sum(name.endswith("_annotated.jpg") for name in archive.namelist()) == 2
    assert code(working.get(f"{place}/results?format=xml")) == (400, "bad_option")


def test_nothing_is_made_for_a_head() -> None:
    """The head of an export is answered, and no picture is read or drawn for it."""
    made: list[str] = []

    def chunks() -> Iterator[bytes]:
        made.append("begun")
        yield b"x"

    sent: list[Json] = []

    async def answer(scope: Json) -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            await asyncio.Event().wait()

        settings = Settings()
        services = Services(settings, Keyring(""), HostList(settings))
        await Download(services, "a.zip", "application/zip", chunks())(scope, receive, send)

    awaited(answer({"type": "http", HEAD: True}))
    assert [message.get("body", b"") for message in sent] == [b"", b""]
    assert not made
    awaited(answer({"type": "http"}))
    assert b"".join(message.get("body", b"") for message in sent) == b"x"


def test_uploads_then_a_job_of_them(working: httpx.Client, cat: bytes) -> None:
    stored = working.post("/api/v1/uploads", files=form(("a.jpg", cat), ("b.jpg", cat)))
    assert stored.status_code == 201
    uploads = stored.json()["uploads"]
    assert [(one["name"], one["bytes"]) for one in uploads] == [("a.jpg", len(cat)), ("b.jpg", len(cat))]
    inputs = {"uploads": [{"id": one["id"], "name": one["name"]} for one in uploads]}
    place = submitted(working, json={"inputs": inputs, "options": {"model": "colours"}})
    job = wait(working, place)
    assert (job["state"], job["model"], job["progress"]["total"]) == ("done", "colours", 2)
    assert working.get(f"{place}/items/1").json()["source"] == "b.jpg"
    assert code(working.get(f"{place}/results?format=coco")) == (400, "bad_option")


def test_a_zip_is_a_job(working: httpx.Client, cat: bytes) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("deep/a.jpg", cat)
        archive.writestr("../b.jpg", cat)
        archive.writestr("notes.txt", "not a picture")
    place = submitted(working, files=[("archive", ("all", packed.getvalue()))])
    assert wait(working, place)["progress"] == {"done": 2, "total": 2}
    names = [row["source"] for row in working.get(f"{place}/results?brief=1").json()["results"]]
    assert names == ["all.zip/b.jpg", "all.zip/deep/a.jpg"]
    assert working.get(f"{place}/items/1/image").headers["content-type"] == "image/jpeg"
    stored = working.post("/api/v1/uploads", files=[("archive", ("x.zip", packed.getvalue()))]).json()
    assert stored["uploads"] == []
    place = submitted(working, json={"inputs": {"archive": {"id": stored["archive"]["id"], "name": "x.zip"}}})
    assert wait(working, place)["state"] == "done"
    for wrong in (b"PK\x03\x04 broken", b"not a zip", b""):
        assert code(working.post(JOBS, files=[("archive", ("a.zip", wrong))])) == (400, "bad_option")


def _without_guesses(events: list[tuple[int, str, Any]]) -> list[tuple[int, str, Any]]:
    """Rate and time left are reckoned when an event is told, not when it happened."""
    return [
        (number, kind, {name: value for name, value in data.items() if name not in ("rate", "left_s")})
        for number, kind, data in events
    ]


def test_events_tell_all_of_it_and_are_resumed(working: httpx.Client, cat: bytes) -> None:
    place = submitted(working, files=form(*((f"{number}.jpg", cat) for number in range(7))))
    live = events_of(working.get(f"{place}/events?after=0").text)
    assert [number for number, _, _ in live] == list(range(1, len(live) + 1)), "nothing twice, nothing missed"
    assert live[-1][1] == "state"
    assert live[-1][2]["state"] == "done"
    items = [item for _, kind, data in live if kind == "items" for item in data["items"]]
    assert sorted(item["index"] for item in items) == list(range(7))
    assert all(item["thumbnail"].endswith("/thumbnail") for item in items)
    progress = [data for _, kind, data in live if kind == "progress"]
    assert progress[-1]["done"] == progress[-1]["total"] == 7
    assert {"rate", "left_s", "failed"} <= set(progress[-1])
    middle = live[len(live) // 2][0]
    rest = events_of(working.get(f"{place}/events", headers={"Last-Event-ID": str(middle)}).text)
    assert _without_guesses(rest) == _without_guesses([event for event in live if event[0] > middle])
    known = working.get(f"{place}/events", headers={"Last-Event-ID": str(live[-1][0])})
    assert known.status_code == 204, "an EventSource that hears this does not come again"
    (only,) = events_of(working.get(f"{place}/events").text)
    assert only[:2] == (live[-1][0], "state"), "who begins now hears how it is now"
    assert code(working.get(f"{place}/events", headers={"Last-Event-ID": "x"})) == (400, "bad_option")


def test_a_listener_is_kept_awake_and_leaves_no_trace(starting: Callable[..., Server], cat: bytes) -> None:
    server = starting()
    with httpx.Client(base_url=server.url, timeout=30) as client:
        place = submitted(client, files=form(("a.jpg", cat)))
        with client.stream("GET", f"{place}/events") as stream:
            rows = stream.iter_lines()
            seen = [next(rows) for _ in range(5)]
            assert "event: state" in seen
            assert any(row == ": still here" for row in rows), "a heartbeat, though nothing happens"
        with client.stream("GET", f"{place}/events") as stream:
            cancelled = client.delete(place)
            assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
            assert events_of(stream.read().decode())[-1][2]["state"] == "cancelled"
        with client.stream("GET", f"{place}/events?after=0"):
            pass  # left in the middle
        retried = client.post(f"{place}/retry").json()
        assert (retried["state"], retried["attempt"]) == ("queued", 0)
        open_stream = client.build_request("GET", f"{place}/events")
        held = client.send(open_stream, stream=True)
        assert server.stop() == 0, "a listener does not hold the server up"
        held.close()
    assert not [line for line in server.log if "Traceback" in line]


def test_the_same_request_is_the_same_job(client: httpx.Client, cat: bytes) -> None:
    body = {"inputs": {"urls": ["https://example.com/a.jpg"]}, "options": {"model": "tiny"}}
    key = {"Idempotency-Key": "again and again".replace(" ", "-")}

    def submit(_number: int) -> str:
        return submitted(client, json=body, headers=key)

    with ThreadPoolExecutor(20) as crowd:
        places = set(crowd.map(submit, range(100)))
    assert len(places) == 1
    other = body | {"priority": 1, "options": {"model": "colours"}}
    answer = client.post(JOBS, json=other, headers=key)
    assert code(answer) == (422, "idempotency_key_reused")
    assert submitted(client, json=other, headers={"Idempotency-Key": "another"}) not in places
    one = submitted(client, files=form(("a.jpg", cat)), headers={"Idempotency-Key": "form"})
    assert submitted(client, files=form(("a.jpg", cat)), headers={"Idempotency-Key": "form"}) == one
    changed = client.post(JOBS, files=form(("b.jpg", cat)), headers={"Idempotency-Key": "form"})
    assert code(changed) == (422, "idempotency_key_reused")
    for wrong in ("x" * 201, "a b"):
        assert code(client.post(JOBS, json=body, headers={"Idempotency-Key": wrong})) == (400, "bad_option")


def test_jobs_are_listed_by_state_and_kind(starting: Callable[..., Server]) -> None:
    with httpx.Client(base_url=starting().url, timeout=30) as client:
        places = [
            submitted(client, json={"inputs": {"urls": [f"https://example.com/{number}.jpg"]}})
            for number in range(5)
        ]
        client.delete(places[1])
        ids = [place.rpartition("/")[2] for place in places]
        page = client.get(f"{JOBS}?limit=3").json()
        assert [job["id"] for job in page["jobs"]] == ids[:1:-1]
        assert page["total"] == 5
        rest = client.get(JOBS, params={"limit": 3, "before": page["next"]}).json()
        assert ([job["id"] for job in rest["jobs"]], rest["next"]) == (ids[1::-1], None)
        assert [job["id"] for job in client.get(f"{JOBS}?state=cancelled").json()["jobs"]] == [ids[1]]
        assert client.get(f"{JOBS}?kind=train").json()["jobs"] == []
        assert code(client.get(f"{JOBS}?state=lost")) == (400, "bad_option")
        assert code(client.get(f"{JOBS}?before=x")) == (400, "bad_option")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": {}},
        {"inputs": {"urls": []}},
        {"inputs": {"urls": ["file:///etc/passwd"]}},
        {"inputs": {"urls": ["/etc/passwd"]}},
        {"inputs": {"files": ["/etc/passwd"]}},
        {"inputs": {"place": "/etc"}},
        {"inputs": {"type": "files", "place": "/etc"}},
        {"inputs": {"prefix": "/etc"}},
        {"inputs": {"prefix": "file:///etc"}},
        {"inputs": {"prefix": "s3://anybody/else"}},
        {"inputs": {"prefix": "s3://mine/../else"}},
        {"inputs": {"prefix": "s3://mine2/"}},
        {"inputs": {"prefix": "s3://mine/*"}},
        {"inputs": {"prefix": "s3://mine/a?"}},
        {"inputs": {"prefix": "s3://mine/[a]"}},
        {"inputs": {"prefix": "s3://mine/a\\b"}},
        {"inputs": {"prefix": "s3://mine/./a"}},
        {"inputs": {"prefix": "s3://mine/a\u202eb"}},
        {"inputs": {"urls": ["https://example.com/a"], "prefix": "s3://mine/a"}},
        {"inputs": {"uploads": [{"id": "0" * 64}]}},
        {"inputs": {"uploads": [{"id": "../../etc/passwd"}]}},
        {"inputs": {"urls": ["https://example.com/a"]}, "options": {"min_score": 2}},
        {"inputs": {"urls": ["https://example.com/a"]}, "options": {"labels": ["unicorn"]}},
        {"inputs": {"urls": ["https://example.com/a"]}, "options": {"store": True}},
        {"inputs": {"urls": ["https://example.com/a"]}, "kind": "train"},
        {"inputs": {"urls": ["https://example.com/a"]}, "priority": 101},
        {"inputs": {"urls": ["https://example.com/a"] * 6}},
        [],
    ],
    ids=str,
)
def test_what_is_off_is_said_before_anything_runs(limited: httpx.Client, body: Any) -> None:
    answer = limited.post(JOBS, json=body)
    assert code(answer) == (400, "bad_option"), answer.text
    assert limited.get(JOBS).json()["total"] == 0


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server without a worker and with small limits."""
    folder = tmp_path_factory.mktemp("limited")
    tiny.install(load_settings({"data_dir": str(folder / "data")}, environment={}), folder / "bundles")
    running = start(
        folder / "data",
        job_pictures_max=5,
        job_upload_mb=1,
        upload_max_mb=0.5,
        receive_s=1,
        job_prefixes="s3://mine/",
    )
    with httpx.Client(base_url=running.url, timeout=30) as client:
        yield client
    end(running)


def test_unknown_models_and_wrong_bodies(limited: httpx.Client) -> None:
    urls = {"urls": ["https://example.com/a"]}
    body = {"inputs": urls, "options": {"model": "nobody"}}
    assert code(limited.post(JOBS, json=body)) == (404, "not_found")
    as_json = {"content-type": "application/json"}
    assert code(limited.post(JOBS, content=b"{", headers=as_json)) == (400, "bad_request")
    assert code(limited.post(JOBS, content=b"[" * 100_000, headers=as_json)) == (400, "bad_request")
    assert code(limited.post(JOBS, json={"inputs": urls}, params={"model": "tiny"})) == (400, "bad_option")
    assert code(limited.post(JOBS, content=b"x")) == (415, "unsupported_media_type")
    packed = {"content-encoding": "gzip"}
    assert code(limited.post(JOBS, files=form(("a", b"x")), headers=packed)) == (
        415,
        "unsupported_media_type",
    )


def test_limits_of_forms(limited: httpx.Client) -> None:
    small = b"\xff\xd8\xff" + bytes(100)
    assert limited.post("/api/v1/uploads", files=form(*[("a", small)] * 5)).status_code == 201
    assert code(limited.post("/api/v1/uploads", files=form(*[("a", small)] * 6))) == (400, "bad_option")
    large = limited.post("/api/v1/uploads", files=form(("big.jpg", bytes(600_000))))
    assert code(large) == (413, "body_too_large")
    assert "big.jpg" in large.json()["detail"]
    assert code(limited.post(JOBS, files=form(*[("a", bytes(400_000))] * 3))) == (413, "body_too_large")
    assert code(limited.post(JOBS, files=[("file", ("a.jpg", small))])) == (400, "bad_option")
    assert code(limited.post(JOBS, data={"model": "tiny"}, files=[("x", (None, b"1"))]))[0] == 400
    assert code(limited.post(JOBS, files=form(("a", small)), data={"nonsense": "1"})) == (400, "bad_option")
    assert code(limited.post("/api/v1/uploads", files=form(("a", small)), data={"model": "tiny"}))[0] == 400


def test_a_full_line_says_so_at_once(starting: Callable[..., Server], cat: bytes) -> None:
    with httpx.Client(base_url=starting(jobs_max=2).url, timeout=30) as client:
        for _ in range(2):
            submitted(client, files=form(("a.jpg", cat)))
        full = client.post(JOBS, files=form(("a.jpg", cat)))
        assert code(full) == (503, "busy")
        assert int(full.headers["retry-after"]) >= 1
        keyed = client.post(JOBS, files=form(("a.jpg", cat)), headers={"Idempotency-Key": "k"})
        assert code(keyed) == (503, "busy")


def _raw(server_url: str, head: str) -> socket.socket:
    host, _, port = server_url.removeprefix("http://").partition(":")
    opened = socket.create_connection((host, int(port)), 20)
    opened.sendall(f"POST /api/v1/uploads HTTP/1.1\r\nHost: {host}:{port}\r\n{head}\r\n\r\n".encode())
    return opened


def test_a_body_that_trickles_is_cut_and_one_that_comes_is_not(limited: httpx.Client) -> None:
    url = str(limited.base_url).rstrip("/")
    kind = "Content-Type: multipart/form-data; boundary=b"
    with _raw(url, f"{kind}\r\nContent-Length: 100000") as slow:
        slow.sendall(b"--b\r\n")  # and then next to nothing: receive_s is one second here
        answer = slow.recv(4096)
        assert b" 408 " in answer.partition(b"\r\n")[0]
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    body = part + bytes(160_000) + b"\r\n--b--\r\n"
    with _raw(url, f"{kind}\r\nConnection: close\r\nContent-Length: {len(body)}") as steady:
        for start_at in range(0, len(body), 20_000):
            steady.sendall(body[start_at : start_at + 20_000])
            time.sleep(0.25)  # twice as long in all as receive_s
        assert b" 201 " in steady.recv(4096).partition(b"\r\n")[0]


def test_patience_is_paid_in_bytes() -> None:
    assert allowed_s(30, 0) == 30
    assert allowed_s(30, 16 * 1024 * 100) == 130
    assert is_large(b"POST", b"/api/v1/jobs")
    assert is_large(b"POST", b"/api/v1/uploads?x=1")
    assert not is_large(b"POST", b"/api/v1/predict")
    assert not is_large(b"POST", b"/api/v1/jobs/1/retry")
    assert not is_large(b"GET", b"/api/v1/jobs")


def test_many_pictures_take_no_memory(starting: Callable[..., Server]) -> None:
    """A hundred megabytes go through; what the server holds at most is a few pictures."""
    server = starting()
    status = Path(f"/proc/{server.process.pid}/status")

    def peak_mb() -> float:
        row = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(row.split()[1]) / 1024

    with httpx.Client(base_url=server.url, timeout=120) as client:
        picture = b"\xff\xd8\xff" + bytes(2_000_000)
        client.post("/api/v1/uploads", files=form(("first.jpg", picture)))
        before = peak_mb()
        pictures = [(f"{number}.jpg", picture + bytes([number])) for number in range(50)]
        assert client.post("/api/v1/uploads", files=form(*pictures)).status_code == 201
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, data in pictures:
                archive.writestr(name, data)
        assert client.post("/api/v1/uploads", files=[("archive", ("a.zip", packed.getvalue()))]).is_success
        assert peak_mb() - before < 40
    assert list((server.data / "results" / "spool").iterdir()) == [], "nothing half stays behind"
