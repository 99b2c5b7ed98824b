"""Detectors whose boxes come out ready, by hand: canvas 32 x 32, original 64 x 64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sightline.manifest import Manifest
from sightline.types import Ask, Detections, Fit
from sightline.vision import heads

Make = Callable[..., Manifest]


def array(*values: Any) -> Any:
    return np.array(values, np.float32)


def read(toy: Manifest, outputs: dict[str, Any], fit: Fit) -> Detections:
    got = heads.read(toy, outputs, fit, Ask())
    assert isinstance(got, Detections)
    return got


def test_ssd_of_torchvision_in_pixels(manifest: Make, half: Fit) -> None:
    outputs = {
        "boxes": array([2, 4, 8, 16], [0, 0, 9, 9]),
        "scores": array(0.5, 0.9),
        "labels": np.array([1, 2]),
    }
    got = read(manifest("ssd", options={"first_label": 1}), outputs, half)
    assert got.label.tolist() == [1, 0]
    assert got.xyxy.tolist() == [[0, 0, 18, 18], [4, 8, 16, 32]]


def test_ssd_of_the_zoo_in_fractions(manifest: Make, half: Fit) -> None:
    outputs = {"bboxes": array([[0, 0, 0.5, 0.25]]), "labels": np.array([[2]]), "scores": array([0.9])}
    got = read(manifest("ssd", options={"first_label": 1}), outputs, half)
    assert got.xyxy.tolist() == [[0, 0, 32, 16]]
    assert got.label.tolist() == [1]


def test_ssd_of_tensorflow(manifest: Make, half: Fit) -> None:
    outputs = {
        "detection_boxes:0": array([[0.25, 0, 0.5, 1], [0, 0, 1, 1], [0, 0, 1, 1]]),
        "detection_classes:0": array([3, 2, 1]),
        "detection_scores:0": array([0.9, 0.8, 0.7]),
        "num_detections:0": array(2),
    }
    got = read(manifest("ssd", options={"raw_ids": [1, 3]}), outputs, half)
    assert got.xyxy.tolist() == [[0, 16, 64, 32]]  # class 2 has no label, the third row is filling
    assert got.label.tolist() == [1]


@pytest.mark.parametrize(
    ("order", "box"),
    [("xyxy", [2, 4, 8, 16]), ("yxyx", [4, 2, 16, 8]), ("xywh", [2, 4, 6, 12]), ("cxcywh", [5, 10, 6, 12])],
)
def test_packed_rows_in_any_order(manifest: Make, half: Fit, order: str, box: list[float]) -> None:
    toy = manifest("ssd", options={"packed": True, "box_order": order, "box_unit": "pixels"})
    got = read(toy, {"o": array([[*box, 0.9, 1], [*box, 0.1, 0]])}, half)
    assert got.xyxy.tolist() == [[4, 8, 16, 32]]
    assert got.label.tolist() == [1]


def test_detr_with_softmax(manifest: Make, half: Fit) -> None:
    some = [float(np.log(value)) for value in (1, 7, 2)]  # cat, dog, no object
    none = [float(np.log(value)) for value in (1, 1, 8)]
    outputs = {"logits": array([some, none]), "pred_boxes": array([[0.5, 0.5, 0.5, 0.25], [0.5, 0.5, 1, 1]])}
    got = read(manifest("detr"), outputs, half)
    assert got.xyxy[0].tolist() == pytest.approx([16, 24, 48, 40])
    assert got.score.tolist() == pytest.approx([0.7])
    assert got.label.tolist() == [1]


def test_detr_with_sigmoid_lets_one_query_speak_twice(manifest: Make, half: Fit) -> None:
    outputs = {"logits": array([[0, float(np.log(4))], [-9, -9]]), "boxes": array([[0.5, 0.5, 0.5, 0.5]] * 2)}
    got = read(manifest("detr", options={"activation": "sigmoid"}), outputs, half)
    assert got.label.tolist() == [1, 0]
    assert got.score.tolist() == pytest.approx([0.8, 0.5])


def test_detr_without_a_background(manifest: Make, half: Fit) -> None:
    outputs = {"logits": array([[0, 9]]), "boxes": array([[0.5, 0.5, 0.5, 0.5]])}
    assert len(read(manifest("detr", options={"background": "none"}), outputs, half)) == 1


def test_ultraface(manifest: Make, half: Fit) -> None:
    scores = array([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1]])
    boxes = array([[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.45], [0.5, 0.5, 1, 1]])
    got = read(manifest("ultraface", labels=("face",)), {"scores": scores, "boxes": boxes}, half)
    assert got.xyxy.tolist() == [[0, 0, 32, 32]]
    assert got.score.tolist() == pytest.approx([0.9])
