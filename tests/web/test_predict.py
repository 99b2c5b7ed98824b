"""Pictures in, answers out, over a real connection."""

import base64
import hashlib
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import httpx
import pytest
from PIL import Image
from tests.runtime.graphs import FOUND, red_square
from tests.web.conftest import Server

JPEG = {"content-type": "image/jpeg"}


def predictions(body: dict[str, Any]) -> list[tuple[str, float]]:
    return [(found["label"], found["score"]) for found in body["predictions"]]


def code_of(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "code", "next_step", "request_id"}
    assert body["status"] == response.status_code
    assert body["request_id"] == response.headers["x-request-id"]
    return str(body["code"])


def test_all_doors_give_the_same_answer(client: httpx.Client, cat: bytes) -> None:
    doors = [
        client.post("/api/v1/predict", files={"image": ("cat.jpg", cat, "image/jpeg")}),
        client.post("/api/v1/predict", content=cat, headers=JPEG),
        client.post("/api/v1/predict", content=cat, headers={"content-type": "application/octet-stream"}),
        client.post("/api/v1/predict", json={"image": base64.b64encode(cat).decode()}),
        client.post(
            "/api/v1/predict", json={"image": "data:image/jpeg;base64," + base64.b64encode(cat).decode()}
        ),
    ]
    bodies = [response.raise_for_status().json() for response in doors]
    assert {json.dumps(body["predictions"]) for body in bodies} == {json.dumps(bodies[0]["predictions"])}
    assert predictions(bodies[0]) == [("person", 0.9), ("dog", 0.6)]
    assert [body["source"] for body in bodies] == ["cat.jpg", "", "", "", ""]
    assert bodies[0]["image"] == {"width": 451, "height": 300}
    assert len({body["id"] for body in bodies}) == len(bodies)


def test_options_filter(client: httpx.Client, cat: bytes) -> None:
    def ask(query: str) -> list[tuple[str, float]]:
        response = client.post(f"/api/v1/predict?{query}", content=cat, headers=JPEG)
        return predictions(response.raise_for_status().json())

    assert [label for label, _ in ask("min_score=0.15")] == ["person", "dog", "<b>cat</b>"]
    assert ask("max_results=1") == [("person", 0.9)]
    assert ask("labels=dog") == [("dog", 0.6)]
    assert ask("labels=dog,person&labels=dog") == [("person", 0.9), ("dog", 0.6)]
    assert {label for label, _ in ask("model=colours&min_score=0")} == {"red", "green", "blue"}
    assert ask("model=tiny@1") == ask("")


def test_form_fields_are_options_too(client: httpx.Client, cat: bytes) -> None:
    response = client.post("/api/v1/predict", files={"image": cat}, data={"max_results": "1"})
    assert len(response.raise_for_status().json()["predictions"]) == 1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("min_score=2", "0 to 1"),
        ("min_score=nan", "0 to 1"),
        ("min_score=", "0 to 1"),
        ("max_results=0", "1 to 1000"),
        ("max_results=1.5", "1 to 1000"),
        ("max_results=%D9%A3", "1 to 1000"),
        ("min-score=0.5", "min-score"),
        ("store=perhaps", "true or false"),
        ("min_score=0.1&min_score=0.2", "twice"),
        ("labels=%ff", "UTF-8"),
        ("size=", "whole number of pixels"),
        ("size=0", "whole number of pixels"),
        ("size=64.0", "whole number of pixels"),
        ("size=128", "one size only, 64 x 64, not at 128"),
        ("model=cells&size=48", "Its sizes are: 16, 32, 64"),
    ],
)
def test_wrong_options_are_named(client: httpx.Client, cat: bytes, query: str, words: str) -> None:
    response = client.post(f"/api/v1/predict?{query}", content=cat, headers=JPEG)
    assert (response.status_code, code_of(response)) == (400, "bad_option")
    assert words in response.json()["detail"]


