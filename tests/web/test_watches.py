"""Watches inside a real server, over real cameras."""

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from PIL import Image
from tests.watching.cameras import Camera, RtspCamera
from tests.web.conftest import Server, end, start

WATCHES = "/api/v1/watches"
Starting = Callable[..., Server]


def until(client: httpx.Client, watch_id: str, true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for _ in range(600):
        body = client.get(f"{WATCHES}/{watch_id}").json()
        if true(body):
            return body
        time.sleep(0.1)
    raise AssertionError(body)


@pytest.fixture
def camera() -> Iterator[Camera]:
    with Camera() as made:
        yield made


def allow(camera: Camera | RtspCamera) -> str:
    return f"127.0.0.1:{camera.port}"


def test_a_camera_is_watched_kept_and_forgotten(starting: Starting, camera: Camera) -> None:
    server = starting(fetch_allow=allow(camera))
    with httpx.Client(base_url=server.url, timeout=60) as client:
        wish = {"source": camera.url(login="joe:se%63ret@"), "name": "door", "every_s": 0.2, "store": True}
        made = client.post(WATCHES, json=wish)
        assert made.status_code == 201, made.text
        assert "joe" not in made.text
        assert made.json()["name"] == "door"
        body = until(client, made.json()["id"], lambda it: it["answers"] >= 3)
        assert body["state"] == "watching"
        assert body["source"] == camera.url()
        assert body["error"] is None
        assert (body["verdict"], body["verdict_title"]) == (None, None)
        picture = client.get(body["picture"])
        with Image.open(io.BytesIO(picture.content)) as drawn:
            assert (drawn.format, drawn.size) == ("JPEG", (160, 120))
        stored = client.get("/api/v1/results").json()["results"]
        assert {item["source"] for item in stored} == {camera.url()}
        assert [one["id"] for one in client.get(WATCHES).json()["watches"]] == [body["id"]]
        assert client.delete(f"{WATCHES}/{body['id']}").status_code == 204
        assert client.get(WATCHES).json()["watches"] == []
        assert client.delete(f"{WATCHES}/{body['id']}").status_code == 404


def test_watches_survive_a_restart(starting: Starting, camera: Camera) -> None:
    first = starting(fetch_allow=allow(camera))
    made = httpx.post(f"{first.url}{WATCHES}", json={"source": camera.url(), "every_s": 0.2}, timeout=60)
    first.stop()
    second = start(first.data, fetch_allow=allow(camera))
    try:
        with httpx.Client(base_url=second.url, timeout=60) as client:
            assert client.get(f"{WATCHES}/{made.json()['id']}").status_code == 200, "it is there at once"
            body = until(client, made.json()["id"], lambda it: it["answers"] >= 2)
    finally:
        end(second)
    assert body["state"] == "watching"


def test_a_cut_is_mended(starting: Starting) -> None:
    pytest.importorskip("cv2", reason="OpenCV (the extra `video`) is not installed.")
    with RtspCamera() as camera:
        server = starting(fetch_allow=allow(camera))
        with httpx.Client(base_url=server.url, timeout=60) as client:
            made = client.post(WATCHES, json={"source": camera.url(), "every_s": 0}).json()
            before = until(client, made["id"], lambda it: it["answers"] >= 2)["answers"]
            camera.cut()
            until(client, made["id"], lambda it: it["state"] == "lost")
            until(client, made["id"], lambda it: it["state"] == "watching" and it["answers"] > before)


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        ("rtsp://127.0.0.1/x", 422, "opens no camera at 127.0.0.1"),
        ("rtsp://example.org:99/x", 422, "List example.org:99"),
        ("file:///etc/passwd", 400, "source"),
        ("/etc/passwd", 400, "source"),
        ("../../etc/passwd", 400, "source"),
        ("rtsp://", 400, "source"),
    ],
)
def test_what_a_request_may_not_name(client: httpx.Client, source: str, status: int, words: str) -> None:
    answer = client.post(WATCHES, json={"source": source})
    assert (answer.status_code, words in answer.json()["detail"] + answer.json()["next_step"]) == (
        status,
        True,
    ), answer.text
    assert client.get(WATCHES).json()["watches"] == []


def test_a_private_web_camera_is_refused_at_once(client: httpx.Client, camera: Camera) -> None:
    """By its literal address; whether a name is public shows when it is looked up."""
    place = camera.url().split("/")[2]
    for source, wanted in (
        (camera.url(), place),
        ("http://10.0.0.9/x", "10.0.0.9"),
        ("http://[::1]/", "[::1]"),
    ):
        answer = client.post(WATCHES, json={"source": source})
        assert (answer.status_code, answer.json()["code"]) == (422, "fetch_refused")
        assert "picture" not in answer.json()["next_step"]
        assert "fetch_allow" in answer.json()["next_step"]
        assert f"list {wanted} in" in answer.json()["next_step"]
    assert client.get(WATCHES).json()["watches"] == []
    assert camera.connections == 0


