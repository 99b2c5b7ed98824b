"""Pascal VOC XML: whole pixels from 1, inclusive, and no entities."""

from dataclasses import replace

import numpy as np
import pytest
from tests.formats import reading

from sightline.errors import BadOption
from sightline.formats import voc
from sightline.types import Result


def test_pixels_are_rounded_outwards_and_counted_from_one(detected: Result) -> None:
    text = voc.write(detected)
    assert "<filename>b.jpg</filename>" in text
    flat = "".join(text.split())
    assert "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>51</xmax><ymax>61</ymax></bndbox>" in flat
    assert "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>100</xmax><ymax>80</ymax></bndbox>" in flat
    assert "猫 &amp; &lt;dog&gt;" in text


def test_the_round_trip_is_within_a_pixel(detected: Result, nothing: Result) -> None:
    name, size, things = reading.voc(voc.write(detected))
    assert (name, size) == ("b.jpg", (100, 80))
    corners = np.array([thing.xyxy for thing in things])
    assert np.abs(corners - [[10, 20, 50.125, 60.987], [0, 0, 100, 80]]).max() <= 1
    assert [thing.label for thing in things] == [detected.labels[2], detected.labels[0]]
    assert reading.voc(voc.write(nothing)) == ("b.jpg", (100, 80), [])


def test_control_characters_do_not_break_the_file(nothing: Result) -> None:
    text = voc.write(replace(nothing, source="a\x00b\x1b.jpg"))
    assert reading.voc(text)[0] == "a b .jpg"


def test_classes_are_refused(classified: Result) -> None:
    with pytest.raises(BadOption, match="Pascal VOC describes boxes"):
        voc.write(classified)
