"""Frames -> a film that browsers play: VP8 in WebM, the only such pair that this OpenCV writes without GPL
parts.

H.264 would need x264 (GPL) or a device; VP9 is written at a third of VP8's speed. OpenCV gives no way to
tell the encoder its speed or bit rate (opencv issue 24570), so the film is made smaller instead: ``SIDE``
pixels. A thread of its own writes, so that encoding and looking go on side by side.
"""

import importlib
import queue
import threading
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from PIL import Image

from sightline.errors import SightlineError
from sightline.types import UInt8
from sightline.watching.capture import need_video

MEDIA_TYPE: Final = "video/webm"
SIDE: Final = 720
"""Longest side of a film's frames, unless asked otherwise."""
_AHEAD: Final = 4
"""Frames that may wait to be written."""
_FPS: Final = 25.0


def fitted(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height with the longer one at most ``side``; both even, as VP8's half-size colours want
    them.
    """
    scale = min(1.0, side / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


class Film:
    """Takes frames of one size in their order; a context that ends the file."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        """Begin the file.

        Raises:
            ConfigError: OpenCV is not installed.
            SightlineError: This OpenCV cannot write the film.
        """
        need_video()
        cv2: Any = importlib.import_module("cv2")
        self._cv2, self.size = cv2, size
        cv2.setNumThreads(1)  # frames are small, and others look at pictures meanwhile
        # OpenCV prints on standard error that the container knows no tag; it writes the right codec.
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self._writer = cv2.VideoWriter(
            str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"VP80"), fps or _FPS, size
        )
        cv2.utils.logging.setLogLevel(level)
        if not self._writer.isOpened():
            raise SightlineError(f"The film {path.name} cannot be written: this OpenCV has no VP8 encoder.")
        self._line: queue.Queue[UInt8 | None] = queue.Queue(_AHEAD)
        self._broken: Exception | None = None
        self._thread = threading.Thread(target=self._write, name="film", daemon=True)
        self._thread.start()

    def add(self, pixels: UInt8) -> None:
        """(h, w, 3) RGB of the film's shape, or of another size of the same picture.

        Raises:
            SightlineError: Writing failed.
        """
        if self._broken is not None:
            raise SightlineError(f"The film could not be written: {self._broken}.") from self._broken
        self._line.put(pixels)

    def close(self) -> None:
        """Write what waits, and end the file."""
        if self._thread.is_alive():
            self._line.put(None)
            self._thread.join()
        self._writer.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self) -> None:
        while (pixels := self._line.get()) is not None:
            if self._broken is not None:
                continue  # whoever adds is not kept waiting
            try:
                self._writer.write(self._bgr(pixels))
            except Exception as error:  # noqa: BLE001 - said by `add`
                self._broken = error

    def _bgr(self, pixels: UInt8) -> UInt8:
        if (pixels.shape[1], pixels.shape[0]) != self.size:
            pixels = np.asarray(Image.fromarray(pixels).resize(self.size, Image.Resampling.BILINEAR))
        turned: UInt8 = self._cv2.cvtColor(pixels, self._cv2.COLOR_RGB2BGR)
        return turned
