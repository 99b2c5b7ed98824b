"""A source -> an eye that is open. Which reader takes it is decided here, once."""

from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from sightline.errors import FetchRefused, NotFound
from sightline.outbound.address import allow_list
from sightline.outbound.post import check_address
from sightline.settings import Settings
from sightline.watching.capture import Capture
from sightline.watching.http_camera import HttpCamera, typed
from sightline.watching.shot import Eye
from sightline.watching.source import Source, need_device

Opener: TypeAlias = Callable[[Source, float], Eye]
"""Takes the source and the pace: of a file, seconds of the video between two frames that are wanted (0:
all)."""


def for_this_terminal(settings: Settings) -> Opener:
    """Opens whatever the person at this machine typed, on the local network too."""

    def opened(source: Source, pace_s: float) -> Eye:
        return _opened(source, settings, pace_s, typed(source) if source.kind == "http" else frozenset())

    return opened


def _opened(source: Source, settings: Settings, pace_s: float, also: frozenset[str] = frozenset()) -> Eye:
    """``also``: the web cameras that may be opened wherever they are, besides what the operator allows."""
    if source.kind == "http":
        return HttpCamera(source, settings, also | allow_list(settings.fetch_allow))
    if source.kind == "device":
        _there(source.address)
    return Capture(source, settings, pace_s)


def _there(device: str) -> None:
    """A camera that is not there (any more) may come: it is lost, not wrong."""
    try:
        need_device(device)
    except NotFound as error:
        raise FetchRefused(error.message, next_step=error.next_step) from error


_RTSP_PORTS: Final = {"rtsp": 554, "rtsps": 322}


def for_strangers(settings: Settings) -> Opener:
    """Opens what a request over HTTP named: public web cameras, and else only what the operator allows."""

    def opened(source: Source, pace_s: float) -> Eye:
        check(source, settings)
        return _opened(source, settings, pace_s)

    return opened


def check(source: Source, settings: Settings) -> None:
    """Refuse what a request may not name. OpenCV follows an RTSP redirect to wherever the camera says, so
    only cameras that the operator trusts are opened; and the cameras and files of this machine are its
    owner's.

    Raises:
        FetchRefused: The operator has not listed it in ``fetch_allow``. Names of web cameras are looked up,
            and judged, when they are opened.
    """
    allowed = allow_list(settings.fetch_allow)
    if source.kind == "http":
        check_address(source.address, settings)
    if source.kind == "rtsp":
        parts = urlsplit(source.address)
        host = (parts.hostname or "").lower()
        host = f"[{host}]" if ":" in host else host
        usual = _RTSP_PORTS[parts.scheme]
        port = parts.port or usual
        if f"{host}:{port}" in allowed or (port == usual and host in allowed):
            return
        wanted = host if port == usual else f"{host}:{port}"
        raise FetchRefused(
            f"This server opens no camera at {wanted}.", next_step=f"List {wanted} in `fetch_allow`."
        )
    if source.kind == "file" or (source.kind == "device" and source.address not in allowed):
        raise FetchRefused(
            f"This server opens no {source.kind} of its own machine for a request.",
            next_step="Use `sightline watch` there"
            + (f", or list {source.address} in `fetch_allow`." if source.kind == "device" else "."),
        )
