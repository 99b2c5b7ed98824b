"""Grid detectors by hand: canvas 32 x 32, original 64 x 64."""

from collections.abc import Callable

import numpy as np
import pytest

from sightline.manifest import Manifest
from sightline.types import Ask, Detections, Fit, Float32
from sightline.vision import heads

Make = Callable[..., Manifest]


def read(toy: Manifest, outputs: dict[str, Float32], fit: Fit) -> Detections:
    got = heads.read(toy, outputs, fit, Ask())
    assert isinstance(got, Detections)
    return got


def test_yolox(manifest: Make, half: Fit) -> None:
    rows = np.zeros((1, 4, 7), np.float32)
    rows[0, 3] = [0.5, 0.25, 0, np.log(0.5), 0.8, 0.1, 0.5]  # cell (1, 1) of stride 16
    got = read(manifest("yolox", options={"strides": [16]}), {"output": rows}, half)
    # centre ((1 + 0.5) * 16, (1 + 0.25) * 16) = (24, 20), size (16, 8); twice that in the original
    assert got.xyxy[0].tolist() == pytest.approx([32, 32, 64, 48], abs=1e-4)
    assert got.score.tolist() == pytest.approx([0.4])
    assert got.label.tolist() == [1]


def test_yolox_keeps_the_stronger_of_two_boxes_of_one_label(manifest: Make, half: Fit) -> None:
    row = [0.5, 0.5, 0, 0, 1.0]
    rows = np.array(
        [[[*row, 0.9, 0], [-0.4, 0.5, 0, 0, 1.0, 0.8, 0], [*row, 0, 0.7], [*row, 0, 0]]], np.float32
    )
    apart = manifest("yolox", options={"strides": [16]}, iou=0.5)
    got = read(apart, {"o": rows}, half)
    assert got.label.tolist() == [0, 1]
    assert got.score.tolist() == pytest.approx([0.9, 0.7])


def test_class_agnostic_suppression(manifest: Make, half: Fit) -> None:
    rows = np.array(
        [[[0.5, 0.5, 0, 0, 1, 0.9, 0], [-0.5, 0.5, 0, 0, 1, 0, 0.8], [0] * 7, [0] * 7]], np.float32
    )
    both = {"strides": [16]}
    assert len(read(manifest("yolox", options=both), {"o": rows}, half)) == 2
    assert len(read(manifest("yolox", options=both | {"class_agnostic": True}), {"o": rows}, half)) == 1


def test_yolox_boxes_wholly_in_the_padding_are_left_out(manifest: Make) -> None:
    fit = Fit(0.25, 0.25, 0, 0, 128, 32, 32, 32)  # a wide picture: rows from 8 on are padding
    rows = np.zeros((1, 4, 7), np.float32)
    rows[0, 3] = [0.5, 0.5, -1, -1, 1, 1, 0]
    assert len(read(manifest("yolox", options={"strides": [16]}), {"o": rows}, fit)) == 0


def test_fastestdet(manifest: Make, half: Fit) -> None:
    planes = np.zeros((1, 7, 2, 2), np.float32)
    logit_quarter = float(np.log(0.25 / 0.75))
    planes[0, :, 0, 1] = [0.9, np.arctanh(0.5), 0, logit_quarter, 0, 0.1, 0.8]  # cell x 1, y 0
    got = read(manifest("fastestdet"), {"758": planes}, half)
    # centre ((1 + 0.5) / 2, 0) of the canvas = (24, 0), size (0.25, 0.5) * 32 = (8, 16)
    assert got.xyxy[0].tolist() == pytest.approx([40, 0, 56, 16], abs=1e-4)
    assert got.score.tolist() == pytest.approx([0.9**0.6 * 0.8**0.4])
    assert got.label.tolist() == [1]


def test_yunet(manifest: Make, half: Fit) -> None:
    outputs: dict[str, Float32] = {}
    for stride, cells in ((8, 16), (16, 4), (32, 1)):
        outputs |= {f"cls_{stride}": np.zeros((1, cells, 1), np.float32)}
        outputs |= {f"obj_{stride}": np.zeros((1, cells, 1), np.float32)}
        outputs |= {f"bbox_{stride}": np.zeros((1, cells, 4), np.float32)}
    outputs["cls_16"][0, 2], outputs["obj_16"][0, 2] = 0.9, 0.4  # cell x 0, y 1
    outputs["bbox_16"][0, 2] = [0.5, 0, 0, np.log(0.5)]
    got = read(manifest("yunet", labels=("face",)), outputs, half)
    # centre at 8, 16 with a size of 16 by 8
    assert got.xyxy[0].tolist() == pytest.approx([0, 24, 32, 40], abs=1e-4)
    assert got.score.tolist() == pytest.approx([0.6])


@pytest.mark.parametrize(("offset", "shift"), [(0.0, 0), (0.5, 16)])
def test_nanodet(manifest: Make, half: Fit, offset: float, shift: int) -> None:
    rows = np.zeros((1, 4, 2 + 4 * 2), np.float32)
    rows[0, 3, :2] = [0.2, 0.6]  # cell (1, 1) of stride 16: the point (16, 16)
    far = [-50.0, 50.0]  # all weight on the second bin: one stride
    rows[0, 3, 2:] = [0, 0, *far, 0, 0, *far]  # half a stride left and right, one up and down
    options = {"strides": [16], "bins": 2, "offset": offset}
    got = read(manifest("nanodet", options=options), {"o": rows}, half)
    wanted = np.clip(np.array([16, 0, 48, 64]) + shift, 0, 64)
    assert got.xyxy[0].tolist() == pytest.approx(wanted.tolist(), abs=1e-3)
    assert got.label.tolist() == [1]


def test_nanodet_with_raw_scores(manifest: Make, half: Fit) -> None:
    rows = np.zeros((1, 1, 10), np.float32)
    rows[0, 0, :2] = [float(np.log(4)), -9]
    options = {"strides": [32], "bins": 2, "logits": True}
    assert read(manifest("nanodet", options=options), {"o": rows}, half).score.tolist() == pytest.approx(
        [0.8]
    )
