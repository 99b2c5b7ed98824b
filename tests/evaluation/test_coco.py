"""Judging boxes and masks by the reference implementation, on cases with known answers."""

import sys
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest

from sightline.errors import BadOption, ConfigError
from sightline.evaluation.coco import judge
from sightline.types import Mask
from sightline.vision import masks


def dataset(pictures: int = 8) -> dict[str, Any]:
    """Two boxes a picture, of categories 3 and 7."""
    marks: list[dict[str, Any]] = []
    for image in range(1, pictures + 1):
        for category, x in ((3, 10), (7, 60)):
            box = [x, 20, 30 + image, 40]
            marks.append(
                {
                    "id": len(marks) + 1,
                    "image_id": image,
                    "category_id": category,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    images = [{"id": i, "width": 120, "height": 100} for i in range(1, pictures + 1)]
    return {"images": images, "annotations": marks, "categories": [{"id": 3}, {"id": 7}, {"id": 9}]}


def perfect(data: dict[str, Any]) -> list[dict[str, Any]]:
    keys = ("image_id", "category_id", "bbox")
    return [{key: mark[key] for key in keys} | {"score": 0.9} for mark in data["annotations"]]


def test_perfect_answers_reach_one() -> None:
    data = dataset()
    judged = judge(data, perfect(data), rounds=20)
    for name in ("AP", "AP50", "AP75", "AR100"):
        assert judged.figures[name].value == pytest.approx(1.0)
    assert judged.figures["AP"].low == judged.figures["AP"].high == pytest.approx(1.0)
    assert judged.per_class == {3: pytest.approx((1, 1)), 7: pytest.approx((1, 1))}


def test_a_class_that_is_never_found_halves_the_mean() -> None:
    data = dataset()
    found = [entry for entry in perfect(data) if entry["category_id"] == 3]
    judged = judge(data, found)
    assert judged.figures["AP"].value == pytest.approx(0.5)
    assert judged.per_class[7] == (0.0, 0.0)
    assert judged.figures["AP"].low is None


def test_nothing_found_is_nought() -> None:
    assert judge(dataset(), []).figures["AP"].value == 0.0


@pytest.mark.parametrize(
    "number", [lambda i: i, lambda _: 7, lambda _: None], ids=["from 0", "equal", "none"]
)
def test_numbers_of_marks_do_not_matter(number: Callable[[int], int | None]) -> None:
    """pycocotools takes a mark of number 0 for none, and marks of one number for one."""
    data = dataset()
    found = perfect(data)
    for place, mark in enumerate(data["annotations"]):
        del mark["id"]
        if number(place) is not None:
            mark["id"] = number(place)
    assert judge(data, found).figures["AP"].value == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_marks_that_cannot_be_judged_are_refused_in_words(kind: Literal["bbox", "segm"]) -> None:
    data = dataset(2)
    rle = masks.to_rle(Mask(np.ones((4, 4), bool), 5, 5), 120, 100)
    found = [entry | {"segmentation": rle} for entry in perfect(data)]
    for image in data["images"]:
        del image["width"]
    data["annotations"][0] |= {"bbox": "wide", "segmentation": [[1, 1, 5, 1, 5, 5]]}
    with pytest.raises(BadOption, match="cannot be judged"):
        judge(data, found, kind=kind)


def test_the_interval_holds_the_figure_and_repeats_with_its_seed() -> None:
    data = dataset(20)
    found = [e | {"score": 0.5 + 0.02 * e["image_id"]} for e in perfect(data) if e["image_id"] % 3]
    one, two = (judge(data, found, rounds=60, seed=1).figures["AP"] for _ in range(2))
    assert one == two
    assert one.low is not None
    assert one.high is not None
    assert 0.3 < one.low < one.value < one.high < 0.95


def test_drawing_each_picture_once_gives_the_figure_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(9)
    found = [e | {"score": 0.5 + 0.02 * e["image_id"]} for e in perfect(data) if e["image_id"] % 2]

    class Once:
        def integers(self, low: int, high: int, size: int) -> Any:
            return np.arange(low, high)[:size]

    monkeypatch.setattr(np.random, "default_rng", lambda _seed: Once())
    figure = judge(data, found, rounds=1).figures["AP"]
    assert figure.low == figure.high == pytest.approx(figure.value)


def test_masks_are_judged_as_masks() -> None:
    data = dataset(3)
    found = []
    for mark in data["annotations"]:
        x, y, w, h = mark["bbox"]
        mark["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
        bits = np.ones((h, w), bool)
        bits[:, w // 2 :] = mark["category_id"] == 3  # only half of category 7 is filled
        rle = masks.to_rle(Mask(bits, x, y), 120, 100)
        found.append({k: mark[k] for k in ("image_id", "category_id")} | {"score": 0.9, "segmentation": rle})
    judged = judge(data, found, kind="segm")
    assert judged.per_class[3][0] == pytest.approx(1.0)
    assert judged.per_class[7][0] < 0.2


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(ConfigError) as caught:
        judge(dataset(), [])
    assert "extra `train`" in caught.value.next_step