@pytest.mark.parametrize(("query", "size"), [("", 32), ("&size=16", 16), ("&size=32", 32), ("&size=64", 64)])
def test_a_model_is_asked_at_one_of_its_sizes(client: httpx.Client, query: str, size: int) -> None:
    response = client.post(
        f"/api/v1/predict?model=cells{query}", content=red_square(), headers={"content-type": "image/png"}
    )
    body = response.raise_for_status().json()
    assert body["size"] == size
    assert len(body["predictions"]) == FOUND[size]


def test_a_size_may_be_a_form_field_and_models_of_one_size_have_none(
    client: httpx.Client, cat: bytes
) -> None:
    wish = {"model": "cells", "size": "16"}
    assert client.post("/api/v1/predict", files={"image": cat}, data=wish).json()["size"] == 16
    only = client.post("/api/v1/predict?size=64", content=cat, headers=JPEG).raise_for_status().json()
    assert "size" not in only


def test_several_pictures_fail_alone(client: httpx.Client, cat: bytes) -> None:
    files = [("image", ("a.jpg", cat)), ("image", ("b.txt", b"no picture")), ("image", ("c.jpg", cat))]
    body = client.post("/api/v1/predict", files=files).raise_for_status().json()
    first, second, third = body["results"]
    assert (first["source"], third["source"]) == ("a.jpg", "c.jpg")
    assert (second["code"], second["status"]) == ("not_a_picture", 415)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("image/png", "PNG"),
        ("image/jpeg", "JPEG"),
        ("image/*", "JPEG"),
        ("application/json;q=0.1, image/png", "PNG"),
        ("image/jpeg;q=0.2, application/json", ""),
        ("image/webp, */*;q=0.8", ""),
    ],
)
def test_the_annotated_picture(client: httpx.Client, cat: bytes, accept: str, kind: str) -> None:
    response = client.post("/api/v1/predict", content=cat, headers=JPEG | {"accept": accept})
    assert response.status_code == 200
    if not kind:
        assert response.json()["task"] == "detect"
        return
    with Image.open(io.BytesIO(response.content)) as picture:
        assert (picture.format, picture.size) == (kind, (451, 300))


def test_one_annotated_picture_at_a_time(client: httpx.Client, cat: bytes) -> None:
    files = [("image", cat), ("image", cat)]
    response = client.post("/api/v1/predict", files=files, headers={"accept": "image/png"})
    assert code_of(response) == "bad_option"


BOUNDARY = "multipart/form-data; boundary=x"
CUT = b"--x\r\nContent-Disposition: form-data; name=image\r\n\r\ncut"
MISNAMED = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--x--'


