"""A port of https that is spoken to in plain HTTP says so, instead of hanging up without a word.

OpenSSL tells such a connection from a broken handshake. What asyncio would send as the next step of the
handshake is then an answer in plain text: browsers are led to https, and programs are told, for one that
follows would send its key in the clear each time.
"""

import json
import re
import ssl
from typing import Any, Final

from sightline.web.problems import MEDIA_TYPE, BadRequest, problem_of
from sightline.web.services import new_request_id

_TARGET: Final = re.compile(rb"((?:[!-.0-~][!-~]{0,2000})?) HTTP/1\.[01]\r\n")
"""The rest of a line, without the ``GET /`` that OpenSSL has taken from it."""
_HOST: Final = re.compile(rb"\r\nhost:[ \t]*([A-Za-z0-9.:\[\]-]{1,255})[ \t]*\r\n", re.IGNORECASE)
_PAGE: Final = re.compile(rb"\r\naccept:[^\r\n]*text/html", re.IGNORECASE)


class PlainAware(ssl.SSLContext):
    """A server's context whose connections answer plain HTTP."""

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *words: Any, **more: Any
    ) -> ssl.SSLObject:
        """As ``SSLContext.wrap_bio``, which asyncio calls for each connection."""
        made = super().wrap_bio(incoming, outgoing, *words, **more)
        assert isinstance(made, _Handshake)
        made.incoming, made.outgoing = incoming, outgoing
        return made


class _Handshake(ssl.SSLObject):
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    _answered: bool = False

    def do_handshake(self) -> None:
        """One step of the handshake; the answer goes out where the next step's bytes would."""
        try:
            super().do_handshake()
        except ssl.SSLError as error:
            if error.reason != "HTTP_REQUEST" or self._answered:
                raise
            self._answered = True
            self.outgoing.write(_answer(self.incoming.read()))
            raise ssl.SSLWantReadError from error  # asyncio writes what is there; the client goes then


PlainAware.sslobject_class = _Handshake


def _answer(rest: bytes) -> bytes:
    """The whole response to a request in plain HTTP, of which the first five bytes are gone.

    Browsers that ask for a page are sent to the same address over https; everybody else is told.
    """
    target, host = _TARGET.match(rest), _HOST.search(rest)
    if target and host and _PAGE.search(rest):
        place = b"https://" + host[1] + b"/" + target[1]
        head = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: " + place
        return head + b"\r\ncontent-length: 0\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
    request_id = new_request_id()
    words = BadRequest(
        "This port speaks https, and the request came in plain http.",
        next_step="Use the address with https:// that `sightline serve` printed.",
    )
    data = json.dumps(problem_of(words, request_id).body, separators=(",", ":")).encode()
    told = (
        f"HTTP/1.1 400 Bad Request\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(data)}\r\n"
        f"x-request-id: {request_id}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return told.encode() + data
