"""Releasing: the card says what was measured, and only that."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from sightline.evaluation import ClassRow, Figure, Report, Rules
from sightline.registry import Registry, read_bundle
from sightline.settings import load_settings
from sightline.training.card import Judgement, command_of, write_card
from sightline.training.checkpoint import read_log
from sightline.training.machine import machine
from sightline.training.recipe import RECIPES, load_recipe
from sightline.training.release import release
from sightline.training.run import train
from sightline.types import ModelRef

pytestmark = pytest.mark.train

BUNDLED = Path(__file__).resolve().parents[2] / "src" / "sightline" / "bundled"


def test_a_released_bundle_carries_its_measurements(recipe: Path, toy: Path, tmp_path: Path) -> None:
    overrides = {
        "optimiser.epochs": 30,
        "optimiser.rate": 1e-2,
        "loss.teacher": 0.0,
        "augment.mosaic": 0.0,
        "bundle.data": ["Squares, made here."],
        "bundle.limits": ["Only squares."],
    }
    list(train(recipe, tmp_path / "run", overrides=overrides))
    sets = [toy / "toy.json"]
    rules = Rules(rounds=5, first=6, pictures=str(toy / "pictures"))
    folder = tmp_path / "bundle"
    (judged,) = release(recipe, tmp_path / "run", folder, sets, overrides=overrides, rules=rules)
    bundle = read_bundle(folder)
    bundle.verify()
    assert (bundle.metrics["data"], bundle.metrics["pictures"]) == ("toy", 6)
    assert bundle.metrics["ap"]["value"] == pytest.approx(judged.report.figures["AP"].value, abs=1e-4)
    assert len(bundle.metrics["ap"]["interval"]) == 2
    assert "also" not in bundle.metrics
    for words in (
        "Squares, made here.",
        "Only squares.",
        "## Measured",
        "| toy | toy | 6 |",
        "30 epochs, batches of 4",
        "--change optimiser.epochs=30",
        "--judge ",
    ):
        assert words in bundle.card


def test_a_card_shows_intervals_and_labels_of_the_first_judgement(recipe: Path) -> None:
    plan = load_recipe(recipe)
    rows = (ClassRow("red", 3, {"AP": 0.5}), ClassRow("blue", 4, {"AP": 0.25}))
    figures = {"AP": Figure(0.375, 0.2, 0.6)}
    report = Report(ModelRef("toy", "1", "sha256:0"), "detect", "toy_val", 9, figures, rows)
    from sightline.training.export import manifest_of  # noqa: PLC0415

    text = write_card(
        plan, manifest_of(plan, ("red", "blue"), {}), [{"seconds": 1800}], [Judgement("toy", report)]
    )
    assert "| toy | toy_val | 9 | 37.5 [20.0, 60.0] |" in text
    assert "| blue | 4 | 25.0 |" in text
    assert "It took 0.50 hours" in text
    assert "Nobody has written down its limits yet." in text


def test_the_command_of_a_card_can_be_typed_elsewhere_and_names_no_folder_of_this_machine(
    recipe: Path, tmp_path: Path
) -> None:
    whole = load_recipe(recipe, {"data.root": str(tmp_path)})
    overrides = {"data.root": str(tmp_path), "optimiser.epochs": 3, "bundle.title": "It's small"}
    sets = [tmp_path / "sets" / "val.json", tmp_path.parent / "elsewhere.json", Path("../near.json")]
    words = shlex.split(command_of(recipe, whole, overrides, sets))
    assert words[:3] == ["sightline", "train", recipe.name]
    assert words[3:7] == ["--change", "optimiser.epochs=3", "--change", 'bundle.title="It\'s small"']
    assert words[7::2] == ["--judge"] * 3
    assert words[8::2] == ["sets/val.json", "elsewhere.json", "../near.json"]


def test_the_command_of_a_shipped_recipe_keeps_its_way_to_the_data(tmp_path: Path) -> None:
    plan = load_recipe(Path("everyday"))
    inside = (Path(plan.data.root) / "set.json").absolute()
    changes = {"data.train": [{"pictures": "a.npz", "first": 4}], "augment.flip": True}
    told = shlex.split(command_of(Path("everyday"), plan, changes, [inside]))
    assert told[:3] == ["sightline", "train", "everyday"]
    assert told[-1] == "../shared/set.json"
    for word, (key, value) in zip(told[4::2], changes.items(), strict=False):
        assert tomllib.loads(word) == _nested(key, value)


def _nested(key: str, value: object) -> object:
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def test_the_machine_is_described_without_its_name(tmp_path: Path) -> None:
    assert re.search(r"\d+ cores, Python 3\.\d+\.\d+, torch \d", machine())
    assert read_log(tmp_path) == []


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_what_ships_says_what_its_recipe_says(path: Path) -> None:
    recipe = load_recipe(path)
    bundle = read_bundle(BUNDLED / recipe.name / recipe.version, bundled=True)
    for name in ("title", "description", "licence", "origin", "initialisation"):
        assert getattr(bundle.manifest, name) == getattr(recipe.bundle, name)
    for words in (*recipe.bundle.data, *recipe.bundle.notes, *recipe.bundle.limits):
        assert f"- {words}\n" in bundle.card


def test_bundled_models_are_intact_and_described() -> None:
    folders = sorted(path.parent for path in BUNDLED.glob("*/*/model.json"))
    assert folders
    total = 0
    for folder in folders:
        bundle = read_bundle(folder, bundled=True)
        bundle.verify()
        assert (folder.parent.name, folder.name) == (bundle.name, bundle.version)
        assert bundle.licence != "unknown"
        assert bundle.metrics
        for part in ("## Data", "## Training", "## Measured", "## Limits"):
            assert part in bundle.card
        total += bundle.size
    assert total < 30e6
    assert Registry(load_settings(environment={})).resolve(None).name == "everyday"
