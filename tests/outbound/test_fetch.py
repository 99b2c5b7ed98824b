"""Threats T5, T6 and T8 over real sockets on loopback."""

import contextlib
import gzip
import socket
import threading
import time
from typing import Any

import pytest

from sightline.errors import FetchRefused
from sightline.outbound import open_stream, safe_fetch
from sightline.settings import Settings


def _settings(loopback: Any, **more: Any) -> Settings:
    return Settings(fetch_allow=f"{loopback.listed}, pictures.example:{loopback.port}", **more)


def _to_loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def test_a_listed_host_is_fetched_and_gets_a_plain_request(loopback: Any) -> None:
    loopback.answer(b"picture", "Content-Type: image/png")
    found = safe_fetch(f"{loopback.base}/a%20b?c=d#e", _settings(loopback))
    assert (found.data, found.content_type) == (b"picture", "image/png")
    head = loopback.heads[0].decode()
    assert head.startswith("GET /a%20b?c=d HTTP/1.1\r\n")
    assert f"Host: {loopback.listed}\r\n" in head
    assert "Accept-Encoding: identity" in head
    assert "Cookie" not in head
    assert "Authorization" not in head


def test_the_name_is_kept_for_host(loopback: Any) -> None:
    loopback.answer(b"x")
    safe_fetch(f"http://pictures.example:{loopback.port}/", _settings(loopback), resolver=_to_loopback)
    assert f"Host: pictures.example:{loopback.port}\r\n".encode() in loopback.heads[0]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.0.0.1."]
)
def test_unlisted_loopback_is_never_connected(loopback: Any, host: str) -> None:
    loopback.answer(b"secret")
    with pytest.raises(FetchRefused):
        safe_fetch(f"http://{host}:{loopback.port}/", Settings())
    with pytest.raises(FetchRefused):
        safe_fetch(f"http://{host}/", Settings())
    assert loopback.heads == []


def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    with pytest.raises(FetchRefused, match="not on the public internet"):
        safe_fetch("http://a.example/", Settings(), resolver=lambda _host, _port: ["8.8.8.8", "127.0.0.1"])


