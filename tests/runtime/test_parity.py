import numpy as np
import pytest
from tests.runtime.graphs import SIDE, manifest

from sightline.manifest import Head, InputContract, Manifest
from sightline.registry import Registry
from sightline.runtime.engine import Plan
from sightline.runtime.onnx_engine import OnnxEngine
from sightline.runtime.parity import (
    canvas,
    difference,
    picture,
    read_alike,
    sample,
    samples,
    slack,
    tolerance,
)
from sightline.settings import Settings
from sightline.types import Ask, Detections, Fit, Segments
from sightline.vision import heads


def logits(*values: float) -> dict[str, np.ndarray]:
    return {"logits": np.array([values], np.float32)}


def test_equal_outputs_do_not_differ() -> None:
    assert difference(logits(4, 0, 0), logits(4, 0, 0), manifest()) == 0


def test_the_difference_is_relative_to_the_size_of_the_outputs() -> None:
    assert difference(logits(4, 0, 0), logits(4.04, 0, 0), manifest()) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize(
    "other",
    [logits(0, 4, 0), logits(4, float("nan"), 0), {}],
    ids=["another class", "not a number", "missing"],
)
def test_what_is_read_differently_differs_without_end(other: dict[str, np.ndarray]) -> None:
    assert difference(logits(4, 0, 0), other, manifest()) == float("inf")


def test_classes_that_are_as_good_as_equal_may_swap() -> None:
    assert difference(logits(1.001, 1, 0), logits(1, 1.001, 0), manifest()) < tolerance("fp32")


def yolox(x: float) -> dict[str, np.ndarray]:
    """One certain object in a 32x32 picture, its centre at x: 21 cells of (x, y, w, h, object, class)."""
    rows = np.zeros((1, 21, 6), np.float32)
    rows[0, 0] = (x / 8, 1, 0, 0, 1, 1)
    return {"output": rows}


@pytest.mark.parametrize(("moved", "alike"), [(1.5, True), (3.0, False)])
def test_sure_boxes_may_move_two_pixels(moved: float, alike: bool) -> None:
    contract = InputContract(width=32, height=32)
    detector = manifest(task="detect", labels=("dot",), head=Head(kind="yolox"), input=contract)
    assert np.isfinite(difference(yolox(8), yolox(8 + moved), detector)) == alike


def mask_rcnn(*objects: tuple[float, float, float], shape: float = 1.0) -> dict[str, np.ndarray]:
    """Squares of 40 pixels: left edge, class number, score; ``shape`` of each is filled."""
    square = np.zeros((1, 28, 28), np.float32)
    square[:, : round(28 * shape)] = 1
    return {
        "boxes": np.array([[x, 10, x + 40, 50] for x, _, _ in objects], np.float32).reshape(-1, 4),
        "labels": np.array([label for _, label, _ in objects], np.int64),
        "scores": np.array([score for _, _, score in objects], np.float32),
        "masks": np.stack([square] * len(objects)) if objects else np.zeros((0, 1, 28, 28), np.float32),
    }


def segmenter(task: str = "segment", **contract: object) -> Manifest:
    fields = {"width": 128, "height": 128, **contract}
    head = Head(kind="maskrcnn_zoo")
    return manifest(task=task, labels=("cat", "dog"), head=head, input=InputContract.model_validate(fields))


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        (mask_rcnn((5, 1, 0.9), (60, 2, 0.8)), True),
        (mask_rcnn((60, 2, 0.8), (5, 1, 0.8)), True),
        (mask_rcnn((6, 1, 0.9), (61, 2, 0.45)), True),
        (mask_rcnn((5, 1, 0.9), (60, 2, 0.8), (30, 1, 0.4)), True),
        (mask_rcnn((5, 1, 0.9)), False),
        (mask_rcnn(), False),
        (mask_rcnn((5, 1, 0.9), (60, 2, 0.8), (30, 1, 0.6)), False),
        (mask_rcnn((5, 1, 0.9), (60, 1, 0.8)), False),
        (mask_rcnn((5, 1, 0.9), (60, 2, 0.8), shape=0.9), True),
        (mask_rcnn((5, 1, 0.9), (60, 2, 0.8), shape=0.5), False),
    ],
    ids=["same", "swapped", "moved", "faint", "one less", "none", "one more", "label", "mask", "half a mask"],
)
def test_objects_that_the_graph_chose_are_compared_as_objects(
    other: dict[str, np.ndarray], alike: bool
) -> None:
    here = mask_rcnn((5, 1, 0.9), (60, 2, 0.8))
    assert difference(here, here, segmenter()) == 0
    assert (difference(here, other, segmenter()) == 0) == alike
    assert (difference(other, here, segmenter()) == 0) == alike


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        (mask_rcnn((5, 1, 0.3)), True),
        (mask_rcnn((5, 1, 0.2)), True),
        (mask_rcnn((5, 1, 0.3), (60, 2, 0.23)), True),
        (mask_rcnn(), False),
        (mask_rcnn((60, 1, 0.3)), False),
        (mask_rcnn((5, 1, 0.3), (60, 2, 0.3)), False),
    ],
    ids=["same", "weaker", "fainter one more", "none", "elsewhere", "one more"],
)
def test_where_nothing_is_sure_the_best_is_compared(other: dict[str, np.ndarray], alike: bool) -> None:
    """An engine that finds nothing at all agreed with each model that knows nothing in the samples."""
    here = mask_rcnn((5, 1, 0.3))
    assert (difference(here, other, segmenter()) == 0) == alike
    assert (difference(other, here, segmenter()) == 0) == alike


