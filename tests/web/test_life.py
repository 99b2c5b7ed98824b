"""The life of a server and of its connections: overload, slow and gone clients, a clean stop."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from PIL import Image
from tests.web.conftest import Server
from tests.web.gate import Gate

from sightline.web.intake import JSON_BYTES

POST = "POST /api/v1/predict HTTP/1.1\r\nhost: localhost\r\n"
JPEG = {"content-type": "image/jpeg"}


def talk(port: int, *chunks: bytes, wait_s: float = 20, pause_s: float = 0.0) -> bytes:
    """Send raw bytes, chunk by chunk, and read until the server closes or nothing comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait_s) as connection:
        for chunk in chunks:
            connection.sendall(chunk)
            time.sleep(pause_s)
        received = b""
        try:
            while data := connection.recv(65536):
                received += data
        except (TimeoutError, ConnectionResetError):
            pass
        return received


def head(length: int | None, kind: str = "image/jpeg", extra: str = "") -> bytes:
    size = f"content-length: {length}\r\n" if length is not None else "transfer-encoding: chunked\r\n"
    return (POST + f"content-type: {kind}\r\n{size}{extra}connection: close\r\n\r\n").encode()


def rss_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def code(received: bytes) -> str:
    return str(json.loads(received.partition(b"\r\n\r\n")[2])["code"])


def test_an_announced_body_over_the_limit_is_refused_before_it_is_sent(server: Server) -> None:
    received = talk(server.port, head(200 * 1024 * 1024, extra="expect: 100-continue\r\n"))
    assert received.startswith(b"HTTP/1.1 413 ")
    assert code(received) == "body_too_large"


@pytest.mark.parametrize(
    "target",
    [
        "POST /api/v1/rules",
        "POST /api/v1/watches",
        "PUT /api/v1/watches/x",
        "POST /api/v1/pipelines",
        "POST /api/v1/pipelines/x/second",
    ],
)
def test_large_json_is_refused_unread(server: Server, target: str) -> None:
    """A few megabytes of brackets would be a gigabyte of objects, made while nobody else is answered."""
    kind = f"{target} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nconnection: close\r\n"
    received = talk(server.port, f"{kind}content-length: {JSON_BYTES + 1}\r\n\r\n".encode())
    assert received.startswith(b"HTTP/1.1 413 "), received[:200]
    assert code(received) == "body_too_large"


def test_a_chunked_body_over_the_limit_is_cut(server: Server) -> None:
    before = rss_kb(server.process.pid)
    block = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    for _ in range(8):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(head(None))
            try:
                for _block in range(40):
                    connection.sendall(block)
            except (BrokenPipeError, ConnectionResetError):
                pass
            try:
                received = connection.recv(65536)
            except ConnectionResetError:
                continue
            assert received.startswith(b"HTTP/1.1 413 ")
    assert rss_kb(server.process.pid) - before < 80 * 1024


def test_a_body_of_many_tiny_chunks_is_just_slow_work(server: Server) -> None:
    received = talk(server.port, head(None), b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 415 ")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 60,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        POST.encode() + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        POST.encode() + b"content-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: \0\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_not_http_is_refused_in_our_shape(server: Server, request_bytes: bytes) -> None:
    received = talk(server.port, request_bytes, wait_s=3)
    assert received.startswith(b"HTTP/1.1 400 "), received[:200]
    assert b"application/problem+json" in received
    assert code(received) == "bad_request"


def test_endless_headers_are_cut(server: Server) -> None:
    line = b"x-filler: " + b"y" * 1000 + b"\r\n"
    begun = time.monotonic()
    received = talk(server.port, b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n" + line * 100, wait_s=60)
    assert received == b"" or received.startswith(b"HTTP/1.1 431 ")
    assert time.monotonic() - begun < 60, "it was the server that closed"


def test_endless_trailers_are_cut(server: Server) -> None:
    start = b"POST /api/v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/jpeg\r\n"
    start += b"transfer-encoding: chunked\r\n\r\n0\r\n"
    before = rss_kb(server.process.pid)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(start)
        with pytest.raises(ConnectionError):  # noqa: PT012 - whichever of them first meets the closed connection
            for _ in range(2000):
                connection.sendall(b"a:\r\n" * 16384)
    assert rss_kb(server.process.pid) < before + 20_000


def test_slow_bodies_get_408_and_others_do_not_notice(starting: Callable[..., Server], cat: bytes) -> None:
    server = starting(receive_s=1.0)
    slow = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(100)]
    try:
        _check_slow(server, slow, cat)
    finally:
        for connection in slow:
            connection.close()
    until = time.monotonic() + 30
    while len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())) >= 60:
        assert time.monotonic() < until, "connections that are over stay open"
        time.sleep(0.05)


def _check_slow(server: Server, slow: list[socket.socket], cat: bytes) -> None:
    for connection in slow:
        connection.sendall(head(1000) + b"x")
    begun = time.monotonic()
    answer = httpx.post(f"{server.url}/api/v1/predict", content=cat, headers=JPEG, timeout=20)
    assert answer.status_code == 200
    for connection in slow:
        received = b""
        while data := connection.recv(65536):
            received += data
        assert received.startswith(b"HTTP/1.1 408 ")
        assert code(received) == "request_timeout"
    assert time.monotonic() - begun < 50, "one after the other would be a hundred seconds"


