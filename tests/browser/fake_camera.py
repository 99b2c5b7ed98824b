"""A camera for Chromium, made of the sample pictures."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser
from tests.browser.serving import running_chromium

SIZE: Final = (640, 480)
FAKE: Final = ("--use-fake-device-for-media-stream", "--mute-audio")
ALLOW: Final = "--use-fake-ui-for-media-stream"


def _frame(picture: Image.Image, step: float) -> bytes:
    """A part of the picture that wanders to the right and back with ``step`` (0 to 1), as JPEG."""
    width, height = SIZE
    scale = max(width * 1.08 / picture.width, height / picture.height)
    large = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    left = round(abs(1 - 2 * step) * (large.width - width))
    top = (large.height - height) // 2
    file = io.BytesIO()
    large.crop((left, top, left + width, top + height)).save(file, "JPEG", quality=85)
    return file.getvalue()


def film(target: Path, *pictures: Path, frames: int = 60) -> Path:
    """A film that Chromium plays for ever as a camera, each sample for ``frames`` of its pictures."""
    with target.open("wb") as file:
        for path in pictures:
            with Image.open(path) as opened:
                picture = opened.convert("RGB")
            for number in range(frames):
                file.write(_frame(picture, number / frames))
    return target


def still(target: Path, picture: Path) -> Path:
    """A film in which nothing moves."""
    with Image.open(picture) as opened:
        target.write_bytes(_frame(opened.convert("RGB"), 0.0) * 4)
    return target


@contextmanager
def with_camera(film_path: Path, *options: str) -> Iterator[Browser]:
    """A Chromium that sees the film, and whose user always says yes."""
    with running_chromium(
        *FAKE, ALLOW, f"--use-file-for-fake-video-capture={film_path}", *options
    ) as browser:
        yield browser
