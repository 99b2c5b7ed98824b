"""Pascal VOC XML: whole pixels from 1, inclusive, and no entities."""

from dataclasses import replace

import numpy as np
import pytest

from sightline.errors import BadOption
from sightline.formats import voc
from sightline.types import Result

ONE = (
    "<annotation><filename>x.jpg</filename><size><width>20</width><height>10</height></size><object>"
    "<name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x}</xmin><ymin>1</ymin>"
    "<xmax>5</xmax><ymax>6</ymax></bndbox></object></annotation>"
)


def test_pixels_are_rounded_outwards_and_counted_from_one(detected: Result) -> None:
    text = voc.write(detected)
    assert "<filename>b.jpg</filename>" in text
    flat = "".join(text.split())
    assert "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>51</xmax><ymax>61</ymax></bndbox>" in flat
    assert "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>100</xmax><ymax>80</ymax></bndbox>" in flat
    assert "猫 &amp; &lt;dog&gt;" in text


def test_the_round_trip_is_within_a_pixel(detected: Result, nothing: Result) -> None:
    files = {"b.xml": voc.write(detected), "c.xml": voc.write(nothing)}
    data = voc.load(files, detected.labels)
    one, none = data.pictures
    assert np.abs(one.objects.xyxy - [[10, 20, 50.125, 60.987], [0, 0, 100, 80]]).max() <= 1
    assert one.objects.label.tolist() == [2, 0]
    assert (one.width, one.height) == (100, 80)
    assert len(none.objects) == 0


def test_labels_and_difficult_objects() -> None:
    files = {"1": ONE.format(name="dog", difficult=0, x=1), "2": ONE.format(name="cat", difficult=1, x=2)}
    data = voc.load(files)
    assert data.labels == ("cat", "dog")
    assert [picture.aside.tolist() for picture in data.pictures] == [[False], [True]]
    assert data.pictures[0].objects.xyxy.tolist() == [[0, 0, 5, 6]]


def test_a_zero_means_counted_from_zero() -> None:
    data = voc.load({"1": ONE.format(name="dog", difficult=0, x=0)})
    assert data.pictures[0].objects.xyxy.tolist() == [[0, 1, 6, 7]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a Pascal VOC"),
        ("<annotation/>", "has no <size/width>"),
        ("<a><b></a>", "not a Pascal VOC"),
        (ONE.format(name="dog", difficult=0, x="one"), "not a Pascal VOC"),
        (ONE.format(name="dog", difficult=0, x="nan"), "not finite"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
        ('<!doctype a SYSTEM "file:///etc/passwd"><a/>', "document type"),
    ],
)
def test_bad_files_are_refused(text: str, says: str) -> None:
    with pytest.raises(BadOption, match=says):
        voc.load({"x.xml": text})


def test_unknown_labels_are_refused() -> None:
    with pytest.raises(BadOption, match="object 'dog'"):
        voc.load({"x.xml": ONE.format(name="dog", difficult=0, x=1)}, ("cat",))


def test_control_characters_do_not_break_the_file(nothing: Result) -> None:
    text = voc.write(replace(nothing, source="a\x00b\x1b.jpg"))
    assert voc.load({"x": text}).pictures[0].name == "a b .jpg"


def test_classes_are_refused(classified: Result) -> None:
    with pytest.raises(BadOption, match="Pascal VOC describes boxes"):
        voc.write(classified)
