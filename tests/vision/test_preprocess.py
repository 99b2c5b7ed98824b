"""Resizing is invertible, and the tensor is what the contract says."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sightline.errors import BadOption
from sightline.manifest import InputContract
from sightline.types import Frame, Prepared
from sightline.vision import codec, preprocess, tasks

RESIZES = ("letterbox", "stretch", "crop", "short_side")


def contract(**changes: Any) -> InputContract:
    return InputContract(**({"width": 64, "height": 48} | changes))


def frame(width: int, height: int, value: int = 200) -> Frame:
    return Frame(np.full((height, width, 3), value, np.uint8), width, height)


contracts = st.builds(
    contract,
    width=st.integers(8, 96),
    height=st.integers(8, 96),
    resize=st.sampled_from(RESIZES),
    anchor=st.sampled_from(["top_left", "center"]),
    crop_fraction=st.sampled_from([1.0, 0.875]),
    short_side=st.integers(8, 96),
    multiple_of=st.sampled_from([1, 8]),
)
sides = st.integers(1, 300)


@given(contracts, sides, sides)
def test_fit_then_unfit_is_the_identity_for_boxes_that_are_seen(
    one: InputContract, width: int, height: int
) -> None:
    fit = preprocess.fit(frame(width, height), one).fit
    box = np.array([[0.2 * width, 0.3 * height, 0.7 * width, 0.9 * height]], np.float32)
    assert np.allclose(fit.to_original(fit.to_canvas(box)), box, atol=0.02)


@given(contracts, sides, sides)
def test_the_canvas_has_the_size_that_the_record_says(one: InputContract, width: int, height: int) -> None:
    canvas = preprocess.fit(frame(width, height), one)
    assert canvas.pixels.shape == (canvas.fit.canvas_height, canvas.fit.canvas_width, 3)
    assert canvas.pixels.dtype == np.uint8
    if one.resize != "short_side":
        assert canvas.pixels.shape[:2] == (one.height, one.width)
    elif one.multiple_of == 1:
        assert canvas.fit.canvas_width <= one.width
        assert canvas.fit.canvas_height <= one.height


@given(contracts, sides, sides)
def test_the_picture_lies_where_the_record_says_and_padding_around_it(
    one: InputContract, width: int, height: int
) -> None:
    canvas = preprocess.fit(frame(width, height, 200), one)
    seen = canvas.fit.to_canvas(np.array([[0, 0, width, height]], np.float32))[0]
    x1, y1 = (round(max(float(v), 0)) for v in seen[:2])
    x2 = round(min(float(seen[2]), canvas.fit.canvas_width))
    y2 = round(min(float(seen[3]), canvas.fit.canvas_height))
    inside = np.zeros(canvas.pixels.shape[:2], np.bool_)
    inside[y1:y2, x1:x2] = True
    assert (canvas.pixels[inside] == 200).all()
    assert (canvas.pixels[~inside] == one.pad_value).all()


@given(contracts, st.integers(8, 300), st.integers(8, 300))
def test_a_scaled_decode_gives_the_same_record(one: InputContract, width: int, height: int) -> None:
    small = Frame(np.zeros((-(-height // 2), -(-width // 2), 3), np.uint8), width, height)
    assert preprocess.fit(small, one).fit == preprocess.fit(frame(width, height), one).fit


@given(contracts, sides, sides)
def test_the_hint_is_enough_and_never_more_than_the_picture(
    one: InputContract, width: int, height: int
) -> None:
    fit = preprocess.fit(frame(width, height), one).fit
    hint = preprocess.hint(one, width, height)
    assert 1 <= hint[0] <= width
    assert 1 <= hint[1] <= height
    assert hint[0] >= min(width, width * fit.scale_x * (0.93 if one.resize == "crop" else 1) - 1e-6)


def test_the_usual_photograph_may_be_decoded_at_half_its_size() -> None:
    usual = contract(width=224, height=224, resize="crop", crop_fraction=0.875)
    hint = preprocess.hint(usual, 640, 480)
    assert hint[0] <= 320
    assert hint[1] <= 240
    letterbox = preprocess.hint(contract(width=416, height=416), 640, 480)
    assert letterbox == (416, 312)


def test_a_scaled_decode_shows_the_same_picture() -> None:
    wave = np.sin(np.arange(16) / 3)[None, :, None] * np.cos(np.arange(12) / 2)[:, None, None]
    coarse = np.repeat(128 + 100 * wave, 3, 2).astype(np.uint8)
    full = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    one = contract(width=16, height=12, resize="stretch")
    a = preprocess.fit(Frame(full, 128, 96), one).pixels.astype(int)
    b = preprocess.fit(Frame(coarse, 128, 96), one).pixels.astype(int)
    assert np.abs(a - b).mean() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("resize", ["letterbox", "stretch", "crop", "short_side"])
def test_a_scaled_decode_of_an_odd_size_shifts_nothing(orientation: int, resize: str) -> None:
    """1993 = 8 x 249 + 1: the last of 250 columns at 1/8 is one of the picture and seven of nothing."""
    upright = np.zeros((1497, 1993), np.uint8)
    spots = [(300, 160), (1600, 1300)]
    for x, y in spots:
        upright[y : y + 100, x : x + 100] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = codec._TURNS.get(orientation)
    back = {Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270}
    back |= {after: before for before, after in back.items()}
    stored = Image.fromarray(upright)
    stored = stored if turn is None else stored.transpose(back.get(turn, turn))
    target = io.BytesIO()
    stored.save(target, "JPEG", quality=95, exif=exif)
    model = InputContract(width=160, height=160, resize=resize, short_side=120, pad_value=0)  # type: ignore[arg-type]
    opened = codec.open_rgb(target.getvalue(), codec.Limits(), lambda w, h: preprocess.hint(model, w, h))
    assert opened.image.width == 250
    prepared = tasks.prepare(target.getvalue(), codec.Limits(), model)
    light, fit = prepared.tensor[0].astype(np.float64), prepared.fit
    for (x, y), half in zip(spots, (slice(0, 80), slice(80, None)), strict=True):
        part = np.zeros_like(light)
        part[:, half] = light[:, half]
        across = (part.sum(0) * (np.arange(light.shape[1]) + 0.5)).sum() / part.sum()
        down = (part.sum(1) * (np.arange(light.shape[0]) + 0.5)).sum() / part.sum()
        assert abs((across - fit.left) / fit.scale_x - (x + 50)) < 1
        assert abs((down - fit.top) / fit.scale_y - (y + 50)) < 1


def test_letterbox_by_hand() -> None:
    fit = preprocess.fit(frame(128, 48), contract(anchor="center")).fit
    assert (fit.scale_x, fit.scale_y, fit.left, fit.top) == (0.5, 0.5, 0, 12)


def test_crop_by_hand() -> None:
    # 200 x 100 into 50 x 50 with everything of the height: scale 0.5, a quarter lost on each side
    fit = preprocess.fit(frame(200, 100), contract(width=50, height=50, resize="crop")).fit
    assert (fit.scale_x, fit.scale_y, fit.left, fit.top) == (0.5, 0.5, -25, 0)


def test_short_side_by_hand() -> None:
    one = contract(width=1344, height=1344, resize="short_side", short_side=800, multiple_of=32)
    wide = preprocess.fit(frame(640, 480), one).fit
    assert (wide.canvas_width, wide.canvas_height) == (1088, 800)
    assert wide.scale_y == pytest.approx(800 / 480)
    long = preprocess.fit(frame(1000, 100), one).fit
    assert (long.canvas_width, long.canvas_height) == (1344, 160)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "CHW"])
@pytest.mark.parametrize("color", ["RGB", "BGR"])
def test_tensor_by_definition(layout: str, color: str) -> None:
    one = contract(layout=layout, color=color, scale=1 / 255, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    ordered = pixels if color == "RGB" else pixels[..., ::-1]
    wanted = (ordered / 255 - np.array(one.mean)) / np.array(one.std)
    got = preprocess.tensor(pixels, one)
    if layout == "NHWC":
        assert got.shape == (5, 7, 3)
    else:
        wanted = wanted.transpose(2, 0, 1)
    assert got.dtype == np.float32
    assert np.allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["RGB", "BGR"])
def test_tensor_with_one_scale_for_all_channels(layout: str, color: str) -> None:
    one = contract(layout=layout, color=color, scale=1 / 127.5, mean=(1, 1, 1))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    wanted = (pixels if color == "RGB" else pixels[..., ::-1]) / 127.5 - 1
    got = preprocess.tensor(pixels, one)
    assert np.allclose(got if layout == "NHWC" else got.transpose(1, 2, 0), wanted, atol=1e-6)


def test_tensor_of_uint8_models_keeps_the_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    got = preprocess.tensor(pixels, contract(layout="NHWC", dtype="uint8", mean=(9, 9, 9)))
    assert got.dtype == np.uint8
    assert (got == pixels).all()


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(BadOption, match="at least one pixel"):
        preprocess.hint(contract(), 0, 5)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_half_a_canvas_is_what_pillow_makes_of_it(layout: str, dtype: str) -> None:
    one = contract(width=64, height=64, resize="stretch", layout=layout, dtype=dtype, sizes=(32, 64))
    noise = np.random.default_rng(3).integers(0, 256, (80, 50, 3), np.uint8)
    canvas = preprocess.fit(Frame(noise, 50, 80), one)
    half = preprocess.halved(Prepared(preprocess.tensor(canvas.pixels, one), canvas.fit), one)
    wanted = Image.fromarray(canvas.pixels).resize((32, 32), Image.Resampling.BILINEAR)
    got = half.tensor if layout == "NHWC" else half.tensor.transpose(1, 2, 0)
    assert (got.dtype, got.shape) == (np.dtype(dtype), (32, 32, 3))
    inner = np.s_[1:-1, 1:-1]  # at the edges Pillow leaves out what is beyond, which is repeated here
    assert np.abs(got[inner].astype(float) - np.asarray(wanted)[inner]).max() <= 1


@given(sides, sides)
def test_a_box_lies_at_half_its_place_on_half_a_canvas(width: int, height: int) -> None:
    one = contract(width=64, height=64, anchor="center", sizes=(32, 64))
    canvas = preprocess.fit(frame(width, height), one)
    half = preprocess.halved(Prepared(preprocess.tensor(canvas.pixels, one), canvas.fit), one)
    box = np.array([[0.2 * width, 0.3 * height, 0.7 * width, 0.9 * height]], np.float32)
    assert np.allclose(half.fit.to_canvas(box), canvas.fit.to_canvas(box) / 2, atol=1e-3)
    assert (half.fit.canvas_width, half.fit.canvas_height) == (32, 32)
    assert 113.9 <= half.tensor.min() <= half.tensor.max() <= 200.1  # between the margin and the picture
