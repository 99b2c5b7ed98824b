"""The decoder as the server uses it."""

import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from sightline.errors import BadOption, Busy, NotAPicture, PictureTooComplex, PictureTooLarge
from sightline.manifest import InputContract
from sightline.sandbox import Pool
from sightline.serving.decoder import Decoder
from sightline.settings import Settings
from sightline.types import Detections, Mask, ModelRef, Result, Segments
from sightline.vision import codec, preprocess, tasks

CONTRACT = InputContract(width=128, height=128, anchor="center")
LIMITS = codec.Limits()


def picture(kind: str, width: int = 640, height: int = 480, orientation: int = 1) -> bytes:
    rng = np.random.default_rng(5)
    small = Image.fromarray(rng.integers(0, 255, (height // 20, width // 20, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a secret place"
    target = io.BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(target, kind, exif=exif)
    return target.getvalue()


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(Settings(decoders=2)) as one:
        yield one


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_child_gives_what_the_same_code_gives_here(decoder: Decoder, kind: str) -> None:
    data = picture(kind, orientation=6)
    got, here = decoder.prepare(data, CONTRACT), tasks.prepare(data, LIMITS, CONTRACT)
    np.testing.assert_array_equal(got.tensor, here.tensor)
    assert got.fit == here.fit
    assert (got.fit.width, got.fit.height) == (480, 640)
    assert got.decode_ms > 0
    assert got.preprocess_ms > 0
    frame = decoder.frame(data)
    np.testing.assert_array_equal(frame.pixels, codec.decode(data, LIMITS).pixels)
    assert decoder.frame(data, (240, 320)).pixels.shape[:2] == ((320, 240) if kind == "JPEG" else (640, 480))


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "crop", "short_side"])
def test_every_way_of_resizing(decoder: Decoder, resize: str) -> None:
    contract = CONTRACT.model_copy(update={"resize": resize})
    data = picture("PNG")
    expected = preprocess.fit(codec.decode(data, LIMITS), contract)
    got = decoder.prepare(data, contract)
    np.testing.assert_array_equal(got.tensor, preprocess.tensor(expected.pixels, contract))
    assert got.fit == expected.fit


def test_turned_and_upright_copies_give_the_same_input(decoder: Decoder) -> None:
    upright = codec.decode(picture("PNG"), LIMITS).pixels
    expected = decoder.prepare(codec.encode(upright, "image/png"), CONTRACT)
    for orientation, turn in [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90)]:
        exif = Image.Exif()
        exif[0x0112] = orientation
        target = io.BytesIO()
        Image.fromarray(upright).transpose(turn).save(target, "PNG", exif=exif)
        turned = decoder.prepare(target.getvalue(), CONTRACT)
        np.testing.assert_array_equal(turned.tensor, expected.tensor)
        assert turned.fit == expected.fit


def test_many_threads_get_their_own_answers(decoder: Decoder) -> None:
    files = [picture("PNG", 100 + 20 * i, 100) for i in range(10)]
    with ThreadPoolExecutor(8) as threads:
        frames = list(threads.map(lambda i: decoder.frame(files[i % 10]), range(80)))
    assert [frame.width for frame in frames] == [100 + 20 * (i % 10) for i in range(80)]


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/jpeg"), ("TIFF", "image/png")],
)
def test_clean_copies_stand_upright_and_say_nothing(decoder: Decoder, kind: str, media_type: str) -> None:
    data = picture(kind, orientation=8)
    assert b"secret" in data
    clean = decoder.clean(data)
    assert (clean.width, clean.height, clean.media_type) == (480, 640, media_type)
    assert b"secret" not in clean.data
    assert b"Exif" not in clean.data
    again = codec.decode(clean.data, LIMITS)
    assert again.pixels.shape == (640, 480, 3)
    assert np.abs(again.pixels.astype(int) - codec.decode(data, LIMITS).pixels).mean() < 4


@pytest.mark.parametrize(
    ("size", "expected"), [((640, 480), (160, 120)), ((60, 90), (60, 90)), ((4000, 1), (160, 1))]
)
def test_thumbnails(decoder: Decoder, size: tuple[int, int], expected: tuple[int, int]) -> None:
    target = io.BytesIO()
    Image.new("RGB", size, "teal").save(target, "JPEG")
    small = codec.decode(decoder.thumbnail(target.getvalue(), 160), LIMITS)
    assert (small.width, small.height) == expected
    assert np.abs(small.pixels.mean(axis=(0, 1)) - [0, 128, 128]).max() < 4