def slow_picture() -> bytes:
    """A sound progressive JPEG of 49 megapixels: small to send, and most of a second to decode."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((7000, 7000)).convert("RGB").save(file, "JPEG", progressive=True)
    return file.getvalue()


def test_the_line_is_bounded_and_refuses_at_once(
    starting: Callable[..., Server], gate: Gate, cat: bytes
) -> None:
    server = starting(gate=gate, waiting_max=1, batch_max=1)
    with ThreadPoolExecutor(1) as threads, httpx.Client(base_url=server.url, timeout=30) as client:
        ask = partial(client.post, "/api/v1/predict", content=cat, headers=JPEG)
        first = threads.submit(ask)
        with gate.held():  # who is refused waits for nothing: the first picture stays where it is
            refusals = [ask() for _ in range(20)]
            assert client.get("/health/ready").status_code == 200
            assert not first.done()
        assert (first.result().status_code, ask().status_code) == (200, 200)
    assert {(answer.status_code, answer.json()["code"]) for answer in refusals} == {(503, "busy")}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refusals)


def test_clients_that_leave_leave_nothing_behind(server: Server, cat: bytes) -> None:
    for turn in range(60):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            whole = head(len(cat)) + cat
            connection.sendall(whole[: len(whole) - (turn % 3) * 500])
    _until_running(server, 0)
    assert '"event":"failure"' not in "".join(server.log)


def _until_running(server: Server, count: int) -> None:
    """Wait until so many requests are inside, beside the one that asks."""
    until = time.monotonic() + 30
    while (
        f"sightline_requests_running {count + 1}.0" not in httpx.get(f"{server.url}/metrics", timeout=20).text
    ):
        assert time.monotonic() < until, f"there are never {count} requests inside"
        time.sleep(0.05)


def until_stopping(server: Server) -> None:
    """Wait until the server says that it stops."""
    until = time.monotonic() + 30
    while httpx.get(f"{server.url}/health/ready", timeout=20).status_code != 503:
        assert time.monotonic() < until, "the server does not notice that it was told to stop"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_what_had_begun(
    starting: Callable[..., Server], cat: bytes, number: signal.Signals
) -> None:
    server = starting()
    answers: list[int] = []
    whole = head(len(cat)) + cat
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as begun:
        begun.sendall(whole[:-10])
        _until_running(server, 1)
        os.kill(server.process.pid, number)
        until_stopping(server)
        ready = httpx.get(f"{server.url}/health/ready", timeout=5)
        assert (ready.status_code, ready.json()) == (503, {"status": "stopping"})
        refused = httpx.post(f"{server.url}/api/v1/predict", content=cat, headers=JPEG, timeout=5)
        assert (refused.status_code, refused.json()["code"]) == (503, "stopping")
        begun.sendall(whole[-10:])
        received = b""
        while data := begun.recv(65536):
            received += data
        answers.append(int(received.split()[1]))
    assert answers == [200]
    assert server.process.wait(20) == 0
    assert '"event":"failure"' not in "".join(server.log)


def test_a_stop_under_load_loses_nothing(starting: Callable[..., Server], cat: bytes) -> None:
    server = starting()
    outcomes: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        told = False
        with httpx.Client(base_url=server.url, timeout=20) as client:
            while not stop.is_set():
                try:
                    answer = client.post("/api/v1/predict", content=cat, headers=JPEG)
                except httpx.ConnectError:
                    outcomes.append("closed")
                    return
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    outcomes.append("closed" if told else "cut")  # who knocks on after a 503 may find no door
                    return
                outcomes.append(str(answer.status_code))
                if answer.status_code == 503:
                    told = True
                    time.sleep(0.02)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 30
    while outcomes.count("200") <= 16 and time.monotonic() < until:
        time.sleep(0.02)
    assert server.stop() == 0
    stop.set()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"200", "503", "closed"}
    assert outcomes.count("200") > 8


def test_a_taken_port_is_a_sentence(server: Server, tmp_path: Path) -> None:
    program = "from sightline.web.serve import serve; from sightline.settings import load_settings; "
    program += f"serve(load_settings(dict(port={server.port}, data_dir={str(tmp_path)!r}), environment={{}}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {server.port}" in done.stderr


def test_ipv6_loopback_needs_no_key(starting: Callable[..., Server]) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("This machine has no IPv6 loopback.")
    server = starting(host="::1")
    assert server.url.startswith("http://[::1]:")
    assert httpx.get(f"{server.url}/api/v1/models", timeout=5).status_code == 200


def test_a_server_that_stores_nothing_leaves_no_folder(starting: Callable[..., Server], cat: bytes) -> None:
    server = starting()
    httpx.post(f"{server.url}/api/v1/predict", content=cat, headers=JPEG, timeout=10).raise_for_status()
    assert server.stop() == 0
    assert not (server.data / "results").exists()


def test_results_outlive_the_server(starting: Callable[..., Server], cat: bytes, tmp_path: Path) -> None:
    first = starting()
    answer = httpx.post(
        f"{first.url}/api/v1/predict?store=true", content=cat, headers=JPEG, timeout=10
    ).json()
    first.process.kill()
    first.process.wait()
    second = starting(data_dir=str(tmp_path / "data0"), model="tiny")
    again = httpx.get(f"{second.url}/api/v1/results/{answer['id']}", timeout=10)
    assert again.json()["predictions"][0] == answer["predictions"][0]
    assert httpx.get(f"{second.url}/api/v1/results/{answer['id']}/image", timeout=10).status_code == 200
    assert second.stop() == 0
    third = starting(data_dir=str(tmp_path / "data0"), retention_days=1 / 86_400 / 10)
    until = time.monotonic() + 10
    while httpx.get(f"{third.url}/api/v1/results", timeout=10).json()["total"] and time.monotonic() < until:
        time.sleep(0.05)
    assert httpx.get(f"{third.url}/api/v1/results/{answer['id']}", timeout=10).status_code == 404
