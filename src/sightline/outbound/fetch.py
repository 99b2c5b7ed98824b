"""Following redirects by hand, and the two ways to read what lies at the end."""

import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sightline.errors import FetchRefused
from sightline.outbound.address import Target, allow_list, check_port, is_listed, join, parse
from sightline.outbound.wire import Deadline, Resolver, resolve, send, system_resolver
from sightline.settings import Settings

REDIRECTS_MAX = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Fetched:
    """A whole small answer."""

    data: bytes
    content_type: str
    """What the server says it is: a claim, not a fact."""
    url: str
    """Where it was found, after redirects."""


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """An answer whose body is still coming."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    url: str
    _response: http.client.HTTPResponse = field(repr=False)

    @property
    def length(self) -> int | None:
        """Bytes of the body, if the server says."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece.

        Raises:
            FetchRefused: The connection broke, became too slow, or ended early.
        """
        got = 0
        with in_words(self.url):
            while chunk := self._response.read1(_CHUNK):
                got += len(chunk)
                yield chunk
        if self.length is not None and got < self.length:
            raise FetchRefused(
                f"The answer ended after {got} of {self.length} bytes.", next_step="Try again."
            )


def safe_fetch(
    url: str, settings: Settings, *, max_bytes: int | None = None, resolver: Resolver = system_resolver
) -> Fetched:
    """Get a small file from an address that somebody else chose.

    Raises:
        FetchRefused: The address may not be opened, did not answer in time, or gave too much.
    """
    try:
        return _whole(url, settings, max_bytes, resolver)
    except FetchRefused as error:
        error.next_step += " Or send the picture itself instead of its address."
        raise


def _whole(url: str, settings: Settings, max_bytes: int | None, resolver: Resolver) -> Fetched:
    limit = int(settings.fetch_max_mb * (1 << 20)) if max_bytes is None else max_bytes
    deadline = Deadline(settings.fetch_total_s)
    allowed = allow_list(settings.fetch_allow)
    headers = {"Accept": "image/*"}
    with _opened(url, headers, deadline, allowed, resolver) as stream:
        if stream.status != 200:
            raise FetchRefused(
                f"The server answered {stream.status} instead of a picture.",
                next_step="Check the address in a browser.",
            )
        if stream.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise FetchRefused("The server compressed its answer although it was asked not to.")
        if (stream.length or 0) > limit:
            raise FetchRefused(
                f"The file there may have {limit} bytes, the server announces {stream.length}."
            )
        data = bytearray()
        for chunk in stream.chunks():
            data += chunk
            if len(data) > limit:
                raise FetchRefused(f"The file there may have {limit} bytes, it has more.")
        if not data:
            raise FetchRefused("The server's answer is empty.")
        return Fetched(bytes(data), stream.headers.get("content-type", ""), stream.url)


@contextlib.contextmanager
def open_stream(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    allowed: frozenset[str] = frozenset(),
    idle_s: float = 30.0,
    resolver: Resolver = system_resolver,
) -> Iterator[Stream]:
    """Open a large file from an address that the operator or the catalogue chose; any status is given back.

    There is no total deadline, but no wait may exceed ``idle_s``.

    Raises:
        FetchRefused: As `safe_fetch`.
    """
    with _opened(url, headers or {}, Deadline(float("inf"), idle_s), allowed, resolver) as stream:
        yield stream


@contextlib.contextmanager
def _opened(
    url: str, headers: Mapping[str, str], deadline: Deadline, allowed: frozenset[str], resolver: Resolver
) -> Iterator[Stream]:
    target = parse(url)
    for _ in range(REDIRECTS_MAX + 1):
        sock, response = _ask(target, headers, deadline, allowed, resolver)
        try:
            location = response.headers.get("location", "")
            if response.status not in _REDIRECTS or not location:
                found = {name.lower(): value for name, value in response.headers.items()}
                yield Stream(response.status, found, target.url, response)
                return
        finally:
            response.close()
            sock.close()
        before, target = target, join(target, location)
        if (before.scheme, before.authority) != (target.scheme, target.authority):
            headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
    raise FetchRefused(f"The address redirects more than {REDIRECTS_MAX} times.")


def _ask(
    target: Target,
    headers: Mapping[str, str],
    deadline: Deadline,
    allowed: frozenset[str],
    resolver: Resolver,
) -> tuple[socket.socket, http.client.HTTPResponse]:
    private = is_listed(target, allowed)
    if not private:
        check_port(target)
    with in_words(target.url):
        addresses = resolve(target, resolver, deadline, private=private)
        return send(target, addresses, headers, deadline)


@contextlib.contextmanager
def in_words(url: str) -> Iterator[None]:
    """Every way a connection can fail -> one kind of error with a sentence."""
    host = url.split("/")[2]
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise FetchRefused(f"The certificate of {host} is not valid: {error.verify_message}.") from error
    except TimeoutError as error:
        raise FetchRefused(f"{host} was too slow.", next_step="Try again when it is less busy.") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FetchRefused(
            f"{host} did not answer as a web server should ({type(error).__name__}).",
            next_step="Check the address, and that its server is on.",
        ) from error
