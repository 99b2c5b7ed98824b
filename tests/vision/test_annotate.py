"""Results drawn on pictures."""

import numpy as np
import pytest

from sightline.types import Classification, Detections, Mask, ModelRef, Prediction, Result, Segments, UInt8
from sightline.vision import annotate, chips
from sightline.vision.colors import HALO, color_of

GREY = np.full((240, 320, 3), 128, np.uint8)
LABELS = ("person", "汽车", "سيارة", "עברית", "a\nb\x00\u202ec", "\ud800", "x" * 500, "🦓 zebra", "")


def result_of(prediction: Prediction, labels: tuple[str, ...] = LABELS) -> Result:
    model = ModelRef("test", "1", "sha256:" + "0" * 64)
    return Result("1", "", model, "detect", 320, 240, labels, prediction)


def detections(*boxes: tuple[float, float, float, float]) -> Detections:
    n = len(boxes)
    score = np.linspace(0.9, 0.5, n).astype(np.float32)
    return Detections(np.array(boxes, np.float32).reshape(n, 4), score, np.arange(n) % len(LABELS))


def count(pixels: UInt8, color: tuple[int, int, int]) -> int:
    return int((pixels == color).all(axis=2).sum())


def test_a_box_has_its_colour_a_halo_and_a_name() -> None:
    pixels = annotate.draw(GREY, result_of(detections((100, 80, 200, 180))))
    assert (GREY == 128).all(), "the source is left alone"
    assert tuple(pixels[130, 100]) == color_of(0)
    assert tuple(pixels[130, 199]) == color_of(0)
    assert tuple(pixels[130, 99]) == HALO
    assert tuple(pixels[130, 150]) == (128, 128, 128)
    assert count(pixels[50:79], color_of(0)) > 200, "the chip sits above the box"


def test_masks_are_mixed_at_thirty_five_percent() -> None:
    bits = np.zeros((60, 60), np.bool_)
    bits[20:40, 20:40] = True
    segments = Segments(detections((100, 80, 160, 140)), (Mask(bits, 100, 80),))
    pixels = annotate.draw(GREY, result_of(segments))
    expected = 128 * 0.65 + np.array(color_of(0)) * 0.35
    assert np.abs(pixels[110, 130] - expected).max() < 2
    assert tuple(pixels[95, 130]) == (128, 128, 128)


def test_a_class_is_a_caption_in_the_lower_left() -> None:
    top = Classification(np.arange(3), np.array([0.7, 0.2, 0.1], np.float32))
    pixels = annotate.draw(GREY, result_of(top))
    assert count(pixels[:160], color_of(0)) == 0
    for label in range(3):
        assert count(pixels[160:, :200], color_of(label)) > 100
    unknown = Classification(np.arange(1), np.ones(1, np.float32), "unknown")
    assert count(annotate.draw(GREY, result_of(unknown)), color_of(0)) == 0


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (700, 2), (32, 32), (1200, 1600)])
def test_odd_pictures_boxes_and_names_do_not_break_it(size: tuple[int, int]) -> None:
    boxes = detections(
        (0, 0, 1, 1), (-5, -9, 1e9, 1e9), (5, 5, 5, 5), (30, 30, 10, 10), (np.nan, 0, np.inf, 4),
        *[(i, i, i + 20, i + 30) for i in range(40)],
    )  # fmt: skip
    blank = np.zeros((*size, 3), np.uint8)
    masks = tuple(Mask(np.ones((5, 5), np.bool_), x, x) for x in (-3, 0, 10_000, 2, 1)) + tuple(
        Mask(np.zeros((0, 3), np.bool_), 0, 0) for _ in range(40)
    )
    for prediction in (boxes, Segments(boxes, masks), Detections.empty()):
        assert annotate.draw(blank, result_of(prediction)).shape == blank.shape
    annotate.draw(blank, result_of(boxes, labels=()))


def test_the_pen_grows_with_the_picture() -> None:
    large = np.zeros((3000, 4000, 3), np.uint8)
    pixels = annotate.draw(large, result_of(detections((1000, 1000, 3000, 2500))))
    assert (pixels[1750, 1000:1008] == color_of(0)).all()


def test_chips_avoid_each_other_and_the_edge() -> None:
    rng = np.random.default_rng(1)
    low = rng.uniform(0, 500, (60, 2))
    boxes = np.hstack([low, low + rng.uniform(20, 120, (60, 2))]).astype(np.float32)
    places = chips.place(boxes, [(70, 18)] * 60, (640, 640))
    found = [place for place in places if place is not None]
    assert len(found) > 40
    for index, (x1, y1, x2, y2) in enumerate(found):
        assert 0 <= x1 < x2 <= 640
        assert 0 <= y1 < y2 <= 640
        for a1, b1, a2, b2 in found[:index]:
            assert x2 <= a1 or a2 <= x1 or y2 <= b1 or b2 <= y1


def test_a_chip_at_the_top_goes_below_or_inside() -> None:
    (place,) = chips.place(np.array([[0, 0, 50, 100]], np.float32), [(60, 18)], (200, 200))
    assert place == (0, 100, 60, 118)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dog", "dog"),
        (" a\n\tb\x00 ", "a b"),
        ("\u202eevil", "evil"),
        ("\ud800", ""),
        ("x" * 99, "x" * 39 + "…"),
    ],
)
def test_names_are_cleaned(text: str, shown: str) -> None:
    assert chips.clean_text(text) == shown
    assert chips.title(text, 0.876).endswith(" 88%")


def test_without_a_font_of_the_system_the_built_in_one_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chips, "_FONTS", ("/nowhere.ttf",))
    chips._font_bytes.cache_clear()
    chips.font.cache_clear()
    try:
        annotate.draw(GREY, result_of(detections((10, 40, 90, 90), (100, 40, 190, 90), (200, 60, 300, 90))))
    finally:
        chips._font_bytes.cache_clear()
        chips.font.cache_clear()
