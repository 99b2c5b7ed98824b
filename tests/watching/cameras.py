"""Cameras for tests: real servers on a loopback port that send MJPEG, single JPEGs, or RTP over RTSP."""

import base64
import hashlib
import io
import random
import re
import socket
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from PIL import Image

SIZE = (160, 120)
COLOURS = {"red": (230, 10, 10), "green": (10, 230, 10), "blue": (10, 10, 230)}
BOUNDARY = "frontier"


def jpeg(colour: str, size: tuple[int, int] = SIZE) -> bytes:
    """A picture of one colour, baseline with the standard Huffman tables and 4:2:0, as RFC 2435 wants it."""
    out = io.BytesIO()
    Image.new("RGB", size, COLOURS[colour]).save(out, "JPEG", quality=90, subsampling="4:2:0")
    return out.getvalue()


class Server(ABC):
    """Accepts connections and serves each in a thread; ``cut`` breaks those that are open."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._open: list[socket.socket] = []
        self.connections = 0
        self.closing = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def cut(self) -> None:
        """Break every connection in the middle of whatever it is doing."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @abstractmethod
    def serve(self, connection: socket.socket) -> None:
        """Talk to one that has connected, until it or we have had enough."""

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self.serve(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()


def _request(connection: socket.socket, rest: bytearray) -> tuple[str, str, dict[str, str]] | None:
    """Method, target and headers (lower case) of the next request; interleaved data is dropped."""
    while True:
        while rest[:1] == b"$" and len(rest) >= 4 + int.from_bytes(rest[2:4], "big"):
            del rest[: 4 + int.from_bytes(rest[2:4], "big")]
        end = rest.find(b"\r\n\r\n")
        if end >= 0 and rest[:1] != b"$":
            head = bytes(rest[:end]).decode()
            del rest[: end + 4]
            first, *lines = head.split("\r\n")
            method, target, _ = first.split(" ", 2)
            pairs = (line.partition(":") for line in lines)
            return method, target, {name.strip().lower(): value.strip() for name, _, value in pairs}
        chunk = connection.recv(4096)
        if not chunk:
            return None
        rest += chunk


class Camera(Server):
    """HTTP: ``/video`` is MJPEG, ``/still`` one JPEG, ``/page`` a web page, ``/lost`` is not there.

    ``show`` may be changed while it runs. ``login``: (name, password, "Basic" or "Digest").
    """

    def __init__(
        self, *, lengths: bool = True, login: tuple[str, str, str] | None = None, port: int = 0
    ) -> None:
        self.garble: Callable[[int], bool] = lambda _: False
        self.show: Callable[[int], str] = lambda _: "red"
        self.pace_s = 0.02
        self.sent = 0
        self._lengths, self._login = lengths, login
        super().__init__(port)

    def url(self, path: str = "/video", login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.port}{path}"

    def serve(self, connection: socket.socket) -> None:
        asked = _request(connection, bytearray())
        if asked is None:
            return
        _, target, headers = asked
        if self._login and not self._fits(target, headers.get("authorization", "")):
            kind = self._login[2]
            more = ', nonce="n0nce", qop="auth", opaque="0paque"' if kind == "Digest" else ""
            challenge = f'WWW-Authenticate: {kind} realm="camera"{more}'
            connection.sendall(f"HTTP/1.1 401 No\r\n{challenge}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        if target == "/video":
            self._stream(connection)
            return
        answers = {
            "/still": ("200 OK", "image/jpeg", jpeg(self.show(self.sent))),
            "/page": ("200 OK", "text/html", b"<html>"),
        }
        status, kind, body = answers.get(target, ("404 Not Found", "text/plain", b"no"))
        self.sent += 1
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    def _stream(self, connection: socket.socket) -> None:
        kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}"
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\r\n".encode())
        while not self.closing.is_set():
            body = jpeg(self.show(self.sent))
            body = body[: len(body) // 2] if self.garble(self.sent) else body
            length = f"Content-Length: {len(body)}\r\n" if self._lengths else ""
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n{length}\r\n"
            connection.sendall(head.encode() + body + b"\r\n")
            self.sent += 1
            self.closing.wait(self.pace_s)

    def _fits(self, target: str, authorization: str) -> bool:
        assert self._login is not None
        user, password, kind = self._login
        if kind == "Basic":
            return authorization == "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        told = dict(re.findall(r'(\w+)="?([^",]*)"?', authorization.removeprefix("Digest ")))

        def hashed(text: str) -> str:
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

        first, second = hashed(f"{user}:camera:{password}"), hashed(f"GET:{target}")
        middle = ":".join(told.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
        wanted = hashed(f"{first}:{middle}:{second}")
        return told.get("response") == wanted and told.get("uri") == target and told.get("opaque") == "0paque"


@dataclass(frozen=True)
class Scan:
    """What RFC 2435 sends of a JPEG: its quantization tables and the entropy-coded data."""

    tables: bytes
    data: bytes
    width: int
    height: int

    @classmethod
    def of(cls, file: bytes) -> "Scan":
        tables: dict[int, bytes] = {}
        at, size = 2, (0, 0)
        while True:
            marker, length = file[at + 1], int.from_bytes(file[at + 2 : at + 4], "big")
            body = file[at + 4 : at + 2 + length]
            if marker == 0xDB:
                for start in range(0, len(body), 65):
                    tables[body[start] & 15] = body[start + 1 : start + 65]
            elif marker == 0xC0:
                size = (int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big"))
                assert [body[7], body[10], body[13]] == [0x22, 0x11, 0x11], "4:2:0 is type 1"
            at += 2 + length
            if marker == 0xDA:
                end = file.rindex(b"\xff\xd9")
                return cls(tables[0] + tables[1], file[at:end], *size)


class RtspCamera(Server):
    """RTSP 1.0 (RFC 2326) with RTP interleaved in its connection, JPEG as in RFC 2435.

    ``frames``: after so many a connection is cut; 0: never. ``stuck``: it stays open, but nothing is sent.
    """

    def __init__(self, *, frames: int = 0, login: str = "") -> None:
        self.show: Callable[[int], str] = lambda _: "red"
        self.frames, self._login = frames, login
        self.stuck = threading.Event()
        self.methods: list[str] = []
        self.sent = 0
        super().__init__()

    def url(self, login: str = "") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}/stream"

    def serve(self, connection: socket.socket) -> None:
        rest = bytearray()
        lock = threading.Lock()
        while (asked := _request(connection, rest)) is not None:
            method, target, headers = asked
            self.methods.append(method)
            status, extra, body = self._answer(method, target, headers)
            lines = [f"RTSP/1.0 {status}", f"CSeq: {headers.get('cseq', '0')}", *extra]
            if body:
                lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
            with lock:
                connection.sendall("\r\n".join([*lines, "", body]).encode())
            if method == "PLAY" and status.startswith("200"):
                threading.Thread(target=self._play, args=(connection, lock), daemon=True).start()
            if method == "TEARDOWN":
                return

    def _answer(self, method: str, target: str, headers: dict[str, str]) -> tuple[str, list[str], str]:
        wanted = "Basic " + base64.b64encode(self._login.encode()).decode()
        if self._login and headers.get("authorization") != wanted:
            return "401 Unauthorized", ['WWW-Authenticate: Basic realm="camera"'], ""
        match method:
            case "OPTIONS":
                return "200 OK", ["Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"], ""
            case "DESCRIBE":
                sdp = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=test", "c=IN IP4 0.0.0.0", "t=0 0"]
                sdp += ["m=video 0 RTP/AVP 26", "a=control:track1", "a=framerate:25", ""]
                return "200 OK", [f"Content-Base: {target}/"], "\r\n".join(sdp)
            case "SETUP" if "interleaved" in headers.get("transport", ""):
                return "200 OK", ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 7"], ""
            case "SETUP":
                return "461 Unsupported Transport", [], ""
            case _:
                return "200 OK", ["Session: 7"], ""

    def _play(self, connection: socket.socket, lock: threading.Lock) -> None:
        sequence, number = random.randrange(1 << 15), 0
        with suppress(OSError):
            while not self.closing.is_set() and (not self.frames or number < self.frames):
                if not self.stuck.is_set():
                    scan = Scan.of(jpeg(self.show(self.sent)))
                    for packet in _packets(scan, sequence, number * 3600):
                        with lock:
                            connection.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)
                        sequence += 1
                    self.sent += 1
                    number += 1
                self.closing.wait(0.04)
            connection.shutdown(socket.SHUT_RDWR)


def _packets(scan: Scan, sequence: int, stamp: int) -> Iterator[bytes]:
    """RTP packets of one picture (RFC 3550 and RFC 2435, type 1, tables in the first packet)."""
    most, at = 1300, 0
    while at < len(scan.data):
        part = scan.data[at : at + most]
        last = at + len(part) == len(scan.data)
        rtp = struct.pack(
            ">BBHII", 0x80, 26 | (0x80 if last else 0), sequence & 0xFFFF, stamp & 0xFFFFFFFF, 77
        )
        head = at.to_bytes(4, "big") + bytes((1, 255, scan.width // 8, scan.height // 8))
        tables = struct.pack(">BBH", 0, 0, len(scan.tables)) + scan.tables if at == 0 else b""
        yield rtp + head + tables + part
        sequence += 1
        at += len(part)


@dataclass
class Heard:
    """Collects what a watcher tells, and lets a test wait for it."""

    events: list[object] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, event: object) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def of(self, kind: type) -> list[object]:
        return [event for event in self.events if isinstance(event, kind)]

    def wait(self, true: Callable[[], object], limit_s: float = 60.0) -> None:
        end = time.monotonic() + limit_s
        with self.changed:
            while not true():
                assert self.changed.wait(end - time.monotonic()), f"Only this was heard: {self.events[-5:]}"
