"""Semantic maps by hand: canvas 32 x 32, original 64 x 64, cells of 4 canvas pixels."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sightline.manifest import Manifest
from sightline.types import Ask, Detections, Fit, Float32, Segments
from sightline.vision import heads, masks
from sightline.vision.heads import semantic

Make = Callable[..., Manifest]
LABELS = ("background", "cat", "dog")


def scores(owner: Any) -> Float32:
    """(h, w) class numbers -> (1, h, w, 3) logits of 0.9 / 0.05 / 0.05."""
    share = np.full((*np.shape(owner), 3), 0.05, np.float32)
    np.put_along_axis(share, np.asarray(owner)[..., None], 0.9, -1)
    return np.log(share)[None]


def read(toy: Manifest, outputs: dict[str, Any], fit: Fit, ask: Ask | None = None) -> Segments:
    got = heads.read(toy, outputs, fit, ask or Ask())
    assert isinstance(got, Segments)
    return got


def quarters() -> Any:
    owner = np.zeros((8, 8), np.int64)
    owner[:4, :4] = 1
    owner[6:, 6:] = 1
    owner[:2, 6:] = 2
    return owner


def test_one_segment_per_class(manifest: Make, half: Fit) -> None:
    got = read(manifest("deeplab", "segment", LABELS), {"out": scores(quarters())}, half)
    assert sorted(got.detections.label.tolist()) == [1, 2]
    assert got.detections.score.tolist() == pytest.approx([0.9, 0.9])
    for mask, label in zip(got.masks, got.detections.label.tolist(), strict=True):
        wanted = np.kron(quarters() == label, np.ones((8, 8))) > 0
        union = masks.full(mask, 64, 64) | wanted
        assert (masks.full(mask, 64, 64) & wanted).sum() / union.sum() > 0.95


def test_one_segment_per_region(manifest: Make, half: Fit) -> None:
    toy = manifest("deeplab", "segment", LABELS, {"regions": True})
    got = read(toy, {"out": scores(quarters())}, half)
    assert sorted(got.detections.label.tolist()) == [1, 1, 2]
    cats = [
        box
        for box, label in zip(got.detections.xyxy.tolist(), got.detections.label, strict=True)
        if label == 1
    ]
    assert sorted(cats) == [[0, 0, 32, 32], [48, 48, 64, 64]]


def test_the_axes_are_told_apart(manifest: Make, half: Fit) -> None:
    channels_first = np.moveaxis(scores(quarters()), -1, 1)
    for options in ({}, {"layout": "NCHW"}):
        got = read(manifest("deeplab", "segment", LABELS, options), {"out": channels_first}, half)
        assert sorted(got.detections.label.tolist()) == [1, 2]


def test_labels_without_the_background(manifest: Make, half: Fit) -> None:
    toy = manifest("deeplab", "segment", LABELS[1:], {"first_label": 1})
    assert sorted(read(toy, {"out": scores(quarters())}, half).detections.label.tolist()) == [0, 1]


def test_without_a_background_every_pixel_counts(manifest: Make, half: Fit) -> None:
    toy = manifest("deeplab", "segment", LABELS, {"background": -1})
    got = read(toy, {"out": scores(quarters())}, half)
    assert sorted(got.detections.label.tolist()) == [0, 1, 2]
    covered = sum(masks.full(mask, 64, 64).astype(int) for mask in got.masks)
    assert np.mean(covered == 1) > 0.97


def test_equal_logits_belong_to_the_first_class(manifest: Make, half: Fit) -> None:
    toy = manifest("deeplab", "segment", LABELS)
    assert read(toy, {"out": np.zeros((1, 8, 8, 3), np.float32)}, half).masks == ()


def test_crumbs_are_left_out(manifest: Make, half: Fit) -> None:
    owner = np.zeros((8, 8), np.int64)
    owner[0, 0] = 1
    for least, count in ((0.1, 0), (0.0, 1)):
        toy = manifest("deeplab", "segment", LABELS, {"min_area": least})
        assert len(read(toy, {"out": scores(owner)}, half).masks) == count


def test_the_ask_chooses(manifest: Make, half: Fit) -> None:
    toy = manifest("deeplab", "segment", LABELS)
    outputs = {"out": scores(quarters())}
    assert read(toy, outputs, half, Ask(labels=frozenset({"dog"}))).detections.label.tolist() == [2]
    assert len(read(toy, outputs, half, Ask(min_score=0.95)).masks) == 0
    assert len(read(toy, outputs, half, Ask(max_results=1)).masks) == 1
    boxes = heads.read(manifest("deeplab", "detect", LABELS), outputs, half, Ask())
    assert isinstance(boxes, Detections)
    assert len(boxes) == 2


def test_padding_is_not_looked_at(manifest: Make) -> None:
    fit = Fit(0.5, 0.5, 0, 0, 64, 32, 32, 32)  # the lower half of the canvas is padding
    owner = np.zeros((8, 8), np.int64)
    owner[4:] = 2
    owner[:4, :4] = 1
    got = read(manifest("deeplab", "segment", LABELS), {"out": scores(owner)}, fit)
    assert got.detections.label.tolist() == [1]
    assert got.detections.xyxy.tolist() == [[0, 0, 32, 32]]


def test_bodypix(manifest: Make) -> None:
    fit = Fit(1, 1, 0, 0, 33, 33, 33, 33)
    field = np.full((1, 3, 3, 1), -2.0, np.float32)
    field[0, :, 0] = 2  # the cells at canvas column 0; the border lies half way to column 16
    got = read(manifest("bodypix", "segment", ("person",)), {"segments": field, "heatmaps": field}, fit)
    assert got.detections.xyxy.tolist() == [[0, 0, 8, 33]]
    assert got.detections.score.tolist() == pytest.approx([1 / (1 + np.exp(-2))])


@pytest.mark.parametrize("kind", ["deeplab", "bodypix"])
def test_a_map_of_noise_costs_no_more_than_its_answer(manifest: Make, kind: str) -> None:
    """Every second cell is a region of its own: a map of cells for each would be half a gigabyte."""
    board = np.indices((128, 128)).sum(0) % 2
    noise = (2 * board - 1).astype(np.float32)[None, ..., None]
    outputs = {"segments": noise} if kind == "bodypix" else {"out": np.concatenate([-noise, noise], -1)}
    options: dict[str, Any] = {"regions": True, "min_area": 0.0}
    options |= {"stride": 4} if kind == "bodypix" else {"first_label": 1}
    toy = manifest(kind, "segment", ("cat",), options, max_results=20)
    fit = Fit(1, 1, 0, 0, 512, 512, 512, 512)
    tracemalloc.start()
    try:
        found = read(toy, outputs, fit)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found.masks) == 20
    assert all(mask.bits.shape < (12, 12) for mask in found.masks)
    assert peak < 32e6


def test_nothing_is_drawn_beyond_the_budget(
    manifest: Make, half: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[masks.Region] = []
    paste = masks.paste

    def watched(*arguments: Any, **named: Any) -> Any:
        drawn.append(arguments[2])
        return paste(*arguments, **named)

    monkeypatch.setattr(masks, "paste", watched)
    monkeypatch.setattr(semantic, "PIXELS_MAX", 1600)
    toy = manifest("deeplab", "segment", LABELS, {"regions": True})
    found = read(toy, {"out": scores(quarters())}, half)
    assert len(found.masks) == len(drawn)
    assert 0 < sum((right - left) * (low - top) for left, top, right, low in drawn) <= 1600
