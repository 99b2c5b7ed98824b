"""Cameras that send MJPEG or a JPEG over HTTP. No OpenCV: the JPEG files take the road as they are.

A thread reads the stream all the time and keeps the newest picture. A camera that answers with a single
picture is asked again for each one.
"""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sightline.errors import FetchRefused, SightlineError
from sightline.outbound import Stream, open_stream
from sightline.outbound.address import parse
from sightline.settings import Settings
from sightline.watching import login
from sightline.watching.mjpeg import Parts, boundary_of
from sightline.watching.shot import Shot
from sightline.watching.source import Source

WAIT_S: Final = 15.0
"""Seconds that the camera may be silent."""


def typed(source: Source) -> frozenset[str]:
    """The allow-list for an address that the person at this terminal typed: its own host and port, wherever
    it is.

    Raises:
        FetchRefused: The address is none.
    """
    target = parse(source.address)
    host = f"[{target.host}]" if ":" in target.host else target.host
    return frozenset({f"{host}:{target.port}"})


class HttpCamera:
    """See `sightline.watching.shot.Eye`."""

    def __init__(self, source: Source, settings: Settings, allowed: frozenset[str]) -> None:
        """Begin to read.

        Args:
            source: Of kind ``http``.
            settings: For the limit of a picture's bytes.
            allowed: Private hosts that may be opened, see `sightline.outbound`.
        """
        self._source, self._allowed = source, allowed
        self._most = int(settings.upload_max_mb * (1 << 20))
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self._newest: tuple[bytes, int, float] | None = None
        self._count = 0
        self._error: SightlineError | None = None
        self._still = False
        self._closed = False
        self._challenge = ""
        threading.Thread(target=self._read, name="camera", daemon=True).start()

    def look(self) -> Shot:
        """The newest picture that was not given yet; waits for it.

        Raises:
            FetchRefused: The camera is lost, silent, or sends something else.
        """
        with self._changed:
            again = self._still and self._newest is None and self._error is None
        if again:
            self._ask_again()
        with self._changed:
            ready = self._changed.wait_for(lambda: self._newest or self._error or self._closed, 2 * WAIT_S)
            if self._newest is not None:
                (data, index, taken), self._newest = self._newest, None
                return Shot(data, index, time.monotonic() - self._began, taken)
        if self._error is not None:
            raise self._error
        how = "was closed" if ready else "sent no picture"
        raise FetchRefused(f"The camera {self._source.shown} {how}.", next_step="Check that it is on.")

    def close(self) -> None:
        """Stop reading; the connection ends with the next bytes, or when it has been silent too long."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _read(self) -> None:
        self._guarded(self._stream)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Every end of the connection is an error for whoever looks next."""
        try:
            work()
        except SightlineError as error:
            self._fail(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._fail(FetchRefused(f"The camera's stream broke ({type(error).__name__})."))

    def _stream(self) -> None:
        with self._opened() as answer:
            kind = answer.headers.get("content-type", "")
            if kind.lower().startswith("image/"):
                self._give(self._whole(answer))
                with self._changed:
                    self._still = True
                return
            parts = Parts(boundary_of(kind), most=self._most)
            for chunk in answer.chunks():
                for part in parts.feed(chunk):
                    self._give(part)
                if self._closed:
                    return
        raise FetchRefused("The camera's stream ended.", next_step="A watch opens it again by itself.")

    def _ask_again(self) -> None:
        def again() -> None:
            with self._opened() as answer:
                self._give(self._whole(answer))

        self._guarded(again)

    @contextmanager
    def _opened(self) -> Iterator[Stream]:
        """The camera's answer; asked a second time with name and password if it wants them."""
        address = self._source.address
        for first in (True, False):
            headers = {"Accept": "multipart/x-mixed-replace, image/jpeg"}
            if self._challenge:
                path = parse(address).path
                headers["Authorization"] = login.answer(self._challenge, self._source.login, path)
            with open_stream(address, headers=headers, allowed=self._allowed, idle_s=WAIT_S) as answer:
                if answer.status == http.client.OK:
                    yield answer
                    return
                if answer.status == http.client.UNAUTHORIZED and first:
                    self._challenge = answer.headers.get("www-authenticate", "")
                    continue
                raise _refused(answer.status)

    def _whole(self, answer: Stream) -> bytes:
        data = bytearray()
        for chunk in answer.chunks():
            data += chunk
            if len(data) > self._most:
                raise FetchRefused(f"A picture of the camera has more than {self._most >> 20} MiB.")
        return bytes(data)

    def _give(self, data: bytes) -> None:
        with self._changed:
            self._newest = (data, self._count, time.time())
            self._count += 1
            self._changed.notify_all()

    def _fail(self, error: SightlineError) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()


def _refused(status: int) -> FetchRefused:
    if status == http.client.UNAUTHORIZED:
        return FetchRefused("The camera refuses this name and password.", next_step="Check both.")
    return FetchRefused(f"The camera answered {status} instead of pictures.", next_step="Check its address.")
