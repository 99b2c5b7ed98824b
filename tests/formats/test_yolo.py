"""YOLO text: rows, outlines, class files."""

from dataclasses import replace

import numpy as np
import pytest
from tests.formats import reading

from sightline.errors import BadOption
from sightline.formats import yolo
from sightline.types import Mask, Result, Segments
from sightline.vision import masks


def test_boxes(detected: Result) -> None:
    assert yolo.write(detected) == (
        "2 0.300625 0.506169 0.401250 0.512337\n0 0.500000 0.500000 1.000000 1.000000\n"
    )


def test_nothing_is_an_empty_file(nothing: Result) -> None:
    assert yolo.write(nothing) == ""


def test_boxes_survive_the_round_trip(detected: Result) -> None:
    things = reading.yolo(yolo.write(detected), 100, 80)
    assert [thing.label for thing in things] == [2, 0]
    corners = np.array([thing.xyxy for thing in things])
    assert np.allclose(corners, np.array([[10, 20, 50.125, 60.987], [0, 0, 100, 80]]), atol=1e-3)
    assert [thing.mask for thing in things] == [None, None]


def test_outlines_survive_the_round_trip(segmented: Result) -> None:
    mine = reading.yolo(yolo.write(segmented), 100, 80)[0].mask
    assert isinstance(segmented.prediction, Segments)
    theirs = segmented.prediction.masks[0]
    assert mine is not None
    a, b = masks.full(mine, 100, 80), masks.full(theirs, 100, 80)
    assert (a & b).sum() / (a | b).sum() >= 0.98


def with_mask(result: Result, mask: Mask) -> Result:
    assert isinstance(result.prediction, Segments)
    first = result.prediction.detections.take(np.array([0]))
    return replace(result, prediction=Segments(first, (mask,)))


def test_no_outline_has_four_points(segmented: Result) -> None:
    text = yolo.write(with_mask(segmented, Mask(np.ones((10, 10), np.bool_), 0, 0)))
    assert len(text.split()) == 1 + 2 * 5


def test_parts_are_joined(segmented: Result) -> None:
    bits = np.zeros((40, 60), np.bool_)
    bits[:20, :20] = bits[:20, 40:] = True
    text = yolo.write(with_mask(segmented, Mask(bits, 0, 0)))
    assert text.count("\n") == 1
    (thing,) = reading.yolo(text, 100, 80)
    assert thing.mask is not None
    full = masks.full(thing.mask, 100, 80)
    assert full[10, 10]
    assert full[10, 50]
    assert abs(int(full.sum()) - 800) <= 25  # the bridge may take a row


def test_an_object_without_a_mask_is_a_box(segmented: Result) -> None:
    assert len(yolo.write(with_mask(segmented, masks.EMPTY)).split()) == 5


def test_class_files() -> None:
    labels = ("no", "on", 'the "x"', "two\nlines")
    assert yolo.classes(labels) == 'no\non\nthe "x"\ntwo lines\n'


def test_classes_are_refused(classified: Result) -> None:
    with pytest.raises(BadOption, match="YOLO describes boxes"):
        yolo.write(classified)
