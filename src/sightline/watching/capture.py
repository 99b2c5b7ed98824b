"""Frames through OpenCV, in a child that can be killed: devices, RTSP over TCP, video files.

The only reader that knows ``cv2.VideoCapture``. Demuxers and decoders work on bytes of strangers, and a
camera that hangs hangs inside them; so they run in a child of ``sightline.sandbox.Stream``, which gets one
source, may open nothing else, and gives pixels. A live source is read all the time and the newest frame is
handed out when one is asked for; a file is read frame by frame, one ahead.

The child of a file inherits the open file and may open one descriptor, which is that file again: a play
list inside it cannot name others. OpenCV turns frames upright where the file says how.
"""

import importlib
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from sightline.errors import (
    ConfigError,
    FetchRefused,
    NotAPicture,
    PictureTooLarge,
    SightlineError,
    how_to_add,
)
from sightline.sandbox import ChildDied, ChildTimeout, Over, Stream
from sightline.settings import Settings
from sightline.types import Frame, UInt8
from sightline.watching.shot import Shot
from sightline.watching.source import Source

_MEMORY_MB: Final = 1536
"""A 4K video with 16 reference frames takes 500 MB; the newest codecs keep more."""
_GRACE_S: Final = 3.0
"""The child is given this much longer than its own library, which can say what was wrong."""
_SAME_S: Final = 1e-6
_SPARE: Final = {"file": 1, "device": 4, "rtsp": 16}
"""Descriptors that the child may open: the file; the device; sockets, and what resolving a name takes."""
_FORMATS: Final = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,ogg,flv,gif,asf,mjpeg,h264,hevc,m4v,mxf,ivf,obu,apng"
)
"""Demuxers for files; none of those that fetch further files (HLS, DASH, concat)."""
_RTSP: Final = (
    "rtsp_transport;tcp|protocol_whitelist;rtsp,rtsps,tcp,tls,rtp,srtp,crypto|allowed_media_types;video"
)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a source may take."""

    open_s: float = 20.0
    """To be open."""
    read_s: float = 15.0
    """For any frame."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What a source says about itself; zeros where it says nothing."""

    width: int = 0
    height: int = 0
    fps: float = 0.0
    frames: int = 0


_PATIENCE: Final = Patience()


@dataclass(frozen=True, slots=True)
class Order:
    """What the child opens."""

    kind: str
    place: str = field(repr=False)
    pixels_max: int
    side_max: int
    pace_s: float = 0.0
    """Of files: seconds between two frames that are given; 0: all are."""
    patience: Patience = _PATIENCE


def need_video() -> None:
    """Say what to install before an import fails in the middle.

    Raises:
        ConfigError: OpenCV is not there.
    """
    if find_spec("cv2") is None:
        raise ConfigError(
            "Cameras of this machine, RTSP and video files take OpenCV, which the core install leaves out.",
            next_step=how_to_add("video") + " Cameras that send MJPEG over http:// need no OpenCV.",
        )


class Capture:
    """A device, an RTSP camera or a video file that is open (see `sightline.watching.shot.Eye`)."""

    def __init__(
        self, source: Source, settings: Settings, pace_s: float = 0.0, patience: Patience = _PATIENCE
    ) -> None:
        """Start the child; what it says about the source is known after `about` or the first `look`.

        Args:
            source: Anything but an address of the web.
            settings: For the limits of pictures.
            pace_s: Of files, seconds of the video between two frames that are given; 0: all are.
            patience: How long it may take.

        Raises:
            ConfigError: OpenCV is not installed.
            NotAPicture: The file cannot be opened.
        """
        need_video()
        self._source, self._patience = source, patience
        self._began = time.monotonic()
        self._clip: Clip | None = None
        files = [_opened(source)] if source.kind == "file" else []
        place = f"/proc/self/fd/{files[0]}" if files else source.full
        limits = (int(settings.jpeg_max_mp * 1e6), settings.side_max)
        order = Order(source.kind, place, *limits, pace_s, patience)
        try:
            self._child = Stream(frames, order, memory_mb=_MEMORY_MB, spare=_SPARE[source.kind], files=files)
        finally:
            for handle in files:
                os.close(handle)

    def about(self) -> Clip:
        """What the source says about itself.

        Raises:
            SightlineError: It cannot be opened.
        """
        if self._clip is None:
            self._clip = Clip(*self._ask(self._patience.open_s + _GRACE_S))
        return self._clip

    def look(self) -> Shot | None:
        """The next frame of a file (``None`` after the last), the newest of anything else.

        Raises:
            NotAPicture: The file has no pictures that can be read.
            PictureTooLarge: Its frames are over the limits for pictures.
            FetchRefused: The camera is lost.
        """
        self.about()
        try:
            pixels, index, time_s = self._ask(self._patience.read_s + _GRACE_S)
        except Over:
            return None
        now = time.time()
        if self._source.live:
            time_s = time.monotonic() - self._began
        return Shot(Frame(pixels, pixels.shape[1], pixels.shape[0], index, time_s), index, time_s, now)

    def close(self) -> None:
        """End the child."""
        self._child.close()

    def _ask(self, wait_s: float) -> Any:
        try:
            return self._child.next(wait_s)
        except ChildTimeout as error:
            raise _lost(self._source, f"gave nothing for {wait_s:.0f} s") from error
        except ChildDied as error:
            raise _lost(self._source, f"broke its reader ({error.message.rstrip('.')})") from error


