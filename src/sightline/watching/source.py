"""What a person typed -> a source. Passwords go to the camera and nowhere else."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from sightline.errors import BadOption, NotFound

Kind: TypeAlias = Literal["device", "rtsp", "http", "file"]
_ADDRESS: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_KINDS: Final[dict[str, Kind]] = {"rtsp": "rtsp", "rtsps": "rtsp", "http": "http", "https": "http"}
_DEVICE: Final = re.compile(r"[0-9]{1,3}|/dev/video[0-9]{1,3}")
ADDRESS_MAX: Final = 2000


@dataclass(frozen=True, slots=True)
class Login:
    """Name and password of a camera; they never show."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Where pictures come from."""

    kind: Kind
    shown: str
    """For people, logs and records: the address without name, password and query."""
    address: str = field(repr=False)
    """A number or path of a device, an address without name and password, or the path of a file."""
    login: Login | None = field(default=None, repr=False)

    @property
    def live(self) -> bool:
        """Whether it goes on by itself: its newest picture is the one that counts."""
        return self.kind != "file"

    @property
    def full(self) -> str:
        """The address with name and password, as a camera's protocol wants it. Never print it."""
        if self.login is None:
            return self.address
        parts = urlsplit(self.address)
        return urlunsplit(parts._replace(netloc=f"{_quoted(self.login)}@{parts.netloc}"))


def parse(word: str, *, later: bool = False) -> Source:
    """A device (``0``, ``/dev/video2``), an address (``rtsp://…``, ``http://…``), or a video file.

    ``later``: a device need not be there yet.

    Raises:
        BadOption: An address of another kind, or without a host.
        NotFound: No such file or device.
    """
    found = _ADDRESS.match(word)
    if found:
        return _address(word, found["scheme"].lower())
    if _DEVICE.fullmatch(word) and not (word.isdigit() and Path(word).exists()):
        device = word if word.startswith("/") else f"/dev/video{word}"
        if not later:
            need_device(device)
        return Source("device", device, device)
    path = Path(word)
    if not path.exists():
        raise NotFound(f"There is no file {word[:200]}.", next_step="Check the name.")
    if not path.is_file():
        raise BadOption(
            f"{word[:200]} is not a file.",
            next_step="Watch a video file, a camera (`0`, /dev/video0) or an address (rtsp://…, http://…).",
        )
    return Source("file", word, str(path.resolve()))


def need_device(device: str) -> None:
    """Say that a camera is not there.

    Raises:
        NotFound: There is no such device.
    """
    if not Path(device).exists():
        raise NotFound(f"There is no camera {device} on this machine.", next_step=_cameras())


def _address(word: str, scheme: str) -> Source:
    """The text after the scheme is split once, here; nobody parses it again but whoever connects."""
    kind = _KINDS.get(scheme)
    if kind is None:
        raise BadOption(
            f"Sightline does not watch {scheme}:// addresses.",
            next_step="Cameras speak rtsp:// or rtsps://, or send MJPEG or JPEG over http:// or https://.",
        )
    try:
        parts = urlsplit(word)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise BadOption("The address of the camera cannot be read.", next_step=_LOOKS) from error
    bad = len(word) > ADDRESS_MAX or not word.isprintable() or " " in word or "\\" in word
    if not host or bad:
        raise BadOption("The address of the camera cannot be read.", next_step=_LOOKS)
    place = parts.netloc.rpartition("@")[2]
    login = None
    if "@" in parts.netloc:
        login = Login(unquote(parts.username or ""), unquote(parts.password or ""))
    hidden = "?…" if parts.query else ""  # cameras take passwords there too
    shown = f"{scheme}://{place}{parts.path}{hidden}"
    plain = urlunsplit((scheme, place, parts.path, parts.query, ""))
    return Source(kind, shown, plain, login)


_LOOKS: Final = "It looks like rtsp://name:password@host:554/path; write special signs as %20 and so on."


def _quoted(login: Login) -> str:
    return f"{quote(login.user, safe='')}:{quote(login.password, safe='')}"


def _cameras() -> str:
    found = sorted(str(path) for path in Path("/dev").glob("video[0-9]*"))
    return f"It has {', '.join(found)}." if found else "It has none: connect one, or watch a network camera."
