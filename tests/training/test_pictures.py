"""Pictures with boxes: reading, and variations that keep boxes on their objects."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sightline.errors import BadOption
from sightline.manifest import InputContract
from sightline.training.pictures import Example, labels_of, plain, read_source, vary
from sightline.training.recipe import load_recipe
from sightline.training.recipe_detect import Augment, DetectRecipe
from sightline.types import Frame, Mask
from sightline.vision import masks, preprocess

pytestmark = pytest.mark.train

MARKED = (10, 200, 10)


def example(x: int = 20, y: int = 10, w: int = 30, h: int = 20) -> Example:
    """A gray 100 x 60 picture with one green box."""
    pixels = np.full((60, 100, 3), 128, np.uint8)
    pixels[y : y + h, x : x + w] = MARKED
    none = np.zeros((0, 4), np.float32)
    box = np.array([[x, y, x + w, y + h]], np.float32)
    return Example("one", pixels, box, np.array([1]), none, np.zeros(0, np.int64), complete=True)


def test_read_source_keeps_and_leaves_out_by_address(recipe: Path) -> None:
    plan = load_recipe(recipe)
    assert isinstance(plan, DetectRecipe)
    labels = labels_of(plan)
    assert labels == ("red", "blue")
    used = read_source(plan, plan.data.train[0], labels)
    held = read_source(plan, plan.data.watch[0], labels)
    assert (len(used), len(held)) == (8, 4)
    assert not {e.name for e in used} & {e.name for e in held}
    for one in used:
        x1, y1, x2, y2 = one.xyxy[0].astype(int)
        assert (one.pixels[y1:y2, x1:x2].mean((0, 1)) - one.pixels.mean((0, 1)))[0] > 20  # red


def test_a_missing_file_says_which_setting_to_change(recipe: Path) -> None:
    plan = load_recipe(recipe, {"data.root": "/nowhere"})
    assert isinstance(plan, DetectRecipe)
    with pytest.raises(BadOption) as caught:
        read_source(plan, plan.data.train[0], ("red",))
    assert "data.root" in caught.value.next_step


def test_plain_is_what_serving_does() -> None:
    one = example()
    contract = InputContract(width=64, height=64)
    served = preprocess.fit(Frame(one.pixels, 100, 60), contract)
    sample = plain(one, 64)
    # Content sizes are rounded alike; a pixel of resampling tolerance where decoders may differ.
    assert np.abs(sample.pixels.astype(int) - served.pixels.astype(int)).max() <= 1
    np.testing.assert_allclose(sample.xyxy, served.fit.to_canvas(one.xyxy), atol=0.7)


@pytest.mark.parametrize("mosaic", [0.0, 1.0], ids=["alone", "mosaic"])
def test_boxes_stay_on_their_objects(mosaic: float) -> None:
    pool = [example(), example(50, 30, 40, 25), example(5, 5, 15, 50), example(60, 2, 20, 20)]
    augment = Augment(mosaic=mosaic, colour=0.0)
    seen = 0
    for seed in range(40):
        sample = vary(pool, seed % 4, 128, augment, np.random.default_rng(seed))
        assert sample.pixels.shape == (128, 128, 3)
        for x1, y1, x2, y2 in sample.xyxy:
            assert 0 <= x1 < x2 <= 128
            assert 0 <= y1 < y2 <= 128
            inside = sample.pixels[round(y1) + 1 : round(y2) - 1, round(x1) + 1 : round(x2) - 1]
            assert inside.size
            np.testing.assert_allclose(inside.mean((0, 1)), MARKED, atol=25)
            seen += 1
    assert seen > 30


def test_the_same_seed_gives_the_same_sample() -> None:
    pool = [example()] * 4
    one, two, other = (vary(pool, 0, 64, Augment(), np.random.default_rng([7, s])) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.pixels, two.pixels)
    np.testing.assert_array_equal(one.xyxy, two.xyxy)
    assert not np.array_equal(one.pixels, other.pixels)


def test_what_is_cut_off_is_not_taught_as_nothing() -> None:
    pool = [example(0, 0, 100, 60)]  # fills the picture: mosaics cut it
    doubtful = 0
    for seed in range(60):
        sample = vary(pool, 0, 64, Augment(mosaic=0, scale=(2.5, 3.0)), np.random.default_rng(seed))
        assert len(sample.xyxy) + len(sample.crowd) >= 1
        doubtful += len(sample.crowd)
    assert doubtful > 0


def masked(x: int = 30, y: int = 12, w: int = 40, h: int = 32) -> Example:
    one = example(x, y, w, h)
    bits = np.zeros((h, w), np.bool_)
    bits[:, : w // 2] = True  # the left half
    return replace(one, masks=(Mask(bits, x, y),))


def test_a_mask_follows_its_object() -> None:
    """Scaled, cut, mirrored and put into mosaics: the covered cells are those of the left or right half."""
    pool = [masked()] * 4
    for seed in range(30):
        draw = np.random.default_rng(seed)
        sample = vary(pool, 0, 128, Augment(mosaic=0.5, colour=0.0, aspect=1.5), draw)
        assert sample.masks.shape == (len(sample.xyxy), 32, 32)
        assert sample.masked.all()
        shown = sample.pixels.astype(int)
        red = (np.abs(shown - MARKED).sum(2) < 60).reshape(32, 4, 32, 4).mean((1, 3))
        for mask, (x1, y1, x2, y2) in zip(sample.masks / 255, sample.xyxy / 4, strict=True):
            box = (slice(int(y1), int(np.ceil(y2))), slice(int(x1), int(np.ceil(x2))))
            assert mask.sum() == pytest.approx(mask[box].sum(), rel=0.02)  # nothing outside its box
            assert mask.max() <= 1
            if red[box].sum() > 30 and (x2 - x1) * 4 > 30:
                covered = (mask[box] > 0.9).mean()
                assert covered > 0.1
                assert (red[box][mask[box] > 0.9] > 0.5).mean() > 0.9


def test_a_plain_mask_is_exact_at_whole_cells() -> None:
    one = masked(32, 8, 40, 32)
    sample = plain(replace(one, pixels=np.full((64, 128, 3), 128, np.uint8)), 128, stretch=False)
    wanted = np.zeros((32, 32), np.uint8)
    wanted[2:10, 8:13] = 255
    np.testing.assert_array_equal(sample.masks[0], wanted)


def test_stretched_is_what_serving_does() -> None:
    one = example()
    served = preprocess.fit(Frame(one.pixels, 100, 60), InputContract(width=64, height=64, resize="stretch"))
    sample = plain(one, 64, stretch=True)
    assert np.abs(sample.pixels.astype(int) - served.pixels.astype(int)).max() <= 1
    np.testing.assert_allclose(sample.xyxy, served.fit.to_canvas(one.xyxy), atol=0.01)


def test_polygons_and_run_lengths_become_masks(recipe: Path, toy: Path, tmp_path: Path) -> None:
    table = json.loads((toy / "toy.json").read_text())
    first, second = table["annotations"][:2]
    x, y, w, h = first["bbox"]
    first["segmentation"] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    image = table["images"][0]
    bits = np.ones((second["bbox"][3], second["bbox"][2]), np.bool_)
    placed = Mask(bits, second["bbox"][0], second["bbox"][1])
    second["segmentation"] = masks.to_rle(placed, image["width"], image["height"])
    (tmp_path / "toy.json").write_text(json.dumps(table))
    plan = load_recipe(
        recipe, {"data.train": [{"pictures": "pictures", "annotations": str(tmp_path / "toy.json")}]}
    )
    assert isinstance(plan, DetectRecipe)
    drawn = read_source(plan, plan.data.train[0], ("red", "blue"))[0].masks
    assert [mask.bits.shape for mask in drawn if mask] == [(h, w), bits.shape]
    assert [(mask.left, mask.top) for mask in drawn if mask] == [(x, y), tuple(second["bbox"][:2])]
    others = read_source(plan, plan.data.train[0], ("red", "blue"))[1].masks
    assert others == (None, None)


def test_other_names_files_and_missing_pictures(recipe: Path, toy: Path, tmp_path: Path) -> None:
    table = json.loads((toy / "toy.json").read_text())
    table["categories"] = [{"id": 1, "name": "crimson"}, {"id": 2, "name": "blue"}]
    for item in table["images"]:
        item["source_file"], item["file_name"] = item["file_name"], "elsewhere.jpg"
    table["images"][1]["source_file"] = "none.png"
    (tmp_path / "toy.json").write_text(json.dumps(table))
    source = {
        "pictures": "pictures",
        "annotations": str(tmp_path / "toy.json"),
        "file_key": "source_file",
        "rename": {"crimson": "red"},
        "skip_missing": True,
    }
    plan = load_recipe(recipe, {"data.train": [source]})
    assert isinstance(plan, DetectRecipe)
    read = read_source(plan, plan.data.train[0], ("red", "blue"))
    assert len(read) == 11
    assert all(item.label.tolist() == [0, 1] for item in read)