def _opened(source: Source) -> int:
    try:
        return os.open(source.address, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotAPicture(f"{source.shown} cannot be read: {error.strerror}.") from error


def _lost(source: Source, how: str) -> SightlineError:
    if source.kind == "file":
        return NotAPicture(
            f"The video {source.shown} {how}.", next_step="Check that it plays; convert it to MP4 or WebM."
        )
    return FetchRefused(f"The camera {source.shown} {how}.", next_step="Check that it is on and its address.")


# What follows runs in the child.


def frames(asked: Callable[[], bool], order: Order) -> Iterator[Any]:
    """Give what the source says of itself, then ``(pixels (h, w, 3) uint8 RGB, index, seconds)``.

    Raises:
        NotAPicture, PictureTooLarge, FetchRefused: As `Capture.look`.
    """
    os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
    files = f"protocol_whitelist;file,pipe|format_whitelist;{_FORMATS}"
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = files if order.kind == "file" else _RTSP
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    yield None
    capture = _open(cv2, order)
    clip = _about(cv2, capture)
    _check(clip.width, clip.height, order)
    yield clip.width, clip.height, clip.fps, clip.frames
    read = _every(cv2, capture, clip, order.pace_s) if order.kind == "file" else _newest(capture, asked)
    for pixels, index, time_s in read:
        _check(pixels.shape[1], pixels.shape[0], order)
        yield cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), index, time_s


def _open(cv2: Any, order: Order) -> Any:
    if order.kind == "device":
        capture = cv2.VideoCapture(order.place, cv2.CAP_V4L2)
    else:
        ways = [cv2.CAP_PROP_N_THREADS, 1]  # no thread may be started here
        if order.kind == "rtsp":
            ways += [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(order.patience.open_s * 1e3)]
            ways += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(order.patience.read_s * 1e3)]
        capture = cv2.VideoCapture(order.place, cv2.CAP_FFMPEG, ways)
    if capture.isOpened():
        return capture
    if order.kind == "file":
        raise NotAPicture(
            "The file is no video that can be read.",
            next_step="Check that it plays; convert it to MP4 or WebM.",
        )
    if order.kind == "device":
        raise FetchRefused(
            "The camera cannot be opened: another program uses it, or this user may not (group `video`).",
            next_step="Close the other program, or add the user to the group.",
        )
    raise FetchRefused(
        "The camera does not answer as an RTSP camera should, or refuses this name and password.",
        next_step="Try the same address in a video player.",
    )


def _every(cv2: Any, capture: Any, clip: Clip, pace_s: float) -> Iterator[tuple[UInt8, int, float]]:
    """The frames in their order, with the file's own times where it has them; only those wanted are
    unpacked.
    """
    index, before, due = 0, -1.0, 0.0
    while capture.grab():
        told = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        even = index / clip.fps if clip.fps else float(index)
        time_s = told if math.isfinite(told) and told > before and told >= 0 else max(even, before)
        before = time_s
        if time_s >= due - _SAME_S:
            good, pixels = capture.retrieve()
            if not good:
                break
            yield np.asarray(pixels), index, time_s
            due = pace_s * (math.floor(time_s / pace_s + _SAME_S) + 1) if pace_s else 0.0
        index += 1
    if index == 0:
        raise NotAPicture("The video has no frame that can be read.", next_step="Check that it plays.")


def _newest(capture: Any, asked: Callable[[], bool]) -> Iterator[tuple[UInt8, int, float]]:
    """Read all the time, so that nothing old piles up; unpack only what somebody waits for."""
    index = 0
    while capture.grab():
        if asked():
            good, pixels = capture.retrieve()
            if not good:
                break
            yield np.asarray(pixels), index, 0.0
        index += 1
    raise FetchRefused(
        "The camera's stream broke off.", next_step="It is opened again if it is being watched."
    )


def _number(capture: Any, cv2: Any, name: str) -> int:
    value = capture.get(getattr(cv2, f"CAP_PROP_{name}"))
    return int(value) if math.isfinite(value) and 0 <= value < 1 << 31 else 0


def _about(cv2: Any, capture: Any) -> Clip:
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    sane = math.isfinite(fps) and 0 < fps <= 1000
    width, height, count = (
        _number(capture, cv2, name) for name in ("FRAME_WIDTH", "FRAME_HEIGHT", "FRAME_COUNT")
    )
    return Clip(width, height, fps if sane else 0.0, count)


def _check(width: int, height: int, order: Order) -> None:
    if max(width, height) > order.side_max or width * height > order.pixels_max:
        raise PictureTooLarge(
            f"The frames have {width} x {height} pixels, which is over the limits for pictures."
        )