@pytest.mark.parametrize(
    ("headers", "content", "status", "code"),
    [
        (JPEG, b"", 400, "bad_option"),
        (JPEG, b"not a picture", 415, "not_a_picture"),
        ({}, b"bytes", 415, "unsupported_media_type"),
        ({"content-type": "text/plain"}, b"bytes", 415, "unsupported_media_type"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"image=1", 415, "unsupported_media_type"),
        (JPEG | {"content-encoding": "gzip"}, b"bytes", 415, "unsupported_media_type"),
        ({"content-type": "multipart/form-data"}, b"--x--", 400, "bad_request"),
        ({"content-type": BOUNDARY}, b"nothing of the kind", 400, "bad_request"),
        ({"content-type": BOUNDARY}, CUT, 400, "bad_request"),
        ({"content-type": BOUNDARY}, b"--x\r\nNo-Disposition: 1\r\n\r\nx\r\n--x--", 400, "bad_request"),
        ({"content-type": BOUNDARY}, b"--x--\r\n", 400, "bad_option"),
        ({"content-type": BOUNDARY}, MISNAMED, 400, "bad_option"),
        ({"content-type": "application/json"}, b"{", 400, "bad_request"),
        ({"content-type": "application/json"}, b"[" * 100_000, 400, "bad_request"),
        ({"content-type": "application/json"}, b"\xff\xfe", 400, "bad_request"),
        ({"content-type": "application/json"}, b"[]", 400, "bad_option"),
        ({"content-type": "application/json"}, b'{"image": 1}', 400, "bad_option"),
        ({"content-type": "application/json"}, b'{"image": "%%%"}', 400, "bad_option"),
        ({"content-type": "application/json"}, b'{"image": ""}', 400, "bad_option"),
        ({"content-type": "application/json"}, b'{"image": "aaaa", "url": "http://x"}', 400, "bad_option"),
        ({"content-type": "application/json"}, b'{"url": ""}', 400, "bad_option"),
        ({"content-type": "application/json"}, b'{"url": "http://127.0.0.1:1/x"}', 422, "fetch_refused"),
        ({"content-type": "application/json"}, b'{"url": "file:///etc/passwd"}', 422, "fetch_refused"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(
    client: httpx.Client, headers: dict[str, str], content: bytes, status: int, code: str
) -> None:
    response = client.post("/api/v1/predict", content=content, headers=headers)
    assert (response.status_code, code_of(response)) == (status, code), response.text


def test_an_unknown_model_names_the_known(client: httpx.Client, cat: bytes) -> None:
    response = client.post("/api/v1/predict?model=nothing", content=cat, headers=JPEG)
    assert (response.status_code, code_of(response)) == (404, "not_found")
    assert "tiny" in response.json()["detail"] + response.json()["next_step"]


def test_too_many_files_and_fields(client: httpx.Client, cat: bytes) -> None:
    assert code_of(client.post("/api/v1/predict", files=[("image", cat)] * 17)) == "bad_option"
    many = [("image", ("a.jpg", cat))] + [(f"field{number}", (None, b"x")) for number in range(50)]
    assert code_of(client.post("/api/v1/predict", files=many)) in {"bad_request", "bad_option"}


def test_names_lose_paths_and_control_characters(client: httpx.Client, cat: bytes) -> None:
    name = "..\\..\\evil/\u202ename\x1b[31m.jpg"
    response = client.post("/api/v1/predict", files={"image": (name, cat)})
    assert response.json()["source"] == "name[31m.jpg"


def test_nothing_is_stored_unless_asked(client: httpx.Client, cat: bytes) -> None:
    before = client.get("/api/v1/results").json()["total"]
    client.post("/api/v1/predict", content=cat, headers=JPEG).raise_for_status()
    assert client.get("/api/v1/results").json()["total"] == before


def test_turned_and_upright_copies_agree(client: httpx.Client) -> None:
    upright = Image.new("RGB", (60, 30), (200, 10, 10))
    upright.paste((10, 10, 200), (0, 0, 30, 30))
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    plain, marked = io.BytesIO(), io.BytesIO()
    upright.save(plain, "PNG")
    turned.save(marked, "PNG", exif=exif)
    bodies = [
        client.post(
            "/api/v1/predict?model=tiny", content=file.getvalue(), headers={"content-type": "image/png"}
        )
        .raise_for_status()
        .json()
        for file in (plain, marked)
    ]
    assert bodies[0]["image"] == bodies[1]["image"] == {"width": 60, "height": 30}
    assert bodies[0]["predictions"] == bodies[1]["predictions"]


def test_the_log_has_no_bodies_queries_or_control_characters(server: Server, client: httpx.Client) -> None:
    client.get("/nowhere/%1b%5b31m%0ainjected?secret=planted-secret")
    client.post("/api/v1/predict?secret=planted-secret", content=b"planted-body", headers=JPEG)
    lines: list[str] = []
    for _ in range(100):  # the log is read by a thread of its own
        lines = [line for line in server.log if "injected" in line]
        if lines:
            break
        time.sleep(0.05)
    assert lines
    assert json.loads(lines[-1])["path"] == "/nowhere/\x1b[31m\ninjected"
    everything = "".join(server.log)
    assert "planted" not in everything
    assert "\x1b" not in everything


def test_the_input_is_identified(client: httpx.Client, cat: bytes) -> None:
    stored = client.post("/api/v1/predict?store=true", content=cat, headers=JPEG).json()
    record = client.get(f"/api/v1/results/{stored['id']}").json()
    assert record["input_sha256"] == hashlib.sha256(cat).hexdigest()


class _Pictures(BaseHTTPRequestHandler):
    """Serves the cat, and nothing else."""

    cat = b""

    def do_GET(self) -> None:
        if not self.path.startswith("/cat.jpg"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("content-type", "image/jpeg")
        self.send_header("content-length", str(len(self.cat)))
        self.end_headers()
        self.wfile.write(self.cat)

    def log_message(self, *_: object) -> None:
        """Silence."""


class _Slow(BaseHTTPRequestHandler):
    """Says nothing useful, and that when it is told to."""

    told = threading.Event()
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.told.wait(60)
        with suppress(OSError):  # who asked may have lost patience
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Silence."""


def test_slow_servers_of_others_take_no_places_on_the_road(
    starting: Callable[..., Server], cat: bytes
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Slow) as origin:
        thread = threading.Thread(target=origin.serve_forever)
        thread.start()
        try:
            place = f"127.0.0.1:{origin.server_port}"
            server = starting(fetch_allow=place, fetch_total_s=60.0, deadline_s=90.0, waiting_max=2)
            address = f"{server.url}/api/v1/predict"
            with ThreadPoolExecutor(40) as callers:
                ask = partial(httpx.post, address, json={"url": f"http://{place}/x"}, timeout=120)
                fetches: list[Future[httpx.Response]] = []
                until = time.monotonic() + 60
                while len(fetches) < 40 or sum(fetch.done() for fetch in fetches) < 8:
                    assert time.monotonic() < until, "neither fetched nor refused"
                    time.sleep(0.01)
                    if len(fetches) == len(_Slow.asked):  # a crowd would be turned away at the door
                        fetches.append(callers.submit(ask))
                    elif len(_Slow.asked) >= 16:
                        fetches += [callers.submit(ask) for _ in range(40 - len(fetches))]
                looked = httpx.post(address, content=cat, headers={"content-type": "image/jpeg"}, timeout=20)
                assert not all(fetch.done() for fetch in fetches)
                _Slow.told.set()
                codes = Counter(code_of(fetch.result()) for fetch in fetches)
            assert looked.status_code == 200, looked.text
            assert codes["fetch_refused"] >= 16, codes
            assert codes["busy"] >= 8, "no more than 32 wait for others"
        finally:
            origin.shutdown()
            thread.join()


def test_a_picture_by_its_address(starting: Callable[..., Server], client: httpx.Client, cat: bytes) -> None:
    _Pictures.cat = cat
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pictures) as origin:
        thread = threading.Thread(target=origin.serve_forever)
        thread.start()
        try:
            place = f"127.0.0.1:{origin.server_port}"
            address = f"http://{place}/cat.jpg?token=planted-token"
            refused = client.post("/api/v1/predict", json={"url": address})
            assert (refused.status_code, code_of(refused)) == (422, "fetch_refused")
            server = starting(fetch_allow=place)
            answer = httpx.post(f"{server.url}/api/v1/predict", json={"url": address}, timeout=20)
            assert predictions(answer.raise_for_status().json()) == [("person", 0.9), ("dog", 0.6)]
            assert answer.json()["source"] == f"http://{place}/cat.jpg"
            missing = httpx.post(
                f"{server.url}/api/v1/predict", json={"url": f"http://{place}/x"}, timeout=20
            )
            assert code_of(missing) == "fetch_refused"
            assert "planted" not in "".join(server.log)
        finally:
            origin.shutdown()
            thread.join()
