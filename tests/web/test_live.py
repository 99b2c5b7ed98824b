"""The live connection: who may open one, what it answers, what it forgets, and how it ends."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.web.conftest import Server
from tests.web.gate import Gate
from tests.web.talking import Closed, Refused, Talk
from tests.web.test_life import rss_kb, slow_picture, until_stopping

from sightline.errors import BadOption, Busy
from sightline.settings import load_settings
from sightline.web.keys import Keyring, load_secret
from sightline.web.live import IDLE, STOPPING
from sightline.web.live_options import LiveOptions, read_options
from sightline.web.lives import ALL_MAX, PER_CLIENT_MAX, Lives


def test_a_picture_is_answered_with_its_number(server: Server, cat: bytes, client: httpx.Client) -> None:
    plain = client.post("/api/v1/predict", files={"image": cat}).json()
    with Talk(server.port) as talk:
        assert len(talk.headers["x-request-id"]) == 16
        for number in (1, 2):
            talk.send(cat)
            answer = talk.hear()
            assert (answer["type"], answer["capture"], answer["replaced"]) == ("result", number, 0)
            assert answer["result"]["predictions"] == plain["predictions"]
            assert answer["result"]["image"] == plain["image"]
            assert answer["kept"] is False
            assert answer["work_ms"] >= answer["result"]["timing_ms"]["infer"] > 0
            assert answer["wait_ms"] >= 0


def test_options_hold_for_the_pictures_after_them(server: Server, cat: bytes) -> None:
    with Talk(server.port) as talk:
        assert talk.options(min_score=0.7) == {"type": "options", "keep": False}
        talk.send(cat)
        assert [found["label"] for found in talk.hear()["result"]["predictions"]] == ["person"]
        talk.options(labels=["dog"], source="the door")
        talk.send(cat)
        answer = talk.hear()["result"]
        assert {found["label"] for found in answer["predictions"]} == {"dog"}
        assert answer["source"] == "the door"
        talk.options(model="cells", size=64)
        talk.send(cat)
        assert talk.hear()["result"]["size"] == 64
        talk.options()
        talk.send(cat)
        assert len(talk.hear()["result"]["predictions"]) == 2


def test_kept_captures_are_stored_results(server: Server, cat: bytes, client: httpx.Client) -> None:
    with Talk(server.port) as talk:
        assert talk.options(keep=True, source="camera") == {"type": "options", "keep": True}
        talk.send(cat)
        answer = talk.hear()
    assert answer["kept"] is True
    stored = client.get(f"/api/v1/results/{answer['result']['id']}").json()
    assert stored["source"] == "camera"
    assert client.get(f"/api/v1/results/{stored['id']}/image").status_code == 200


def test_half_a_letter_in_a_name_is_left_out(server: Server, cat: bytes) -> None:
    with Talk(server.port) as talk:
        assert talk.options(keep=True, source="\ud800door")["keep"] is True
        talk.send(cat)
        answer = talk.hear()
        assert (answer["kept"], answer["result"]["source"]) == (True, "door")
        talk.options(labels=["\udfff"])
        talk.send(cat)
        assert talk.hear()["problem"]["code"] == "bad_option"
        talk.options(model="\ud800")
        talk.send(cat)
        assert talk.hear()["problem"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "JSON object"),
        ("[]", "JSON object"),
        ("[" * 5000, "JSON object"),
        ('{"min_score": 2}', "from 0 to 1"),
        ('{"min_score": true}', "must be a number"),
        ('{"min_score": "0.5"}', "must be a number"),
        ('{"size": 1.5}', "whole number"),
        ('{"keep": 1}', "true or false"),
        ('{"labels": "dog"}', "list"),
        ('{"labels": [1]}', "texts"),
        ('{"model": 7}', "a text"),
        ('{"store": true}', "no option 'store'"),
        ('{"source": "' + "x" * 9000 + '"}', "8192 characters"),
    ],
)
def test_wrong_options_are_refused_in_words_and_the_talk_goes_on(
    server: Server, cat: bytes, text: str, words: str
) -> None:
    with Talk(server.port) as talk:
        talk.say(text)
        answer = talk.hear()
        assert (answer["type"], answer["capture"], answer["problem"]["code"]) == (
            "problem",
            None,
            "bad_option",
        )
        assert words in answer["problem"]["detail"]
        talk.send(cat)
        assert talk.hear()["type"] == "result"


def test_null_is_the_default_again() -> None:
    assert read_options('{"model": null, "min_score": null, "keep": null, "labels": []}') == LiveOptions()
    with pytest.raises(BadOption):
        read_options('{"nothing": null, "min_score": NaN}')


def test_pictures_that_fail_do_not_end_the_talk(server: Server, cat: bytes) -> None:
    with Talk(server.port) as talk:
        for data, code in ((b"not a picture", "not_a_picture"), (b"", "bad_option")):
            talk.send(data)
            answer = talk.hear()
            assert (answer["type"], answer["problem"]["code"]) == ("problem", code)
        assert answer["capture"] == 2
        talk.options(model="nobody")
        talk.send(cat)
        assert talk.hear()["problem"]["code"] == "not_found"
        talk.options()
        talk.send(cat)
        assert talk.hear()["capture"] == 4


def test_the_newest_waiting_picture_wins(starting: Callable[..., Server], gate: Gate, cat: bytes) -> None:
    server = starting(gate=gate)
    with Talk(server.port, timeout=40) as talk:
        talk.send(cat)
        with gate.held():
            for _ in range(20):
                talk.send(cat)
            assert talk.options(keep=False)["type"] == "options", "all that was sent before has been read"
        first, second = talk.hear(), talk.hear()
    assert first["capture"] == 1
    assert (second["capture"], second["replaced"]) == (21, 19)
    assert second["wait_ms"] > 0


def test_many_at_once_are_answered_in_turn(server: Server, cat: bytes) -> None:
    talks = [Talk(server.port) for _ in range(PER_CLIENT_MAX)]
    try:
        for talk in talks * 3:
            talk.send(cat)
            assert talk.hear()["type"] == "result"
        with pytest.raises(Refused) as refused:
            Talk(server.port)
        assert (refused.value.status, refused.value.problem["code"]) == (503, "busy")
        told = httpx.get(f"{server.url}/api/v1/live", timeout=5)
        assert (told.status_code, told.json()["detail"]) == (503, refused.value.problem["detail"])
    finally:
        for talk in talks:
            talk.close()
    _opens_again(server)


def _opens_again(server: Server) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            Talk(server.port).close()
        except Refused:
            time.sleep(0.05)
        else:
            return
    pytest.fail("The places of clients that left are not free again.")


def test_places_are_counted_by_client_and_in_all() -> None:
    lives = Lives()
    with lives.place("a"), lives.place("a"), lives.place("a"), lives.place("a"):
        with pytest.raises(Busy):
            lives.check("a")
        lives.check("b")
        assert len(lives) == 4
    lives.check("a")
    open_places = [lives.place(f"c{number}") for number in range(ALL_MAX)]
    events = [place.__enter__() for place in open_places]
    with pytest.raises(Busy):
        lives.check("d")
    lives.end()
    assert all(event.is_set() for event in events)
    for place in open_places:
        place.__exit__(None, None, None)
    lives.check("d")


REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"host": "evil.example"}, 421, "host_refused"),
    ({"headers": {"Origin": "http://evil.example"}}, 403, "origin_refused"),
    ({"headers": {"Origin": "null"}}, 403, "origin_refused"),
    ({"headers": {"Sec-Fetch-Site": "cross-site"}}, 403, "origin_refused"),
]


@pytest.mark.parametrize(("wishes", "status", "code"), REFUSALS)
def test_other_sites_open_nothing(server: Server, wishes: dict[str, Any], status: int, code: str) -> None:
    with pytest.raises(Refused) as refused:
        Talk(server.port, **wishes)
    assert (refused.value.status, refused.value.problem["code"]) == (status, code)


def test_our_own_page_opens_one(server: Server, cat: bytes) -> None:
    headers = {"Origin": f"http://127.0.0.1:{server.port}", "Sec-Fetch-Site": "same-origin"}
    with Talk(server.port, headers=headers) as talk:
        talk.send(cat)
        assert talk.hear()["type"] == "result"


def test_a_guarded_server_wants_its_key(starting: Callable[..., Server], cat: bytes) -> None:
    server = starting(host="0.0.0.0")
    secret = load_secret(server.data)
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": "sightline=wrong"}):
        with pytest.raises(Refused) as refused:
            Talk(server.port, headers=headers)
        assert (refused.value.status, refused.value.problem["code"]) == (401, "not_signed_in")
    for headers in (
        {"Authorization": f"Bearer {secret}"},
        {"Cookie": f"sightline={Keyring(secret).cookie}"},
    ):
        with Talk(server.port, headers=headers) as talk:
            talk.send(cat)
            assert talk.hear()["type"] == "result"


@pytest.mark.parametrize("path", ["/", "/api/v1/predict", "/api/v1/live/", "/api/v1/livelong"])
def test_at_other_addresses_the_wish_is_ignored(server: Server, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n"
    head += "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(15).split()[1] in {b"200", b"404", b"405"}


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_only_get_opens_one(server: Server, method: str) -> None:
    head = (
        f"{method} /api/v1/live HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(f"{head}content-length: 0\r\n\r\n".encode())
        assert connection.recv(15).split()[1] == b"405"


def test_a_plain_request_is_told_what_the_address_is_for(client: httpx.Client) -> None:
    answer = client.get("/api/v1/live")
    assert (answer.status_code, answer.json()["code"]) == (426, "upgrade_required")
    assert answer.headers["upgrade"] == "websocket"
    note = client.get("/api/openapi.json").json()["paths"]["/api/v1/live"]["get"]["x-websocket"]
    assert set(note["down"]) == {"result", "problem", "options"}


def test_too_large_a_message_ends_the_talk(starting: Callable[..., Server], cat: bytes) -> None:
    server = starting(upload_max_mb=0.2)
    before = rss_kb(server.process.pid)
    with Talk(server.port) as talk:
        with pytest.raises((Closed, OSError)) as closed:  # noqa: PT012 - whichever is met first
            for _ in range(400):
                talk.part(bytes(65536))
            talk.hear()
        assert not isinstance(closed.value, Closed) or closed.value.code in {1006, 1009}
    assert rss_kb(server.process.pid) - before < 15_000
    with Talk(server.port) as talk:
        talk.send(cat)
        assert talk.hear()["type"] == "result"


def test_who_sends_nothing_is_let_go(starting: Callable[..., Server], cat: bytes) -> None:
    server = starting(receive_s=1.2)
    with Talk(server.port) as talk:
        talk.send(cat)
        assert talk.hear()["type"] == "result"
        with pytest.raises(Closed) as closed:
            talk.hear()
        assert (closed.value.code, closed.value.reason) == (IDLE, "No picture came for 1.2 s.")
    with Talk(server.port) as talk, pytest.raises((Closed, OSError)):  # noqa: PT012 - whichever is met first
        for _ in range(8):
            talk.part(b"\xff\xd8")
            time.sleep(0.2)
        talk.hear()


def test_who_leaves_is_not_computed_for(starting: Callable[..., Server], cat: bytes) -> None:
    server = starting()
    for turn in range(12):
        talk = Talk(server.port)
        talk.send(slow_picture() if turn == 0 else cat)
        talk.send(cat)
        talk.close()
    _opens_again(server)
    until = time.monotonic() + 30
    while "sightline_requests_running 1.0" not in httpx.get(f"{server.url}/metrics", timeout=5).text:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert '"event":"failure"' not in "".join(server.log)


def test_a_stop_finishes_the_picture_at_hand(starting: Callable[..., Server], gate: Gate, cat: bytes) -> None:
    server = starting(gate=gate)
    with Talk(server.port, timeout=30) as talk:
        talk.send(cat)
        with gate.held():
            os.kill(server.process.pid, signal.SIGTERM)
            until_stopping(server)
        assert talk.hear()["type"] == "result"
        with pytest.raises(Closed) as closed:
            talk.hear()
        assert (closed.value.code, closed.value.reason) == (STOPPING, "The server is stopping.")
        assert server.process.wait(20) == 0
    assert '"event":"failure"' not in "".join(server.log)


def test_a_stop_closes_who_waits_at_once(starting: Callable[..., Server]) -> None:
    server = starting()
    with Talk(server.port) as talk:
        server.process.terminate()
        with pytest.raises(Closed) as closed:
            talk.hear()
        assert closed.value.code == STOPPING
        assert server.process.wait(20) == 0


def test_the_log_and_the_metrics_know(starting: Callable[..., Server], cat: bytes) -> None:
    server = starting()
    with Talk(server.port) as talk:
        talk.send(cat)
        talk.hear()
    until = time.monotonic() + 30
    while '"event":"live"' not in "".join(server.log):
        assert time.monotonic() < until
        time.sleep(0.02)
    line = next(json.loads(line) for line in server.log if '"event":"live"' in line)
    assert (line["status"], line["captures"], line["answered"], line["replaced"]) == (101, 1, 1, 0)
    text = httpx.get(f"{server.url}/metrics", timeout=5).text
    assert 'sightline_live_pictures_total{fate="answered"} 1.0' in text


def test_a_full_road_says_busy_and_the_talk_goes_on(
    starting: Callable[..., Server], gate: Gate, cat: bytes
) -> None:
    server = starting(gate=gate, waiting_max=1, batch_max=1)
    with Talk(server.port, timeout=40) as one, Talk(server.port, timeout=40) as other:
        one.send(cat)
        with gate.held():
            other.send(cat)
            answer = other.hear()
            assert answer["problem"]["code"] == "busy"
            assert answer["retry_after_s"] >= 1
        assert one.hear()["type"] == "result"
        other.send(cat)
        assert other.hear()["type"] == "result"


def test_options_are_read_as_settings_of_a_query() -> None:
    wish = read_options(
        '{"model": "a@1", "size": 320, "min_score": 0.5, "max_results": 3, "labels": ["a,b"]}'
    )
    ask = wish.options.ask
    assert (wish.options.model, ask.size, ask.min_score, ask.max_results) == ("a@1", 320, 0.5, 3)
    assert ask.labels == frozenset({"a,b"})
    assert load_settings({}, environment={}).upload_max_mb >= 8
