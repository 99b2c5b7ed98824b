"""Two looks at one picture of 64 x 64, on canvases of 32 x 32 and 16 x 16: what they find competes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from sightline.manifest import Manifest
from sightline.types import Ask, Classification, Detections, Fit, Mask, Seen, Segments
from sightline.vision import heads
from sightline.vision.heads.looks import together, worth

Make = Callable[..., Manifest]
QUARTER = Fit(0.25, 0.25, 0, 0, 64, 64, 16, 16)


def rows(*things: Sequence[float]) -> dict[str, Any]:
    return {"rows": np.array(things, np.float32).reshape(-1, 6)}


def look(
    toy: Manifest, large: dict[str, Any], small: dict[str, Any], fit: Fit, ask: Ask | None = None
) -> Seen:
    return heads.read_looks(toy, [(large, fit), (small, QUARTER)], ask or Ask())


@pytest.fixture
def toy(manifest: Make) -> Manifest:
    return manifest("ssd", options={"packed": True, "box_unit": "pixels"})


def test_the_stronger_of_two_that_see_the_same_stays(toy: Manifest, half: Fit) -> None:
    large = rows([4, 4, 12, 12, 0.6, 0], [20, 20, 24, 24, 0.7, 1])
    small = rows([2, 2, 6, 6, 0.8, 0])
    got = look(toy, large, small, half)
    assert isinstance(got, Detections)
    assert got.score.tolist() == pytest.approx([0.8, 0.7])
    assert got.xyxy.tolist() == [[8, 8, 24, 24], [40, 40, 48, 48]]
    assert got.label.tolist() == [0, 1]


def test_other_labels_stay_unless_all_compete(manifest: Make, half: Fit) -> None:
    large, small = rows([4, 4, 12, 12, 0.6, 0]), rows([2, 2, 6, 6, 0.8, 1])
    each = manifest("yolox", options={"strides": [32]})
    assert not each.head.options.get("class_agnostic")
    found = [
        heads.read(manifest("ssd", options={"packed": True}), one, fit, Ask())
        for one, fit in ((large, half), (small, QUARTER))
    ]
    need = heads.need(each, Ask())
    assert len(_boxes(together(found, need))) == 2
    assert _boxes(together(found, need, agnostic=True)).label.tolist() == [1]


def test_no_more_than_were_asked_for(toy: Manifest, half: Fit) -> None:
    large, small = rows([4, 4, 12, 12, 0.6, 0]), rows([8, 8, 12, 12, 0.8, 0])
    assert _boxes(look(toy, large, small, half, Ask(max_results=1))).score.tolist() == pytest.approx([0.8])


def test_looks_that_find_nothing(toy: Manifest, half: Fit) -> None:
    assert len(_boxes(look(toy, rows(), rows(), half))) == 0
    assert len(_boxes(look(toy, rows(), rows([2, 2, 6, 6, 0.8, 0]), half))) == 1


def test_what_is_small_in_a_further_look_is_left_to_the_first(toy: Manifest, half: Fit) -> None:
    tiny, enough = [2, 2, 3, 3.4, 0.9, 0], [8, 8, 9, 9.5, 0.8, 0]  # of 16 x 16, where 1.2 is the least side
    found = _boxes(look(toy, rows([20, 20, 21, 21, 0.7, 0]), rows(tiny, enough), half))
    assert found.score.tolist() == pytest.approx([0.8, 0.7])


def test_small_ones_take_nobodys_place(toy: Manifest, half: Fit) -> None:
    """A look is cut at ``max_results`` only when they are gone."""
    further = rows([2, 2, 3, 3, 0.9, 0], [8, 8, 12, 12, 0.8, 0])
    found = _boxes(look(toy, rows([20, 20, 24, 24, 0.5, 0]), further, half, Ask(max_results=1)))
    assert found.score.tolist() == pytest.approx([0.8])


def test_masks_stay_with_their_objects_when_small_ones_go() -> None:
    box = np.array([[0, 0, 2, 2], [10, 10, 40, 40], [0, 0, 30, 30]], np.float32)
    found = Detections(box, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int64))
    masks = tuple(Mask(np.ones((size, size), np.bool_), 0, 0) for size in (1, 2, 3))
    kept = worth(Segments(found, masks), QUARTER)
    assert isinstance(kept, Segments)
    assert [mask.bits.shape[0] for mask in kept.masks] == [2, 3]
    assert kept.detections.score.tolist() == pytest.approx([0.8, 0.7])


def test_each_object_keeps_the_mask_of_its_own_look(manifest: Make) -> None:
    def seen(box: list[float], score: float, mark: int) -> Segments:
        one = Detections(np.array([box], np.float32), np.array([score], np.float32), np.array([0]))
        return Segments(one, (Mask(np.ones((mark, mark), np.bool_), 0, 0),))

    need = heads.need(manifest("maskrcnn_zoo", "segment"), Ask())
    same = together([seen([0, 0, 8, 8], 0.5, 1), seen([0, 0, 8, 9], 0.9, 2)], need)
    assert isinstance(same, Segments)
    assert [mask.bits.shape for mask in same.masks] == [(2, 2)]
    apart = together([seen([0, 0, 8, 8], 0.5, 1), seen([20, 20, 28, 28], 0.9, 2)], need)
    assert isinstance(apart, Segments)
    assert [mask.bits.shape for mask in apart.masks] == [(2, 2), (1, 1)]
    assert apart.detections.score.tolist() == pytest.approx([0.9, 0.5])


def test_one_look_is_what_it_always_was(toy: Manifest, manifest: Make, half: Fit) -> None:
    one = rows([4, 4, 12, 12, 0.6, 0])
    alone, looked = heads.read(toy, one, half, Ask()), heads.read_looks(toy, [(one, half)], Ask())
    assert _boxes(looked).xyxy.tolist() == _boxes(alone).xyxy.tolist()
    classes = heads.read_looks(
        manifest("softmax", "classify"), [({"out": np.array([[0.1, 0.9]], np.float32)}, half)], Ask()
    )
    assert isinstance(classes, Classification)


def _boxes(seen: Seen) -> Detections:
    assert isinstance(seen, Detections)
    return seen
