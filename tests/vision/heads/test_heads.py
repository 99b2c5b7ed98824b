"""What holds for every head: the dict, the options, the ask."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sightline.errors import BadOption, ModelFailed, ModelRefused
from sightline.manifest import Head, InputContract, Manifest, Thresholds
from sightline.types import Ask, Classification, Detections, Fit, Segments
from sightline.vision import boxes, heads

Make = Callable[..., Manifest]


def rows(*values: list[float]) -> dict[str, Any]:
    return {"output": np.array([values], np.float32)}


def one_cell(score: float, cat: float, dog: float) -> list[float]:
    return [0.5, 0.5, 0, 0, score, cat, dog]


@pytest.mark.parametrize("kind", heads.HEADS)
def test_every_head_is_described(kind: str, root: Any) -> None:
    assert f"`{kind}`" in (root / "docs" / "reference" / "heads.md").read_text()
    assert heads.HEADS[kind].read.__doc__


@pytest.mark.parametrize("kind", heads.HEADS)
def test_every_option_is_described(kind: str, root: Any) -> None:
    text = (root / "docs" / "reference" / "heads.md").read_text()
    for name in heads.HEADS[kind].options.model_fields:
        assert f"`{name}`" in text, name


@pytest.mark.parametrize(
    ("kind", "task", "options", "says"),
    [
        ("yolo9000", "detect", {}, "no head 'yolo9000'.*softmax"),
        ("yolox", "classify", {}, "is for the task 'detect'"),
        ("yolox", "segment", {}, "is for the task 'detect'"),
        ("yolox", "detect", {"stride": 8}, "option 'stride'"),
        ("yolox", "detect", {"strides": "x"}, "option 'strides'"),
        ("yolox", "detect", {"raw_ids": [1]}, "one class number for each of 2 labels"),
        ("yolox", "detect", {"raw_ids": [1, 1]}, "one class number for each of 2 labels"),
        ("logits", "classify", {"temperature": 0}, "option 'temperature'"),
    ],
)
def test_an_unusable_head_is_refused(manifest: Make, kind: str, task: str, options: Any, says: str) -> None:
    with pytest.raises(ModelRefused, match=says):
        heads.check(manifest(kind, task, options=options))


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (Ask(min_score=1.5), "between 0 and 1"),
        (Ask(min_score=float("nan")), "between 0 and 1"),
        (Ask(max_results=0), "between 1 and 1000"),
        (Ask(labels=frozenset({"zebra"})), "no label 'zebra'.*cat, dog"),
    ],
)
def test_an_unusable_ask_is_refused(manifest: Make, ask: Ask, says: str) -> None:
    with pytest.raises(BadOption, match=says):
        heads.need(manifest("yolox"), ask)


def test_the_ask_goes_over_the_thresholds(manifest: Make, half: Fit) -> None:
    toy = manifest("yolox", options={"strides": [32]}, max_results=1)
    output = rows(one_cell(1, 0.2, 0.9))
    assert len(read(toy, output, half, Ask())) == 1
    assert len(read(toy, output, half, Ask(min_score=0.95))) == 0
    assert len(read(toy, output, half, Ask(labels=frozenset({"cat"})))) == 0
    assert len(read(toy, output, half, Ask(labels=frozenset({"cat", "dog"})))) == 1


def read(toy: Manifest, outputs: dict[str, Any], fit: Fit, ask: Ask) -> Detections:
    got = heads.read(toy, outputs, fit, ask)
    assert isinstance(got, Detections)
    return got


def test_outputs_are_found_by_name_by_role_and_by_place(manifest: Make, half: Fit) -> None:
    good, junk = rows(one_cell(1, 0, 0.9))["output"], np.zeros((1, 4), np.float32)
    by_place = manifest("yolox", options={"strides": [32]})
    by_name = manifest("yolox", options={"strides": [32], "outputs": {"rows": "right"}})
    assert len(read(by_place, {"a": good, "b": junk}, half, Ask())) == 1
    assert len(read(by_place, {"b": junk, "rows": good}, half, Ask())) == 1
    assert len(read(by_name, {"b": junk, "right": good}, half, Ask())) == 1
    with pytest.raises(ModelFailed, match=r"needs an output 'right' \(rows\).*b"):
        read(by_name, {"b": junk}, half, Ask())


@pytest.mark.parametrize(
    ("kind", "task", "outputs", "says"),
    [
        ("softmax", "classify", {"o": (1, 5)}, "5 classes.*2 labels"),
        ("yolox", "detect", {"o": (1, 21, 9)}, "7 numbers, got 9"),
        ("yolox", "detect", {"o": (1, 20, 7)}, "make 21 cells on 32 x 32.*has 20"),
        ("yolox", "detect", {"o": (7,)}, "must be any x any.*got 7"),
        ("fastestdet", "detect", {"o": (1, 9, 2, 2)}, "4 classes.*2 labels"),
        ("yunet", "detect", {"o": (1, 9, 2, 2)}, "needs an output 'cls_8'"),
        ("nanodet", "detect", {"o": (1, 22, 50)}, "18 classes"),
        ("ssd", "detect", {"boxes": (3, 4), "labels": (3,), "scores": (2,)}, "'scores' must be 3"),
        ("detr", "detect", {"logits": (1, 5, 3), "boxes": (1, 4, 4)}, "'boxes' must be 5 x 4"),
        ("ultraface", "detect", {"scores": (1, 5, 2), "boxes": (1, 5, 4)}, "2 classes.*starts at class 1"),
        (
            "maskrcnn_zoo",
            "segment",
            {"a": (2, 4), "b": (2,), "c": (2,), "d": (3, 1, 28, 28)},
            "'masks' must be 2",
        ),
        ("prototypes", "segment", {"o": (1, 21, 39), "p": (1, 30, 8, 8)}, "'prototypes' must be 32"),
        ("nanodet_prototypes", "segment", {"o": (1, 22, 66), "p": (1, 9, 8, 8)}, "'prototypes' must be 32"),
        ("nanodet_prototypes", "segment", {"o": (1, 22, 39), "p": (1, 32, 8, 8)}, "classes.*2 labels"),
        ("deeplab", "segment", {"o": (1, 8, 8, 5)}, "must be 2 x any x any"),
        ("bodypix", "segment", {"segments": (1, 8, 8, 2)}, "'segments' must be any x any x 1"),
    ],
)
def test_outputs_of_the_wrong_shape_are_named(
    manifest: Make, half: Fit, kind: str, task: str, outputs: dict[str, tuple[int, ...]], says: str
) -> None:
    arrays = {name: np.full(shape, 0.9, np.float32) for name, shape in outputs.items()}
    with pytest.raises(ModelFailed, match=says):
        heads.read(manifest(kind, task), arrays, half, Ask())


wild = st.one_of(
    st.floats(-3, 3, width=32), st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 100.0, -100.0])
)


@given(hnp.arrays(np.float32, (1, 21, 7), elements=wild), st.floats(0, 1))
def test_wild_numbers_give_clean_boxes(raw: Any, least: float) -> None:
    fit = Fit(0.5, 0.5, 3, 2, 50, 40, 32, 32)
    toy = Manifest(
        name="toy",
        task="detect",
        labels=("cat", "dog"),
        input=InputContract(width=32, height=32),
        head=Head(kind="yolox"),
        thresholds=Thresholds(min_score=least),
    )
    found = read(toy, {"o": raw}, fit, Ask())
    assert np.isfinite(found.xyxy).all()
    assert boxes.is_real(found.xyxy).all()
    assert (found.xyxy >= 0).all()
    assert (found.xyxy <= [50, 40, 50, 40]).all()
    assert (np.diff(found.score) <= 0).all()
    assert ((found.score >= np.float32(least)) & (found.score <= 1)).all()
    same = found.label[:, None] == found.label[None, :]
    overlap = boxes.iou(found.xyxy, found.xyxy) * same
    np.fill_diagonal(overlap, 0)
    assert (overlap <= toy.thresholds.iou + 1e-5).all()


_YUNET = (("cls", 1), ("obj", 1), ("bbox", 4))
SHAPES: dict[str, tuple[str, dict[str, tuple[int, ...]]]] = {
    "softmax": ("classify", {"o": (1, 2)}),
    "logits": ("classify", {"o": (1, 2)}),
    "sigmoid": ("classify", {"o": (1, 2)}),
    "yolox": ("detect", {"o": (1, 21, 7)}),
    "nanodet": ("detect", {"o": (1, 22, 34)}),
    "fastestdet": ("detect", {"o": (1, 7, 2, 2)}),
    "yunet": ("detect", {f"{k}_{s}": (1, (32 // s) ** 2, n) for s in (8, 16, 32) for k, n in _YUNET}),
    "ssd": ("detect", {"boxes": (3, 4), "labels": (3,), "scores": (3,), "count": (1,)}),
    "detr": ("detect", {"logits": (1, 5, 3), "boxes": (1, 5, 4)}),
    "ultraface": ("detect", {"scores": (1, 5, 3), "boxes": (1, 5, 4)}),
    "maskrcnn_torchvision": ("segment", {"boxes": (3, 4), "l": (3,), "s": (3,), "masks": (3, 1, 32, 32)}),
    "maskrcnn_zoo": ("segment", {"boxes": (3, 4), "l": (3,), "s": (3,), "masks": (3, 1, 4, 4)}),
    "prototypes": ("segment", {"o": (1, 21, 39), "p": (1, 32, 8, 8)}),
    "nanodet_prototypes": ("segment", {"o": (1, 22, 66), "p": (1, 32, 8, 8)}),
    "deeplab": ("segment", {"o": (1, 4, 4, 2)}),
    "bodypix": ("segment", {"segments": (1, 3, 3, 1)}),
}


@pytest.mark.parametrize("kind", heads.HEADS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(data=st.data())
def test_wild_numbers_give_an_answer_or_an_error_in_words(
    manifest: Make, half: Fit, kind: str, data: st.DataObject
) -> None:
    task, shapes = SHAPES[kind]
    few = st.sampled_from([0.5, 0.9, 1.0, 4.0, 20.0, np.nan, np.inf, -np.inf, 3e38, -3e38, -1.0])
    outputs = {name: data.draw(hnp.arrays(np.float32, shape, elements=few)) for name, shape in shapes.items()}
    toy = manifest(kind, task, labels=("cat",) if kind in {"yunet", "bodypix"} else ("cat", "dog"))
    if kind == "ssd" and not 0 <= outputs["count"][0] < np.inf:
        with pytest.raises(ModelFailed, match="'count'"):
            heads.read(toy, outputs, half, Ask())
        return
    got = heads.read(toy, outputs, half, Ask())
    score = got.detections.score if isinstance(got, Segments) else got.score
    assert ((score >= 0) & (score <= 1)).all()


@pytest.mark.parametrize("count", [np.nan, np.inf, -1.0])
def test_a_count_that_is_none_is_named(manifest: Make, half: Fit, count: float) -> None:
    outputs = {
        "boxes": np.array([[2, 2, 20, 20]], np.float32),
        "labels": np.array([1]),
        "scores": np.array([0.9], np.float32),
        "count": np.array([count], np.float32),
    }
    with pytest.raises(ModelFailed, match="'count' must be one number of at least 0"):
        heads.read(manifest("ssd"), outputs, half, Ask())


@pytest.mark.parametrize("side", [0, 1, 2, 3])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_an_endless_box_of_mask_rcnn_is_no_object(manifest: Make, half: Fit, side: int, value: float) -> None:
    box = np.array([[2, 2, 20, 20], [2, 2, 20, 20]], np.float32)
    box[0, side] = value
    outputs = {
        "boxes": box,
        "labels": np.array([1, 2]),
        "scores": np.array([0.9, 0.8], np.float32),
        "masks": np.ones((2, 1, 28, 28), np.float32),
    }
    got = heads.read(manifest("maskrcnn_zoo", "segment"), outputs, half, Ask())
    assert isinstance(got, Segments)
    assert got.detections.label.tolist() == [1]


def test_what_numpy_cannot_read_is_an_error_in_words(manifest: Make, half: Fit) -> None:
    with pytest.raises(ModelFailed, match="cannot be read by the head 'softmax'"):
        heads.read(manifest("softmax", "classify"), {"p": np.array([["a", "b"]])}, half, Ask())


def test_class_numbers_beyond_the_output_are_named(manifest: Make, half: Fit) -> None:
    toy = manifest("softmax", "classify", options={"raw_ids": [0, 7]})
    with pytest.raises(ModelFailed, match="5 classes"):
        heads.read(toy, {"o": np.zeros((1, 5), np.float32)}, half, Ask())


def test_masks_are_left_out_when_the_task_is_detect(manifest: Make, half: Fit) -> None:
    outputs = {
        "boxes": np.array([[2, 2, 20, 20]], np.float32),
        "labels": np.array([2]),
        "scores": np.array([0.9], np.float32),
        "masks": np.ones((1, 1, 28, 28), np.float32),
    }
    got = heads.read(manifest("maskrcnn_zoo", "detect"), outputs, half, Ask())
    assert isinstance(got, Detections)
    assert got.label.tolist() == [1]


def test_a_classifier_gives_a_classification(manifest: Make, half: Fit) -> None:
    got = heads.read(manifest("softmax", "classify"), {"p": np.array([[0.2, 0.8]], np.float32)}, half, Ask())
    assert isinstance(got, Classification)
