"""Every kind and mode of picture, upright, in sRGB, within limits."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from sightline.errors import BadOption, InputError, NotAPicture, PictureTooComplex, PictureTooLarge
from sightline.settings import Settings
from sightline.vision import codec

LIMITS = codec.Limits()
KINDS = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WEBP",
    "gif": "GIF",
    "bmp": "BMP",
    "tiff": "TIFF",
    "avif": "AVIF",
}
UNDO = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """Smooth colours with one red corner, different in every direction."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)
    pixels[: height // 4, : width // 4] = (250, 10, 10)
    return Image.fromarray(pixels)


def file_of(image: Image.Image, kind: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, KINDS[kind], **options)
    return target.getvalue()


def turned(image: Image.Image, orientation: int, kind: str, **options: Any) -> bytes:
    """A file that stores the picture turned and says so in EXIF."""
    undo = UNDO[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return file_of(image if undo is None else image.transpose(undo), kind, exif=exif, **options)


def far(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> float:
    return float(np.abs(first.astype(int) - second.astype(int)).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_sniffed_and_decoded(kind: str) -> None:
    data = file_of(scene(), kind)
    assert codec.sniff(data) == kind
    frame = codec.decode(data, LIMITS)
    assert (frame.width, frame.height, frame.pixels.shape) == (96, 64, (64, 96, 3))
    assert far(frame.pixels, np.asarray(scene())) < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "tiff", "webp"])
def test_turned_and_upright_copies_have_identical_pixels(kind: str, orientation: int) -> None:
    options = {"lossless": True} if kind == "webp" else {}
    frame = codec.decode(turned(scene(), orientation, kind, **options), LIMITS)
    assert (frame.width, frame.height) == (96, 64)
    np.testing.assert_array_equal(frame.pixels, np.asarray(scene()))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "avif"])
def test_turned_lossy_copies_stand_upright(kind: str, orientation: int) -> None:
    frame = codec.decode(turned(scene(), orientation, kind), LIMITS)
    assert (frame.width, frame.height) == (96, 64)
    assert far(frame.pixels, np.asarray(scene())) < 6


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("hint", "size"),
    [
        ((800, 600), (800, 600)),
        ((401, 200), (800, 600)),
        ((400, 300), (400, 300)),
        ((100, 75), (100, 75)),
        ((1, 1), (100, 75)),
    ],
)
def test_jpeg_is_decoded_no_larger_than_the_hint_needs(
    orientation: int, hint: tuple[int, int], size: tuple[int, int]
) -> None:
    seen: list[tuple[int, int]] = []

    def ask(width: int, height: int) -> tuple[int, int]:
        seen.append((width, height))
        return hint

    frame = codec.decode(turned(scene(800, 600), orientation, "jpeg"), LIMITS, ask)
    assert (frame.pixels.shape[1], frame.pixels.shape[0]) == size
    assert (frame.width, frame.height) == (800, 600)
    assert seen == [(800, 600)], "the hint is asked for the upright size"


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB", "RGBX"])
def test_modes_without_alpha(mode: str) -> None:
    image = scene().convert("RGB")
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
        assert converted is not None
        expected = image
    else:
        converted = image.convert(mode)
        expected = converted.convert("RGB")
    frame = codec.decode(file_of(converted, "tiff" if mode not in {"1", "P", "L"} else "png"), LIMITS)
    assert far(frame.pixels, np.asarray(expected)) < 3


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_lie_over_white(mode: str) -> None:
    image = Image.new("RGBA", (8, 4), (0, 0, 0, 0))
    image.paste((10, 10, 10, 255), (0, 0, 4, 4))
    data = file_of(image.quantize() if mode == "P" else image.convert(mode), "png")
    pixels = codec.decode(data, LIMITS).pixels
    assert (pixels[:, :4] == 10).all()
    assert (pixels[:, 4:] == 255).all()


@pytest.mark.parametrize("fade", [0, 64, 128, 255])
def test_half_transparent_pixels_mix_with_white(fade: int) -> None:
    data = file_of(Image.new("RGBA", (4, 4), (200, 100, 0, fade)), "png")
    share = fade / 255
    expected = np.array([200, 100, 0]) * share + 255 * (1 - share)
    assert np.abs(codec.decode(data, LIMITS).pixels - expected).max() <= 1


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_are_scaled_not_cut(kind: str) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(1, 256).repeat(4, axis=0)
    pixels = codec.decode(file_of(Image.fromarray(ramp), kind), LIMITS).pixels
    assert np.abs(pixels[0, :, 0].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0, np.nan, -3.0]], np.float32), [0, 128, 255, 0, 0]),
        (np.array([[0.0, 51.0, 255.0]], np.float32), [0, 51, 255]),
        (np.array([[0, 500, 1000]], np.float32), [0, 128, 255]),
        (np.array([[0, 51, 255]], np.int32), [0, 51, 255]),
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
    ],
)
def test_deep_grey_tiffs(values: npt.NDArray[Any], expected: list[int]) -> None:
    pixels = codec.decode(file_of(Image.fromarray(values), "tiff"), LIMITS).pixels
    assert pixels[0, :, 0].tolist() == expected


