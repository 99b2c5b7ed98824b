"""Recipes: what they hold, what overrides change, what is refused and in which words."""

from pathlib import Path
from typing import Any

import pytest

from sightline.errors import ConfigError
from sightline.training.recipe import RECIPES, load_recipe
from sightline.training.recipe_detect import DetectRecipe

pytestmark = pytest.mark.train


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid_and_is_found_by_its_name(path: Path) -> None:
    assert load_recipe(Path(path.stem)).name == path.stem


@pytest.mark.parametrize("name", ["everyday", "people"])
def test_detectors_never_train_on_pictures_that_models_are_judged_on(name: str) -> None:
    recipe = load_recipe(Path(name))
    assert isinstance(recipe, DetectRecipe)
    for source in recipe.data.train:
        assert "val" not in source.pictures
        assert "val" not in source.annotations
        assert "test" not in source.pictures
        assert "/val2017/" in source.except_url or "coco" not in source.pictures


def test_people_leaves_out_what_is_in_people_val_too() -> None:
    recipe = load_recipe(Path("people"))
    assert isinstance(recipe, DetectRecipe)
    left = {source.pictures: source.except_url for source in recipe.data.train}
    assert "/000000204805.jpg" in left["data/coco_mini/images/train"]
    assert "/000000037675.jpg" in left["../public/coco-four/images"]


def test_overrides_reach_into_tables(recipe: Path) -> None:
    changed = load_recipe(recipe, {"optimiser.epochs": 7, "loss.teacher": 0.0, "seed": 9})
    assert isinstance(changed, DetectRecipe)
    assert (changed.optimiser.epochs, changed.loss.teacher, changed.seed) == (7, 0.0, 9)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"optimiser.epoch": 1}, "optimiser.epoch"),
        ({"optimiser.rate": -1}, "optimiser.rate"),
        ({"network.kind": "magic"}, "network.kind"),
        ({"name": "Not A Name"}, "name"),
        ({"input.width": 640}, "square"),
        ({"input.mean": [0, 0, 0]}, "mean"),
        ({"input.resize": "crop"}, "letterbox or stretch"),
        ({"augment.sizes": [100]}, "multiples of 32"),
        ({"seed.deeper": 1}, "no table"),
        ({"task": "dance"}, "task.*detect.*classify"),
        ({"optimiser.rate": float("nan")}, "optimiser.rate"),
        ({"augment.sizes": [0]}, "augment.sizes"),
        ({"augment.scale": [1.4, 0.6]}, "augment.*scale must rise"),
        ({"augment.scale": [0, 1]}, "augment.*scale must rise"),
        ({"augment.scale": [1.2, 1.4]}, "augment.*at most 1"),
        ({"seed": -1}, "seed"),
    ],
    ids=[
        "unknown key",
        "negative",
        "unknown network",
        "bad name",
        "not square",
        "other normalising",
        "cut off",
        "odd sizes",
        "through a value",
        "no such task",
        "not a number",
        "no canvas",
        "falling scale",
        "scale of nothing",
        "mosaics of large ones",
        "no seed",
    ],
)
def test_wrong_values_are_named(recipe: Path, overrides: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_recipe(recipe, overrides)


def test_a_missing_recipe_names_the_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(tmp_path / "none.toml")
    assert "everyday" in caught.value.next_step


def test_a_recipe_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("name = [")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(path)
