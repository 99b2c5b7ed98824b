"""A mail server on the loopback: as much SMTP (RFC 5321, 3207, 4954) as a client needs to fail by."""

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket


@dataclass
class Postbox:
    """What arrived, and how the server is to behave."""

    port: int = 0
    tls: ssl.SSLContext | None = None
    """Offers STARTTLS with this certificate."""
    at_once: bool = False
    """Speaks TLS from the first byte (smtps)."""
    refuse: dict[str, bytes] = field(default_factory=dict)
    """First word of a command -> the answer that it gets; ``""``: the greeting."""
    hang: str = ""
    """The command that is never answered."""
    said: list[str] = field(default_factory=list)
    """Every command, passwords and all."""
    letters: list[bytes] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    """Of each letter: whether it came over TLS."""
    over: threading.Event = field(default_factory=threading.Event)


class _Talk(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        box: Postbox = self.server.box  # type: ignore[attr-defined]
        self.safe = False
        try:
            if box.at_once:
                self._encrypt(box)
            self._say(box.refuse.get("", b"220 here"))
            while (line := self.rfile.readline()) and self._answer(box, line.decode().rstrip("\r\n")):
                pass
        except (OSError, ssl.SSLError):
            return  # the client left, or wanted no such certificate

    def finish(self) -> None:
        """Also the end of what was encrypted."""
        super().finish()
        self.connection.close()

    def _answer(self, box: Postbox, line: str) -> bool:
        box.said.append(line)
        word = line.partition(" ")[0].upper()
        if word == box.hang:
            box.over.wait(60)
            return False
        if word in box.refuse:
            self._say(box.refuse[word])
            return not box.refuse[word].startswith(b"421")
        match word:
            case "EHLO":
                offers = ["250-here"]
                offers += ["250-STARTTLS"] if box.tls and not self.safe else []
                self._say("\r\n".join([*offers, "250 AUTH PLAIN LOGIN"]).encode())
            case "STARTTLS":
                self._say(b"220 go on")
                self._encrypt(box)
            case "AUTH":
                box.said.append(base64.b64decode(line.rsplit(" ", maxsplit=1)[-1]).decode())
                self._say(b"235 you are joe")
            case "DATA":
                self._say(b"354 go on")
                self._take(box)
            case "QUIT":
                self._say(b"221 bye")
                return False
            case _:
                self._say(b"250 fine")
        return True

    def _take(self, box: Postbox) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line)
        if answer := box.refuse.get("."):
            self._say(answer)
            return
        box.letters.append(b"".join(lines))
        box.encrypted.append(self.safe)
        self._say(b"250 taken")

    def _encrypt(self, box: Postbox) -> None:
        assert box.tls is not None
        self.rfile.close()
        self.connection: socket.socket = box.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.safe = True

    def _say(self, line: bytes) -> None:
        self.connection.sendall(line + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def postbox(**behaviour: object) -> Iterator[Postbox]:
    """Listen on a free port until the block ends."""
    box = Postbox(**behaviour)  # type: ignore[arg-type]
    with _Server(("127.0.0.1", 0), _Talk) as server:
        server.box = box  # type: ignore[attr-defined]
        box.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield box
        finally:
            box.over.set()
            server.shutdown()
            thread.join(30)
