"""A progress bar on standard error, for people only: silent when nobody is watching."""

import shutil
import sys
import time
from typing import TextIO

from sightline.cli.terminal import duration, size

_CLEAR = "\r\x1b[K"
_EVERY_S = 0.1


class Progress:
    """``step`` counts; ``pause`` takes the bar away so that something else may be printed."""

    def __init__(self, total: int, *, unit: str = "pictures", stream: TextIO | None = None) -> None:
        self.total = total
        self.unit = unit
        self.stream = stream or sys.stderr
        self.shown = self.stream.isatty() and total != 1
        self.done = 0
        self._began = time.monotonic()
        self._drawn = 0.0

    def step(self, count: int = 1) -> None:
        """Count ``count`` more as done."""
        self.to(self.done + count)

    def to(self, done: int, total: int | None = None) -> None:
        """Say how far it is; downloads know their total late."""
        self.done, self.total = done, total or self.total
        now = time.monotonic()
        if self.shown and (now - self._drawn > _EVERY_S or self.done == self.total):
            self._drawn = now
            self.stream.write(_CLEAR + self.line(now - self._began))
            self.stream.flush()

    def pause(self) -> None:
        """Take the bar away; the next step draws it again."""
        if self.shown and self._drawn:
            self.stream.write(_CLEAR)
            self.stream.flush()
            self._drawn = 0.0

    def line(self, elapsed_s: float) -> str:
        """``[#######.....]  412/2000 pictures  96/s  17 s left``."""
        share = self.done / max(1, self.total)
        rate = self.done / max(1e-9, elapsed_s)
        left = duration((self.total - self.done) / rate) if rate > 0 else "?"
        if self.unit == "bytes":
            counts = f"{size(self.done)} of {size(self.total)}  {size(rate)}/s"
        else:
            counts = f"{self.done}/{self.total} {self.unit}  {rate:.1f}/s"
        text = f"  {counts}  {left} left"
        width = max(0, min(40, shutil.get_terminal_size().columns - len(text) - 3))
        filled = round(width * share)
        return f"[{'#' * filled}{'.' * (width - filled)}]{text}" if width >= 5 else text.strip()
