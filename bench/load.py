"""A load generator on raw sockets: cheap, so that it does not eat what it measures."""

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass, field

import uvloop

OPEN_MAX = 512
"""Most connections of the open loop; servers rightly limit what one address may hold."""


@dataclass
class Load:
    """What came back within the time."""

    seconds: float = 0.0
    good_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    broken: int = 0
    last: bytes = b""
    fault: str = ""
    unsent: int = 0
    """Requests for which no connection was free: the machine could not even send them."""

    @property
    def rate(self) -> float:
        """Answers (status 200) a second."""
        return len(self.good_ms) / self.seconds if self.seconds else 0.0

    def median_ms(self) -> float:
        """Of good answers."""
        return percentile(self.good_ms, 50)


def percentile(values: list[float], share: float) -> float:
    """The value that ``share`` percent do not exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] if ordered else 0.0


def request(path: str, port: int, picture: bytes, *, form: bool = False) -> bytes:
    """The bytes of one POST of a JPEG, bare or as the field ``image`` of a form."""
    kind, body = "image/jpeg", picture
    if form:
        kind = "multipart/form-data; boundary=border"
        head = b'--border\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n'
        body = head + b"Content-Type: image/jpeg\r\n\r\n" + picture + b"\r\n--border--\r\n"
    lines = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\n"
    return f"{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


def closed(port: int, data: bytes, connections: int, seconds: float) -> Load:
    """Each connection sends, waits for the answer, and sends again."""
    return uvloop.run(_closed(port, data, connections, seconds))


def open_loop(port: int, data: bytes, rate: float, seconds: float) -> Load:
    """Requests arrive at a fixed rate whatever the server does, each on a free connection."""
    return uvloop.run(_open(port, data, rate, seconds))


async def _closed(port: int, data: bytes, connections: int, seconds: float) -> Load:
    load = Load()
    until = time.perf_counter() + seconds

    async def client() -> None:
        line = _Line(port)
        while time.perf_counter() < until:
            await line.ask(data, load)
        line.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    load.seconds = time.perf_counter() - began
    return load


async def _open(port: int, data: bytes, rate: float, seconds: float) -> Load:
    load = Load()
    free: list[_Line] = []
    tasks: set[asyncio.Task[None]] = set()

    async def one() -> None:
        line = free.pop() if free else _Line(port)
        await line.ask(data, load)
        free.append(line)

    began = time.perf_counter()
    sent = 0
    while (now := time.perf_counter() - began) < seconds:
        while sent < now * rate:
            sent += 1
            if len(tasks) >= OPEN_MAX:
                load.unsent += 1
                continue
            task = asyncio.create_task(one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.sleep(0.002)
    load.seconds = time.perf_counter() - began
    late = time.perf_counter()
    await asyncio.gather(*tasks)
    load.seconds += 0.5 * (time.perf_counter() - late)
    for line in free:
        line.close()
    return load


class _Line:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def ask(self, data: bytes, load: Load) -> None:
        began = time.perf_counter()
        try:
            status, load.last, keep = await self._exchange(data)
        except (OSError, ValueError) as error:
            load.broken += 1
            load.fault = repr(error)
            self.close()
            return
        took = 1e3 * (time.perf_counter() - began)
        if status == 200:
            load.good_ms.append(took)
        elif status == 503:
            load.refused_ms.append(took)
        else:
            load.broken += 1
        if not keep:
            self.close()

    async def _exchange(self, data: bytes) -> tuple[int, bytes, bool]:
        loop = asyncio.get_running_loop()
        if self._socket is None:
            self._socket = socket.socket()
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(self._socket, ("127.0.0.1", self._port))
        with contextlib.suppress(
            ConnectionError
        ):  # a server that refuses may stop reading: the answer is there
            await loop.sock_sendall(self._socket, data)
        got = b""
        while (end := got.find(b"\r\n\r\n")) < 0:
            got += await self._more(loop)
        head = got[:end].lower()
        start = head.find(b"content-length:")
        if start < 0:
            msg = "An answer without a length."
            raise ValueError(msg)
        length = int(head[start + 15 :].split(b"\r\n", 1)[0])
        while len(got) < end + 4 + length:
            got += await self._more(loop)
        return int(got[9:12]), got[end + 4 :], b"connection: close" not in head

    async def _more(self, loop: asyncio.AbstractEventLoop) -> bytes:
        assert self._socket is not None
        part = await loop.sock_recv(self._socket, 65536)
        if not part:
            raise ConnectionError
        return part