def test_rebinding_is_useless_because_the_name_is_looked_up_once(
    loopback: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer counts; a second, private one is never asked for."""
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    asked = []
    reached = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> None:
        reached.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)

    def resolver(host: str, _port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    with pytest.raises(FetchRefused):
        safe_fetch("http://a.example/", Settings(), resolver=resolver)
    assert asked == ["a.example"]
    assert reached == ["8.8.8.8"]
    assert loopback.heads == []


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "//127.0.0.1/",
        "ftp://a/",
    ],
)
def test_redirects_are_checked_again(loopback: Any, location: str) -> None:
    loopback.answer(b"", f"Location: {location}", status="302 Found")
    with pytest.raises(FetchRefused):
        safe_fetch(f"{loopback.base}/", _settings(loopback))
    assert len(loopback.heads) == 1


def test_a_redirect_to_another_port_of_a_listed_host_is_refused(loopback: Any) -> None:
    loopback.answer(b"", "Location: http://127.0.0.1:1/", status="307 Temporary Redirect")
    with pytest.raises(FetchRefused, match="Port 1"):
        safe_fetch(f"{loopback.base}/", _settings(loopback))


def test_three_redirects_are_followed_and_a_fourth_is_not(loopback: Any) -> None:
    def script(connection: socket.socket, head: bytes) -> None:
        step = int(head.split(b" ")[1][1:])
        more = f"HTTP/1.1 302 Found\r\nLocation: /{step - 1}\r\nContent-Length: 0\r\n\r\n".encode()
        connection.sendall(more if step else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    loopback.script = script
    assert safe_fetch(f"{loopback.base}/3", _settings(loopback)).data == b"ok"
    with pytest.raises(FetchRefused, match="more than 3 times"):
        safe_fetch(f"{loopback.base}/4", _settings(loopback))


def test_too_many_announced_bytes_are_refused_before_they_come(loopback: Any) -> None:
    loopback.script = lambda connection, _: connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"
    )
    with pytest.raises(FetchRefused, match="announces"):
        safe_fetch(f"{loopback.base}/", _settings(loopback), max_bytes=1000)


def test_a_body_without_a_length_is_read_to_its_end(loopback: Any) -> None:
    def script(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(50):
            connection.sendall(bytes(40_000))

    loopback.script = script
    assert len(safe_fetch(f"{loopback.base}/", _settings(loopback)).data) == 2_000_000


def test_chunks_are_put_together(loopback: Any) -> None:
    def script(connection: socket.socket, _head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        for _ in range(3):
            time.sleep(0.02)
            connection.sendall(b"5\r\nhello\r\n")
        connection.sendall(b"0\r\n\r\n")

    loopback.script = script
    assert safe_fetch(f"{loopback.base}/", _settings(loopback)).data == b"hello" * 3


def _flood(connection: socket.socket, _head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n")
    with contextlib.suppress(OSError):
        for _ in range(1024):
            connection.sendall(bytes(1 << 20))


def test_an_endless_body_is_cut_at_the_limit(loopback: Any) -> None:
    loopback.script = _flood
    began_s = time.monotonic()
    with pytest.raises(FetchRefused, match="it has more"):
        safe_fetch(f"{loopback.base}/", _settings(loopback), max_bytes=1 << 20)
    assert time.monotonic() - began_s < 60


def test_compressed_answers_are_refused_unopened(loopback: Any) -> None:
    loopback.answer(gzip.compress(bytes(1 << 20)), "Content-Encoding: gzip")
    with pytest.raises(FetchRefused, match="compressed"):
        safe_fetch(f"{loopback.base}/", _settings(loopback))


@pytest.mark.parametrize("where", ["head", "body", "silence"])
def test_a_slow_server_meets_the_total_deadline(loopback: Any, where: str) -> None:
    def script(connection: socket.socket, _head: bytes) -> None:
        whole = b"HTTP/1.1 200 OK\r\nX-Pad: " + b"x" * 500 + b"\r\nContent-Length: 500\r\n\r\n" + b"y" * 500
        if where == "body":
            connection.sendall(whole[:560])
            whole = whole[560:]
        if where == "silence":
            connection.recv(1)  # until the other side hangs up
        for byte in whole:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    loopback.script = script
    began_s = time.monotonic()
    with pytest.raises(FetchRefused, match="too slow"):
        safe_fetch(f"{loopback.base}/", _settings(loopback, fetch_total_s=0.5))
    assert time.monotonic() - began_s < 20, "the whole answer would take 50 s"


def test_a_slow_resolver_meets_the_deadline_too() -> None:
    refused = threading.Event()

    def resolver(_host: str, _port: int) -> list[str]:
        assert refused.wait(60), "the fetch waits for the resolver"
        return ["8.8.8.8"]

    with pytest.raises(FetchRefused, match="could not be found"):
        safe_fetch("http://a.example/", Settings(fetch_total_s=0.3), resolver=resolver)
    refused.set()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage",
        b"HTTP/1.1 200",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: \r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n",
    ],
)
def test_broken_answers_are_refusals(loopback: Any, answer: bytes) -> None:
    loopback.script = lambda connection, _head: connection.sendall(answer)
    with pytest.raises(FetchRefused):
        safe_fetch(f"{loopback.base}/", _settings(loopback))


def test_nobody_listening_is_a_refusal(loopback: Any) -> None:
    settings = _settings(loopback)
    loopback.close()
    with pytest.raises(FetchRefused, match="did not answer"):
        safe_fetch(f"{loopback.base}/", settings)


def test_the_environments_proxy_is_not_used(loopback: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    loopback.answer(b"direct")
    assert safe_fetch(f"{loopback.base}/", _settings(loopback)).data == b"direct"


def test_an_address_of_version_six_is_fetched() -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("This machine has no IPv6 loopback.")
    port = listener.getsockname()[1]

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nsix")

    thread = threading.Thread(target=serve)
    with listener:
        thread.start()
        fetched = safe_fetch(f"http://[::1]:{port}/", Settings(fetch_allow=f"[::1]:{port}"))
        thread.join()
    assert fetched.data == b"six"


def test_https_wants_a_certificate(loopback: Any) -> None:
    loopback.answer(b"plain text where TLS belongs")
    with pytest.raises(FetchRefused):
        safe_fetch(f"https://127.0.0.1:{loopback.port}/", _settings(loopback, fetch_total_s=0.5))


def test_a_stream_gives_any_status_and_waits_no_longer_than_told(loopback: Any) -> None:
    loopback.answer(b"gone", status="404 Not Found")
    with open_stream(f"{loopback.base}/", allowed=frozenset({loopback.listed})) as stream:
        assert (stream.status, stream.length, b"".join(stream.chunks())) == (404, 4, b"gone")
    loopback.script = lambda connection, _head: connection.recv(1)  # until the other side hangs up
    with (
        pytest.raises(FetchRefused, match="too slow"),
        open_stream(f"{loopback.base}/", allowed=frozenset({loopback.listed}), idle_s=0.2),
    ):
        pass