def test_drawing(decoder: Decoder) -> None:
    found = Detections(np.array([[40, 60, 400, 300]], np.float32), np.array([0.9], np.float32), np.array([2]))
    model = ModelRef("m", "1", "sha256:" + "0" * 64)
    result = Result("1", "", model, "detect", 640, 480, ("a", "b", "c"), found)
    for media_type in codec.ENCODERS:
        drawn = codec.decode(decoder.draw(picture("JPEG"), result, media_type), LIMITS)
        assert np.abs(drawn.pixels[200, 40].astype(int) - (0, 158, 115)).max() < 40
    with pytest.raises(BadOption, match="image/gif"):
        decoder.draw(picture("JPEG"), result, "image/gif")


def test_refusals(decoder: Decoder) -> None:
    with pytest.raises(NotAPicture):
        decoder.prepare(b"hello", CONTRACT)
    with pytest.raises(NotAPicture, match="cut off"):
        decoder.prepare(picture("JPEG")[:3000], CONTRACT)
    with Decoder(Settings(upload_max_mb=0.001, decoders=1)) as strict, pytest.raises(PictureTooLarge):
        strict.prepare(b"\xff\xd8\xff" * 1000, CONTRACT)


def test_memory_is_limited() -> None:
    data = picture("JPEG", 6000, 4000)
    with Decoder(Settings(decoders=1, decode_memory_mb=64)) as small:
        assert small.prepare(data, CONTRACT).fit.width == 6000, "the scaled decode needs little"
        with pytest.raises(PictureTooComplex, match="memory"):
            small.frame(data)
        assert small.prepare(data, CONTRACT).fit.width == 6000


def test_two_pictures_worth_of_memory_turn_convert_and_draw_one() -> None:
    """As 512 MB, the default, are for a JPEG of 64 megapixels with an orientation and a colour profile."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    foreign = profile.replace("sRGB".encode("utf-16-be"), "eRGB".encode("utf-16-be"))
    exif = Image.Exif()
    exif[0x0112] = 6
    target = io.BytesIO()
    small = np.random.default_rng(3).integers(0, 255, (26, 35, 3), dtype=np.uint8)
    Image.fromarray(small).resize((3500, 2600)).save(target, "JPEG", exif=exif, icc_profile=foreign)
    whole = Mask(np.ones((3500, 2600), np.bool_), 0, 0)
    box = Detections(
        np.array([[0, 0, 2600, 3500]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)
    )
    model = ModelRef("m", "1", "sha256:" + "0" * 64)
    result = Result("1", "", model, "segment", 2600, 3500, ("a",), Segments(box, (whole,)))
    with Decoder(Settings(decoders=1, decode_memory_mb=96)) as decoder:
        clean = decoder.clean(target.getvalue())
        assert (clean.width, clean.height) == (2600, 3500)
        drawn = codec.open_rgb(decoder.draw(target.getvalue(), result, "image/jpeg"), LIMITS).size
        assert drawn == (2600, 3500)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS])
def test_a_child_that_dies_of_a_picture_is_a_refusal_and_the_next_picture_is_answered(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = picture("PNG")
    sent, wait = threading.Event(), Pool._await

    def awaited(*args: Any) -> Any:
        sent.set()
        return wait(*args)

    with Decoder(Settings(decoders=1)) as decoder, ThreadPoolExecutor(1) as threads:
        pid = decoder._pool.call(os.getpid)
        os.kill(pid, signal.SIGSTOP)
        monkeypatch.setattr(Pool, "_await", awaited)
        asked = threads.submit(decoder.prepare, data, CONTRACT)
        assert sent.wait(30), "the child has not been given the picture"
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)
        with pytest.raises(PictureTooComplex, match=signal.Signals(number).name):
            asked.result(10)
        assert decoder.prepare(data, CONTRACT).fit.width == 640


def test_a_child_that_hangs_is_killed_in_time() -> None:
    with Decoder(Settings(decoders=1, decode_wall_s=0.5)) as decoder:
        os.kill(decoder._pool.call(os.getpid), signal.SIGSTOP)
        started = time.perf_counter()
        with pytest.raises(PictureTooComplex, match="longer"):
            decoder.prepare(picture("PNG"), CONTRACT)
        assert time.perf_counter() - started < 60
        assert decoder.prepare(picture("PNG"), CONTRACT).fit.width == 640


def test_a_closed_decoder_says_so() -> None:
    decoder = Decoder(Settings(decoders=1))
    decoder.close()
    with pytest.raises(Busy):
        decoder.prepare(picture("PNG"), CONTRACT)
