"""Who may ask at all: Host and Origin checks on every request, before anything is parsed.

A page of any site can send requests to 127.0.0.1, and a name that an attacker owns can point there
(DNS rebinding). The Host allow-list stops the second, the Origin check the first; both compare
whole header values, never prefixes. Starlette's TrustedHostMiddleware splits at ":" and so turns
``[::1]:8000`` into ``[``; hence our own.
"""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Final, TypeAlias

from sightline.settings import Settings
from sightline.web.problems import BadRequest, HostRefused, OriginRefused

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def split_host(value: str) -> tuple[str, str]:
    """``[::1]:8000`` -> ("::1", "8000"); a name without a port has an empty one.

    Raises:
        BadRequest: Not ``name``, ``name:port``, ``[address]`` or ``[address]:port``.
    """
    if value.startswith("["):
        name, bracket, rest = value[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        sound = bool(bracket) and (not rest or colon == ":")
    else:
        name, colon, port = value.partition(":")
        sound = ":" not in port
    plain = bool(name) and not set(name) & set("/\\@?#% \t,") and name.isascii() and name.isprintable()
    if not (sound and plain and (not colon or (port.isascii() and port.isdigit()))):
        raise BadRequest(f"The Host header must be a name with or without a port, got {value[:100]!r}.")
    return name.lower().rstrip("."), port


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that binds ``host``, which may stand in brackets."""
    host = host.strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class HostList:
    """The names that this server answers to."""

    def __init__(self, settings: Settings) -> None:
        """Loopback names, the bound address and ``allowed_hosts``; any literal address on a wildcard bind.

        A literal address cannot be rebound, so accepting all of them where the server listens on all
        of the machine's addresses gives nothing away.
        """
        bound = settings.host.strip("[]").lower()
        extra = [entry.strip().lower() for entry in settings.allowed_hosts.split(",") if entry.strip()]
        self._names = set(_LOOPBACK) | {bound}
        self._with_port = {entry for entry in extra if _has_port(entry)}
        self._names |= {entry.strip("[]") for entry in extra} - self._with_port
        self._any_address = bound in {"0.0.0.0", "::", ""}  # noqa: S104 - compared with, not bound
        if self._any_address:
            self._names.add(socket.gethostname().lower())

    def check(self, headers: Headers) -> str:
        """The Host header, if it is one of ours.

        Raises:
            BadRequest: No Host header, several, or not a host.
            HostRefused: Somebody else's name.
        """
        values = [value for name, value in headers if name == b"host"]
        if len(values) != 1:
            raise BadRequest(f"A request has exactly one Host header, this one has {len(values)}.")
        value = values[0].decode("latin-1")
        name, _port = split_host(value)
        if (
            name in self._names
            or value.lower() in self._with_port
            or (self._any_address and _is_address(name))
        ):
            return value
        raise HostRefused(f"This server does not answer to the name {value[:100]!r}.")


def check_origin(method: str, headers: Headers, host: str) -> None:
    """Refuse a change that a page of another origin asks for.

    Programs send neither header and pass. ``Origin: null`` (sandboxed frames, local files) does not.

    Raises:
        OriginRefused: The request comes from another site's page.
    """
    if method not in SAFE_METHODS:
        check_page(headers, host)


def check_page(headers: Headers, host: str) -> None:
    """Refuse what a page of another origin asks for, whatever the method.

    For what has a price or a consequence although it is a GET: a stream of events, which any page may open,
    takes one of few places, and telling of an alert marks it as told.

    Raises:
        OriginRefused: The request comes from another site's page.
    """
    for name, value in headers:
        if name == b"origin":
            scheme, _, place = value.decode("latin-1").partition("://")
            if scheme not in {"http", "https"} or place.lower() != host.lower():
                raise OriginRefused("A page of another origin may not do this here.")
        elif name == b"sec-fetch-site" and value not in {b"same-origin", b"none"}:
            raise OriginRefused("A page of another site may not do this here.")


def _has_port(entry: str) -> bool:
    tail = entry.rpartition("]")[2]
    return tail.count(":") == 1


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