@pytest.mark.parametrize("orientation", range(1, 9))
def test_large_pictures_are_turned_alike(orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = turned(scene(), orientation, "png")
    expected = codec.decode(data, LIMITS)
    monkeypatch.setattr(codec, "_LARGE_PIXELS", 0)
    monkeypatch.setattr(codec, "_STRIP_PIXELS", 1000)
    got = codec.decode(data, LIMITS)
    np.testing.assert_array_equal(got.pixels, expected.pixels)
    assert (got.width, got.height) == (expected.width, expected.height)


def test_a_foreign_profile_is_converted_and_a_broken_one_ignored() -> None:
    image = Image.new("L", (8, 8), 128)
    xyz = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    plain = codec.decode(file_of(image.convert("RGB"), "png"), LIMITS).pixels
    for profile in (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), b"x" * 500, xyz):
        got = codec.decode(file_of(image.convert("RGB"), "png", icc_profile=profile), LIMITS).pixels
        assert got.shape == plain.shape
        if profile is not xyz:
            np.testing.assert_array_equal(got, plain)


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "lime", "blue")]
    for kind in ("gif", "webp", "png"):
        data = file_of(frames[0], kind, save_all=True, append_images=frames[1:])
        assert far(codec.decode(data, LIMITS).pixels, np.asarray(frames[0])) < 4


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_and_sides_are_limited(kind: str) -> None:
    data = file_of(Image.new("RGB", (200, 100)), kind)
    few = codec.Limits(jpeg_pixels_max=19_999, pixels_max=19_999)
    with pytest.raises(PictureTooLarge, match="megapixels"):
        codec.decode(data, few)
    with pytest.raises(PictureTooLarge, match="200 x 100"):
        codec.decode(data, codec.Limits(side_max=199))
    codec.decode(data, codec.Limits(jpeg_pixels_max=20_000, pixels_max=20_000, side_max=200))


def test_bytes_and_scans_are_limited() -> None:
    data = file_of(scene(), "jpeg", progressive=True)
    with pytest.raises(PictureTooLarge, match="MiB"):
        codec.decode(data, codec.Limits(bytes_max=len(data) - 1))
    with pytest.raises(PictureTooComplex, match="scans"):
        codec.decode(data, codec.Limits(scans_max=2))
    codec.decode(data, codec.Limits(bytes_max=len(data), scans_max=12))


def test_limits_come_from_settings() -> None:
    limits = codec.Limits.of(
        Settings(upload_max_mb=2.0, jpeg_max_mp=3.0, picture_max_mp=1.5, side_max=77, jpeg_scans_max=9)
    )
    assert limits == codec.Limits(2 << 20, 3_000_000, 1_500_000, 77, 9)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf  <?xml version='1.0'?>", "SVG or XML"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"PK\3\4 a zip", "no JPEG"),
        (b"\xff\xd8", "no JPEG"),
        (b"RIFF\0\0\0\0WAVE", "no JPEG"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, words: str) -> None:
    with pytest.raises(NotAPicture, match=words):
        codec.decode(data, LIMITS)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "avif", "bmp"])
def test_a_file_that_is_cut_off_is_refused(kind: str) -> None:
    data = file_of(scene(400, 300), kind)
    with pytest.raises(NotAPicture):
        codec.decode(data[: len(data) // 2], LIMITS)


@given(st.binary(max_size=200), st.sampled_from(list(KINDS)), st.data())
def test_any_bytes_give_a_frame_or_an_input_error(noise: bytes, kind: str, draw: st.DataObject) -> None:
    data = bytearray(file_of(scene(24, 16), kind))
    start = draw.draw(st.integers(0, len(data)))
    data[start : start + len(noise)] = noise
    for bytes_ in (bytes(data), bytes(data[:16]) + noise):
        try:
            codec.decode(bytes_, codec.Limits(pixels_max=10**6, jpeg_pixels_max=10**6))
        except InputError as error:
            assert error.message.endswith(".")  # noqa: PT017 - both ends are right


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/webp"])
def test_encode_and_decode_agree(media_type: str) -> None:
    data = codec.encode(np.asarray(scene()), media_type)
    assert media_type == f"image/{codec.sniff(data)}"
    assert far(codec.decode(data, LIMITS).pixels, np.asarray(scene())) < 6


def test_encode_keeps_nothing_but_pixels() -> None:
    with Image.open(io.BytesIO(file_of(scene(), "jpeg", comment=b"secret", exif=b"Exif\0\0secret"))) as image:
        image.load()
        for media_type in codec.ENCODERS:
            assert b"secret" not in codec.encode_image(image.convert("RGB"), media_type)


def test_encode_refuses_other_types() -> None:
    with pytest.raises(BadOption, match="image/gif"):
        codec.encode(np.zeros((2, 2, 3), np.uint8), "image/gif")


def test_large_pictures_come_out_in_strips_and_equal() -> None:
    image = scene(2048, 1025)
    np.testing.assert_array_equal(codec.pixels_of(image), np.asarray(image))


@pytest.mark.shared
def test_all_demo_photos(photos: Path) -> None:
    files = [path for path in sorted(photos.iterdir()) if path.suffix not in {".csv", ".md"}]
    assert len(files) == 40
    for path in files:
        frame = codec.decode(path.read_bytes(), LIMITS, (200, 200))
        full = codec.decode(path.read_bytes(), LIMITS)
        assert full.pixels.shape == (full.height, full.width, 3)
        assert abs(float(frame.pixels.mean()) - float(full.pixels.mean())) < 2, path.name
