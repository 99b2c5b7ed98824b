"""Instance masks by hand: canvas 32 x 32, original 64 x 64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sightline.manifest import Manifest
from sightline.types import Ask, Fit, Segments
from sightline.vision import heads, masks
from sightline.vision.heads import maskrcnn

Make = Callable[..., Manifest]


def read(toy: Manifest, outputs: dict[str, Any], fit: Fit) -> Segments:
    got = heads.read(toy, outputs, fit, Ask())
    assert isinstance(got, Segments)
    return got


def zoo(mask: Any, box: tuple[float, ...] = (4, 8, 20, 24)) -> dict[str, Any]:
    low = np.zeros_like(mask)
    return {
        "6568": np.array([[0, 0, 9, 9], box], np.float32),
        "6570": np.array([1, 2], np.int64),
        "6572": np.array([0.1, 0.9], np.float32),
        "6887": np.stack([low, mask])[:, None].astype(np.float32),
    }


def test_zoo_masks_are_stretched_over_their_boxes(manifest: Make, half: Fit) -> None:
    left = np.zeros((28, 28))
    left[:, :14] = 1
    got = read(manifest("maskrcnn_zoo", "segment"), zoo(left), half)
    assert got.detections.xyxy.tolist() == [[8, 16, 40, 48]]
    assert got.detections.label.tolist() == [1]
    (mask,) = got.masks
    assert (mask.left, mask.top, mask.bits.shape) == (8, 16, (32, 16))
    assert mask.bits[1:-1].all()


def test_masks_of_boxes_beyond_the_picture_keep_their_place(manifest: Make, half: Fit) -> None:
    left = np.zeros((28, 28))
    left[:, :14] = 1
    got = read(manifest("maskrcnn_zoo", "segment"), zoo(left, (-16, 0, 16, 32)), half)
    # the left half of the box lies outside: nothing of the mask is in the picture
    assert got.detections.xyxy.tolist() == [[0, 0, 32, 64]]
    assert got.masks[0] is masks.EMPTY


def test_torchvision_masks_are_cut_out_of_the_canvas(manifest: Make, half: Fit) -> None:
    canvas = np.zeros((1, 1, 32, 32), np.float32)
    canvas[0, 0, 8:24, 4:12] = 1
    outputs = {
        "boxes": np.array([[4, 8, 20, 24]], np.float32),
        "labels": np.array([3]),
        "scores": np.array([0.9], np.float32),
        "masks": canvas,
    }
    toy = manifest("maskrcnn_torchvision", "segment", options={"raw_ids": [1, 3]})
    (mask,) = read(toy, outputs, half).masks
    assert (mask.left, mask.top, mask.bits.shape) == (8, 16, (32, 16))
    assert mask.bits.all()


def test_torchvision_without_pasting_gives_small_masks(manifest: Make, half: Fit) -> None:
    outputs = zoo(np.ones((28, 28)))
    toy = manifest("maskrcnn_torchvision", "segment")
    assert read(toy, outputs, half).masks[0].bits.shape == (32, 32)


def test_a_batch_axis_is_dropped_everywhere(manifest: Make, half: Fit) -> None:
    outputs = {name: value[None] for name, value in zoo(np.ones((28, 28))).items()}
    assert read(manifest("maskrcnn_zoo", "segment"), outputs, half).masks[0].bits.shape == (32, 32)


def test_no_objects(manifest: Make, half: Fit) -> None:
    outputs = {name: value[:0] for name, value in zoo(np.ones((28, 28))).items()}
    assert read(manifest("maskrcnn_zoo", "segment"), outputs, half).masks == ()


def test_beyond_the_budget_objects_keep_their_boxes(
    manifest: Make, half: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maskrcnn, "PIXELS_MAX", 1500)
    outputs = zoo(np.ones((28, 28)))
    outputs["6572"] = np.array([0.8, 0.9], np.float32)
    outputs["6568"][0] = [0, 0, 30, 30]
    got = read(manifest("maskrcnn_zoo", "segment"), outputs, half)
    assert len(got.detections) == 2
    assert [mask.bits.size > 0 for mask in got.masks] == [True, False]


def test_prototypes(manifest: Make, half: Fit) -> None:
    bank = np.zeros((1, 2, 8, 8), np.float32)
    bank[0, 0] = 1  # everything
    bank[0, 1, :, 4:] = 2  # the right half, stronger
    row = [0.5, 0.5, 0, 0, 1, 0.9, 0, 1, -1]  # everything but the right half
    rows = np.zeros((1, 1, 9), np.float32)
    rows[0, 0] = row
    toy = manifest("prototypes", "segment", options={"strides": [32], "coefficients": 2})
    got = read(toy, {"rows": rows, "prototypes": bank}, half)
    assert got.detections.xyxy.tolist() == [[0, 0, 64, 64]]
    (mask,) = got.masks
    assert (mask.left, mask.top, mask.bits.shape) == (0, 0, (64, 32))
    assert mask.bits.all()


def test_prototypes_are_cut_at_the_box(manifest: Make, half: Fit) -> None:
    rows = np.zeros((1, 1, 8), np.float32)
    rows[0, 0] = [0.5, 0.5, np.log(0.5), np.log(0.25), 1, 0, 0.9, 3]
    toy = manifest("prototypes", "segment", options={"strides": [32], "coefficients": 1})
    got = read(toy, {"rows": rows, "prototypes": np.ones((1, 1, 8, 8), np.float32)}, half)
    (mask,) = got.masks
    assert (mask.left, mask.top, mask.bits.shape) == (16, 24, (16, 32))
    assert mask.bits.all()
    boxes_only = heads.read(
        manifest("prototypes", "detect", options={"strides": [32], "coefficients": 1}),
        {"rows": rows, "prototypes": np.ones((1, 1, 8, 8), np.float32)},
        half,
        Ask(),
    )
    assert not isinstance(boxes_only, Segments)


def test_nanodet_with_prototypes(manifest: Make, half: Fit) -> None:
    bank = np.zeros((1, 2, 8, 8), np.float32)
    bank[0, 0] = 1
    bank[0, 1, :, 4:] = 2
    rows = np.zeros((1, 1, 8), np.float32)
    rows[0, 0] = [0.9, 0.2, 0, 0, 1, 1, 1, -1]  # two scores, four distances in strides, two coefficients
    options = {"strides": [32], "coefficients": 2, "bins": 1}
    got = read(manifest("nanodet_prototypes", "segment", options=options), {"r": rows, "p": bank}, half)
    assert got.detections.xyxy.tolist() == [[0, 0, 64, 64]]
    assert got.detections.label.tolist() == [0]
    (mask,) = got.masks
    assert (mask.left, mask.top, mask.bits.shape) == (0, 0, (64, 32))


def _two_cells(second: float) -> dict[str, np.ndarray]:
    """Two cells that see one object, of scores 0.6 and ``second``; the stronger one draws the left half."""
    bank = np.zeros((1, 2, 8, 8), np.float32)
    bank[0, 0], bank[0, 1, :, 4:] = 1, 2
    rows = np.zeros((1, 4, 7), np.float32)  # one score, four distances in strides, two coefficients
    rows[0, 0] = [0.6, 0, 0, 2, 2, 1, -1]
    rows[0, 1] = [second, 1, 0, 1, 2, 1, 2]
    return {"r": rows, "p": bank}


@pytest.mark.parametrize(("second", "width"), [(0.5, 64), (0.04, 32)])
def test_cells_that_see_one_object_draw_its_outline_together(
    manifest: Make, half: Fit, second: float, width: int
) -> None:
    options = {"strides": [16], "coefficients": 2, "bins": 1}
    toy = manifest("nanodet_prototypes", "segment", options=options, labels=("a",))
    for least in (0.55, 0.3, 0.01):  # the weaker cell has a voice below the threshold, too
        got = heads.read(toy, _two_cells(second), half, Ask(min_score=least))
        assert isinstance(got, Segments)
        assert len(got.masks) == 1
        assert got.masks[0].bits.shape[1] == width
    alone = manifest("nanodet_prototypes", "segment", options=options | {"vote": 1.0}, labels=("a",))
    assert read(alone, _two_cells(second), half).masks[0].bits.shape[1] == 32
