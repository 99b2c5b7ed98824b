"""While the road is full: refusals at the door, over real sockets."""

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.web.conftest import Server
from tests.web.gate import Gate
from tests.web.test_life import JPEG, rss_kb

BODY = b"x" * 300_000


@pytest.fixture
def full(starting: Callable[..., Server], gate: Gate, cat: bytes) -> Iterator[Server]:
    """A server whose only place is taken until the test is over."""
    server = starting(gate=gate, waiting_max=1, batch_max=1)
    address = f"{server.url}/api/v1/predict"
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(httpx.post, address, content=cat, headers=JPEG, timeout=150)
        with gate.held():
            yield server
            assert not first.done()


def metric(server: Server, name: str) -> float:
    for line in httpx.get(f"{server.url}/metrics", timeout=20).text.splitlines():
        if line.startswith(name):
            return float(line.rpartition(" ")[2])
    return 0.0


def request(path: str = "/api/v1/predict", version: str = "1.1", more: str = "") -> bytes:
    head = f"POST {path} HTTP/{version}\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n{more}"
    return f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode()


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        assert part, data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return int(first.split()[1]), headers, body


def test_a_refusal_comes_before_the_body_and_the_connection_goes_on(full: Server) -> None:
    with socket.create_connection(("127.0.0.1", full.port), timeout=30) as connection:
        connection.sendall(request("/api/v1/predict?max_results=3"))
        first = answer(connection)  # nothing of the body was sent yet
        connection.sendall(BODY + request())
        second = answer(connection)
        connection.sendall(BODY + b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        third = answer(connection)
    assert (first[0], second[0], third[0]) == (503, 503, 200)
    problem = json.loads(first[2])
    assert (problem["code"], problem["status"]) == ("busy", 503)
    assert problem["request_id"] == first[1]["x-request-id"] != second[1]["x-request-id"]
    assert first[1]["retry-after"] == "1"
    assert first[1]["x-content-type-options"] == "nosniff"
    assert first[1]["content-type"] == "application/problem+json"
    assert metric(full, 'sightline_refusals_total{code="busy"}') == 2
    assert '"event":"turned_away"' in "".join(full.log)


@pytest.mark.parametrize(("version", "more"), [("1.0", ""), ("1.1", "Connection: close\r\n")])
def test_a_connection_that_should_close_closes_after_the_body(full: Server, version: str, more: str) -> None:
    with socket.create_connection(("127.0.0.1", full.port), timeout=30) as connection:
        connection.sendall(request(version=version, more=more) + BODY)
        status, headers, _ = answer(connection)
        assert (status, headers["connection"]) == (503, "close")
        assert connection.recv(1) == b""


def test_other_addresses_are_answered_as_ever(full: Server) -> None:
    assert httpx.post(f"{full.url}/api/v1/predicted", content=BODY, timeout=20).status_code == 404
    assert httpx.get(f"{full.url}/api/v1/predict", timeout=20).status_code == 405
    assert httpx.get(f"{full.url}/api/v1/models", timeout=20).status_code == 200


def test_who_sends_and_sends_and_never_reads_is_cut_off(full: Server) -> None:
    empty = b"POST /api/v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
    before = rss_kb(full.process.pid)
    connection = socket.create_connection(("127.0.0.1", full.port), timeout=30)
    with connection, pytest.raises(OSError):  # noqa: PT012 - as soon as the server's buffer is full
        for _ in range(3000):
            connection.sendall(empty * 100)
    assert rss_kb(full.process.pid) < before + 20_000
