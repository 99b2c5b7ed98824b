import numpy as np
import pytest
from tests.runtime.graphs import SIDE, manifest

from sightline.manifest import Head, InputContract
from sightline.runtime.parity import difference, picture, sample, tolerance


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