def test_what_is_hardly_seen_may_be_missing() -> None:
    assert difference(mask_rcnn((5, 1, 0.19)), mask_rcnn(), segmenter()) == 0


def test_masks_count_only_where_the_model_shows_them() -> None:
    here, half = mask_rcnn((5, 1, 0.9)), mask_rcnn((5, 1, 0.9), shape=0.5)
    assert difference(here, half, segmenter("detect")) == 0


def test_slack_lets_boxes_and_masks_move() -> None:
    here, moved = mask_rcnn((5, 1, 0.9)), mask_rcnn((8.5, 1, 0.9))
    assert not read_alike(here, moved, segmenter())
    assert read_alike(here, moved, segmenter(), slack("int8"))


def test_boxes_are_read_on_the_canvas_that_was_looked_at() -> None:
    """Fractions of a small canvas are few pixels, of the largest that the contract allows many."""
    detector = manifest(
        task="detect",
        labels=("cat",),
        head=Head(kind="ultraface"),
        input=InputContract(
            width=256, height=256, resize="short_side", short_side=64, multiple_of=32, layout="NHWC"
        ),
    )

    def face(x: float) -> dict[str, np.ndarray]:
        box = np.array([[[x, 0.1, x + 0.5, 0.6]]], np.float32)
        return {"scores": np.array([[[0.1, 0.9]]], np.float32), "boxes": box}

    size = canvas(sample(detector.input), detector.input)
    assert size == (64, 64)
    assert read_alike(face(0.1), face(0.12), detector, size=size)
    assert not read_alike(face(0.1), face(0.12), detector)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "CHW"])
def test_a_photograph_is_among_the_samples(layout: str) -> None:
    fields = {"width": 320, "height": 256, "resize": "short_side", "short_side": 128, "layout": layout}
    contract = InputContract.model_validate(fields | {"multiple_of": 32})
    made_up, photograph = samples(contract)
    assert np.array_equal(made_up, sample(contract))
    assert canvas(photograph, contract) == (192, 128)
    assert photograph.ndim == made_up.ndim


def test_the_bundled_detector_has_something_to_find_in_the_photograph() -> None:
    bundle = Registry(Settings()).resolve()
    _, photograph = samples(bundle.manifest.input)
    outputs = OnnxEngine(bundle.model_path, Plan()).run(photograph)
    side = canvas(photograph, bundle.manifest.input)
    found = heads.read(bundle.manifest, outputs, Fit(1, 1, 0, 0, *side, *side), Ask(min_score=0.5))
    boxes = found.detections if isinstance(found, Segments) else found
    assert isinstance(boxes, Detections)
    assert len(boxes) > 0


def test_the_made_up_picture_is_always_the_same() -> None:
    assert np.array_equal(picture(40, 60), picture(40, 60))
    assert picture(40, 60).shape == (40, 60, 3)


@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({}, (1, 3, SIDE, SIDE)),
        ({"layout": "NHWC"}, (1, SIDE, SIDE, 3)),
        ({"layout": "CHW"}, (3, SIDE, SIDE)),
        (
            {"resize": "short_side", "width": 128, "height": 96, "short_side": 64, "multiple_of": 32},
            (1, 3, 64, 64),
        ),
    ],
)
def test_samples_have_the_shape_of_the_contract(changes: dict[str, object], shape: tuple[int, ...]) -> None:
    contract = InputContract.model_validate(manifest().input.model_dump() | changes)
    assert sample(contract).shape == shape
