"""One request over one socket, with a deadline that no slow server can stretch.

The time-outs of ordinary clients start again with every byte that arrives; here each wait gets
only what is left of the whole. Standard library only: http.client speaks over a socket we opened.
"""

import functools
import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from sightline.errors import FetchRefused
from sightline.outbound.address import Address, Target, is_public

Resolver: TypeAlias = Callable[[str, int], list[str]]
CONNECT_S = 3.0
ATTEMPTS = 3
_AGENT = "Sightline (self-hosted; fetches what its user asked for)"


class Deadline:
    """How long everything may still take, and how long a single wait may."""

    def __init__(self, total_s: float, idle_s: float = float("inf")) -> None:
        self._end = time.monotonic() + total_s
        self._idle_s = idle_s

    def left(self, most_s: float = float("inf")) -> float:
        """Seconds for the next wait.

        Raises:
            TimeoutError: Nothing is left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, self._idle_s, most_s)


class _Reader(io.RawIOBase):
    """Bytes of a socket; each read waits no longer than the deadline allows."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.left())
        return self._sock.recv_into(buffer)


class _Socket:
    """The three methods that http.client wants of a socket."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self._deadline.left())
        self._sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._deadline), 65536)

    def close(self) -> None:
        """Do nothing: http.client calls it before the body is read; who called `send` closes the socket."""


def send(
    target: Target,
    addresses: list[Address],
    headers: Mapping[str, str],
    deadline: Deadline,
    body: bytes | None = None,
) -> tuple[socket.socket, http.client.HTTPResponse]:
    """Send one GET, or a POST of ``body``, to one of the addresses. The caller closes both.

    The body of the answer is not read yet.

    Raises:
        OSError, http.client.HTTPException: The connection or the answer failed.
    """
    connection = http.client.HTTPConnection(target.host, target.port)
    sock = _connect(target, addresses, deadline)
    connection.sock = _Socket(sock, deadline)
    try:
        connection.putrequest(
            "GET" if body is None else "POST", target.path, skip_host=True, skip_accept_encoding=True
        )
        fixed = {
            "Host": target.authority,
            "Accept-Encoding": "identity",
            "User-Agent": _AGENT,
            "Connection": "close",
        }
        for name, value in {**fixed, **headers}.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        return sock, connection.getresponse()
    except BaseException:
        sock.close()
        raise


def resolve(target: Target, resolver: Resolver, deadline: Deadline, *, private: bool) -> list[Address]:
    """All addresses of the host, looked up once.

    Raises:
        FetchRefused: None, or one of them is not public and ``private`` is false. One bad address
            refuses the host: which one a client would take is not ours to hope.
    """
    literal = target.literal
    texts = [str(literal)] if literal is not None else _look_up(target, resolver, deadline)
    found = list(dict.fromkeys(ipaddress.ip_address(text.partition("%")[0]) for text in texts))
    if not found:
        raise FetchRefused(f"The host {target.host} has no address.")
    if not private and not all(is_public(address) for address in found):
        raise FetchRefused(
            f"The host {target.host} is not on the public internet.",
            next_step=f"If it may be reached, list {target.authority} in the setting `fetch_allow`.",
        )
    return found


def system_resolver(host: str, port: int) -> list[str]:
    """Addresses from the system's resolver, in its order."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(info[4][0]) for info in infos]


def _look_up(target: Target, resolver: Resolver, deadline: Deadline) -> list[str]:
    """Ask in a thread: the system's resolver knows no deadline."""
    answer: list[str] = []

    def ask() -> None:
        try:
            answer.extend(resolver(target.host, target.port))
        except (OSError, UnicodeError):
            answer.clear()

    thread = threading.Thread(target=ask, name="resolve", daemon=True)
    thread.start()
    thread.join(deadline.left())
    if thread.is_alive() or not answer:
        raise FetchRefused(f"The host {target.host} could not be found.", next_step="Check the address.")
    return list(answer)


def _connect(target: Target, addresses: list[Address], deadline: Deadline) -> socket.socket:
    failure: OSError = OSError("no address")
    for address in addresses[:ATTEMPTS]:
        try:
            sock = socket.create_connection((str(address), target.port), timeout=deadline.left(CONNECT_S))
        except TimeoutError as error:
            failure = error
        except OSError as error:
            failure = error
        else:
            return sock if target.scheme == "http" else _wrap(sock, target, deadline)
    raise failure


def _wrap(sock: socket.socket, target: Target, deadline: Deadline) -> socket.socket:
    try:
        sock.settimeout(deadline.left())
        return _tls().wrap_socket(sock, server_hostname=target.host)
    except BaseException:
        sock.close()
        raise


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
