"""Annotation files that are none, or speak of pictures that are none, are refused in words."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sightline.errors import BadOption
from sightline.training.crops import Crop, read_marked
from sightline.training.detect import DetectLesson
from sightline.training.pictures import labels_of, read_source
from sightline.training.recipe import load_recipe
from sightline.training.recipe_detect import DetectRecipe

pytestmark = pytest.mark.train

Change = Callable[[dict[str, Any]], object]
WRONG: dict[str, tuple[Change, str]] = {
    "no list": (lambda t: t.update(images=7), "TypeError"),
    "no images": (lambda t: t.pop("images"), "'images'"),
    "no marks": (lambda t: t.pop("annotations"), "'annotations'"),
    "no width": (lambda t: t["images"][0].pop("width"), "1.png.*'width'"),
    "no pixels": (lambda t: t["images"][0].update(width=0), "1.png"),
    "half a box": (lambda t: t["annotations"][0].update(bbox=[1, 2]), "1.png"),
    "a box of text": (lambda t: t["annotations"][0].update(bbox="abcd"), "1.png"),
    "a box without numbers": (lambda t: t["annotations"][0].update(bbox=[0, float("nan"), 5, 5]), "finite"),
    "no category": (lambda t: t["annotations"][0].pop("category_id"), "'category_id'"),
    "no picture": (lambda t: t["images"][0].update(file_name="gone.png"), "gone.png"),
    "half an outline": (lambda t: t["annotations"][0].update(segmentation=[[1, 2, 3]]), "1.png"),
    "an outline of text": (lambda t: t["annotations"][0].update(segmentation="around"), "1.png"),
}


@pytest.fixture
def own(toy: Path, tmp_path: Path) -> Path:
    """The toy's folder, to be spoilt."""
    (tmp_path / "toy.json").write_bytes((toy / "toy.json").read_bytes())
    (tmp_path / "pictures").mkdir()
    for path in (toy / "pictures").iterdir():
        (tmp_path / "pictures" / path.name).write_bytes(path.read_bytes())
    return tmp_path


def plan(recipe: Path, own: Path, **changes: Any) -> DetectRecipe:
    loaded = load_recipe(recipe, {"data.root": str(own)} | changes)
    assert isinstance(loaded, DetectRecipe)
    return loaded


@pytest.mark.parametrize(("change", "words"), WRONG.values(), ids=WRONG.keys())
def test_entries_that_are_none_are_named(recipe: Path, own: Path, change: Change, words: str) -> None:
    table = json.loads((own / "toy.json").read_text())
    change(table)
    (own / "toy.json").write_text(json.dumps(table))
    used = plan(recipe, own)
    with pytest.raises(BadOption, match=rf"toy\.json.*{words}"):
        read_source(used, used.data.train[0], ("red", "blue"))


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"\xff\xfe", b"[" * 100_000], ids=["cut", "list", "no text", "deep"]
)
def test_files_that_are_none_are_refused(recipe: Path, own: Path, data: bytes) -> None:
    (own / "toy.json").write_bytes(data)
    used = plan(recipe, own)
    with pytest.raises(BadOption, match=r"toy\.json"):
        labels_of(used)
    with pytest.raises(BadOption, match=r"toy\.json"):
        read_source(used, used.data.train[0], ("red", "blue"))
    with pytest.raises(BadOption, match=r"toy\.json"):
        read_marked(own / "toy.json", own / "pictures")


def test_labels_of_a_file_that_is_not_there(recipe: Path, own: Path) -> None:
    (own / "toy.json").unlink()
    with pytest.raises(BadOption, match="does not exist"):
        labels_of(plan(recipe, own))


def test_a_picture_that_is_none_is_named(recipe: Path, own: Path) -> None:
    (own / "pictures" / "3.png").write_bytes(b"no picture")
    used = plan(recipe, own)
    with pytest.raises(BadOption, match=r"3\.png"):
        read_source(used, used.data.train[0], ("red", "blue"))
    with pytest.raises(BadOption, match=r"3\.png"):
        Crop(own / "pictures" / "3.png").read()


def test_marks_of_pieces_that_are_none_are_named(own: Path) -> None:
    table = json.loads((own / "toy.json").read_text())
    table["images"][1]["width"] = 0
    (own / "toy.json").write_text(json.dumps(table))
    with pytest.raises(BadOption, match=r"toy\.json.*2\.png"):
        read_marked(own / "toy.json", own / "pictures")


def test_nothing_to_train_on_is_said(recipe: Path, own: Path) -> None:
    source = {"pictures": "pictures", "annotations": "toy.json", "only_url": "/elsewhere/"}
    with pytest.raises(BadOption, match="no pictures to train on"):
        DetectLesson(plan(recipe, own, **{"data.train": [source]}))


def test_watched_pictures_without_marks_have_no_figures(recipe: Path, own: Path) -> None:
    table = json.loads((own / "toy.json").read_text())
    held = {image["id"] for image in table["images"] if "/held/" in image["coco_url"]}
    table["annotations"] = [mark for mark in table["annotations"] if mark["image_id"] not in held]
    (own / "toy.json").write_text(json.dumps(table))
    lesson = DetectLesson(plan(recipe, own))
    assert "AP" not in lesson.judge(lesson.model)


def test_a_picture_of_another_mode_is_taken(recipe: Path, own: Path) -> None:
    Image.new("LA", (96, 72)).save(own / "pictures" / "1.png")
    used = plan(recipe, own)
    assert read_source(used, used.data.train[0], ("red", "blue"))[0].pixels.shape == (72, 96, 3)
