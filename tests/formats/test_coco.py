"""COCO: what its own tools read, and what we read back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats import reading

from sightline.errors import BadOption
from sightline.formats import coco
from sightline.types import Result, Segments
from sightline.vision import masks


def test_a_data_set(detected: Result, nothing: Result) -> None:
    body = json.loads(coco.dumps([detected, nothing]))
    assert body["images"][0] == {"id": 1, "file_name": "b.jpg", "width": 100, "height": 80}
    assert [category["id"] for category in body["categories"]] == [1, 2, 3]
    assert body["categories"][2]["name"] == "猫 & <dog>"
    assert body["annotations"][0] == {
        "id": 1,
        "image_id": 1,
        "category_id": 3,
        "bbox": [10, 20, 40.12, 40.99],
        "score": 0.9124,
        "area": pytest.approx(40.12 * 40.99),
        "iscrowd": 0,
    }
    assert {row["image_id"] for row in body["annotations"]} == {1}


def test_masks_are_exact_and_not_crowds(segmented: Result) -> None:
    body = json.loads(coco.dumps([segmented]))
    row = body["annotations"][1]
    assert row["area"] == 100 * 80 - 20 * 40
    assert row["iscrowd"] == 0
    assert row["segmentation"]["size"] == [80, 100]


def test_the_round_trip(segmented: Result) -> None:
    ((name, things),) = reading.coco(coco.dumps([segmented])).items()
    assert name == "b.jpg"
    assert isinstance(segmented.prediction, Segments)
    wanted = segmented.prediction.detections
    assert np.allclose([thing.xyxy for thing in things], wanted.xyxy, atol=0.02)
    assert [thing.label for thing in things] == [segmented.labels[label] for label in wanted.label]
    for thing, theirs in zip(things, segmented.prediction.masks, strict=True):
        assert thing.mask is not None
        assert np.array_equal(masks.full(thing.mask, 100, 80), masks.full(theirs, 100, 80))


def test_an_empty_data_set() -> None:
    assert reading.coco(coco.dumps([])) == {}


def test_classes_are_refused(classified: Result) -> None:
    with pytest.raises(BadOption, match="COCO describes boxes"):
        coco.dumps([classified])


@pytest.mark.train
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside pycocotools
def test_pycocotools_reads_it(segmented: Result, tmp_path: Path, capsys: Any) -> None:
    module = pytest.importorskip("pycocotools.coco", reason="pycocotools comes with the train extra.")
    file = tmp_path / "set.json"
    file.write_text(coco.dumps([segmented]))
    theirs = module.COCO(str(file))
    rows = coco.rows(segmented, 1, {label: place + 1 for place, label in enumerate(segmented.labels)})
    assert len(theirs.loadRes(rows).anns) == 2
    assert isinstance(segmented.prediction, Segments)
    for annotation, mask in zip(theirs.anns.values(), segmented.prediction.masks, strict=True):
        assert np.array_equal(theirs.annToMask(annotation) > 0, masks.full(mask, 100, 80))