def test_wrong_wishes(client: httpx.Client) -> None:
    for wish in ({}, {"source": "http://x/y", "every_s": -1}, {"source": "http://x/y", "other": 1}):
        assert client.post(WATCHES, json=wish).status_code == 400
    assert client.post(WATCHES, json={"source": "http://x/y", "model": "nix"}).status_code == 404
    assert client.post(WATCHES, json={"source": "http://x/y", "labels": ["nothing"]}).status_code == 400
    assert client.post(WATCHES, content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert client.post(WATCHES, content=b"{}").status_code == 415
    assert client.get(f"{WATCHES}/nix").status_code == 404
    assert client.get(f"{WATCHES}/nix/picture").status_code == 404


def test_a_watch_is_changed_in_place_and_its_password_stays(starting: Starting, camera: Camera) -> None:
    server = starting(fetch_allow=allow(camera))
    with httpx.Client(base_url=server.url, timeout=60) as client:
        wish = {
            "source": camera.url(login="joe:secret@"),
            "name": "door",
            "every_s": 0.2,
            "labels": ["person"],
        }
        made = client.post(WATCHES, json=wish).json()
        until(client, made["id"], lambda it: it["answers"] >= 1)
        again = {"name": "front door", "every_s": 3, "min_score": 0.6, "size": None, "model": None}
        changed = client.put(f"{WATCHES}/{made['id']}", json=again)
        assert changed.status_code == 200, changed.text
        body = changed.json()
        told = (body["id"], body["name"], body["every_s"], body["min_score"], body["labels"], body["source"])
        assert told == (made["id"], "front door", 3, 0.6, None, camera.url())
        assert until(client, made["id"], lambda it: it["answers"] >= 1)["state"] == "watching"
        refused = client.put(f"{WATCHES}/{made['id']}", json=again | {"source": "rtsp://127.0.0.1/x"})
        assert (refused.status_code, refused.json()["field"]) == (422, "source")
        assert until(client, made["id"], lambda it: it["answers"] >= 1)["name"] == "front door"
        assert client.put(f"{WATCHES}/nix", json=again).status_code == 404


def test_letters_that_no_database_takes_are_left_out_of_names(client: httpx.Client) -> None:
    wish = '{"source": "http://one.invalid/x", "name": "front\\u0000 \\u202edoor", "every_s": 60}'
    made = client.post(WATCHES, content=wish, headers={"Content-Type": "application/json"})
    assert (made.status_code, made.json()["name"]) == (201, "front door")
    client.delete(f"{WATCHES}/{made.json()['id']}")


def test_two_watches_of_one_name_would_be_one_to_rules(client: httpx.Client) -> None:
    one = client.post(WATCHES, json={"source": "http://one.invalid/x", "name": "door", "every_s": 60}).json()
    two = client.post(WATCHES, json={"source": "http://two.invalid/x", "name": "yard", "every_s": 60}).json()
    try:
        again = client.post(WATCHES, json={"source": "http://three.invalid/x", "name": "door"})
        assert (again.status_code, again.json()["field"]) == (409, "name")
        assert "already" in again.json()["detail"]
        renamed = client.put(f"{WATCHES}/{two['id']}", json={"name": "door"})
        assert (renamed.status_code, renamed.json()["field"]) == (409, "name")
        kept = client.put(f"{WATCHES}/{one['id']}", json={"name": "door", "every_s": 30})
        assert (kept.status_code, kept.json()["every_s"]) == (200, 30), kept.text
        assert [it["name"] for it in client.get(WATCHES).json()["watches"]] == ["door", "yard"]
    finally:
        for made in (one, two):
            client.delete(f"{WATCHES}/{made['id']}")


@pytest.mark.parametrize(
    ("wish", "field", "words"),
    [
        (
            {"source": "abc"},
            "source",
            "this is no address of a camera; one looks like rtsp://camera.lan/stream1",
        ),
        ({"source": "http://x/y", "every_s": -1}, "every_s", "it must be 0 or more"),
        ({"source": "http://x/y", "every_s": "often"}, "every_s", "it must be a number"),
        ({"source": "http://x/y", "every": 3}, "", "it is `every_s`"),
        ({"source": "http://x/y", "size": 1.5}, "size", "it must be a whole number"),
        ({"source": "http://x/y", "model": "nix"}, "model", "nix"),
        ({}, "source", "this is missing"),
    ],
)
def test_what_is_off_is_said_in_words_at_the_field(
    client: httpx.Client, wish: dict[str, Any], field: str, words: str
) -> None:
    body = client.post(WATCHES, json=wish).json()
    assert body.get("field", "") == field
    assert words in body["detail"], body["detail"]
    assert "pattern" not in body["detail"]
