"""The catalogue that ships, and what happens to one that does not make sense."""

from pathlib import Path

import pytest

from sightline.errors import ConfigError, NotFound
from sightline.registry.catalogue import find_entry, load_catalogue
from sightline.registry.labels import COCO
from sightline.settings import Settings

ASKED_FOR = {
    "mobilenetv2-12", "mobilenetv2-12-int8", "resnet50-v1-12", "resnet50-v1-12-int8", "vgg16-12",
    "vgg16-12-int8", "maskrcnn-12", "maskrcnn-12-int8", "yolox-s", "mobilenetv2-opencv",
}  # fmt: skip


def test_the_shipped_catalogue_is_whole() -> None:
    catalogue = load_catalogue(Settings())
    assert set(catalogue) == ASKED_FOR
    for entry in catalogue.values():
        assert entry.licence == "Apache-2.0"
        assert len(entry.file.urls) >= 2
        assert all(url.startswith("https://") for url in entry.file.urls)
        assert entry.hints["name"] == entry.name
        assert entry.hints["sha256"] == entry.file.sha256
        assert ("labels" in entry.hints) != (entry.labels_file is not None)
        assert {"width", "height", "color", "resize", "head"} <= set(entry.hints)


def test_sizes_and_digests_are_those_of_the_design_notes(shared: Path) -> None:
    text = (shared / "design" / "catalogue.md").read_text()
    for entry in load_catalogue(Settings()).values():
        assert f"{entry.file.path} | {entry.file.bytes} | {entry.file.sha256} |" in text


def test_mirrors_are_tried_first() -> None:
    entry = find_entry("yolox-s", Settings(mirrors="https://a.example/x, https://b.example/"))
    assert entry.file.urls[0] == f"https://a.example/x/{entry.file.path}"
    assert entry.file.urls[1] == f"https://b.example/{entry.file.path}"
    assert entry.hints["labels"] == COCO
    assert entry.bytes == entry.file.bytes


def test_an_unknown_name_lists_the_valid_ones() -> None:
    with pytest.raises(NotFound, match="yolox-s"):
        find_entry("yolo", Settings())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "models = 3",
        "[models.a]\n",
        "[models.a]\nbytes = 1\n",
        "[hubs]\nh = []\n[models.a]\ntitle = 'A'\ndescription = ''\ntask = 'fly'\nhead = 'yolox'\n"
        "licence = 'MIT'\norigin = ''\nhub = 'h'\npath = 'a'\nbytes = 1\nsha256 = '"
        + "0" * 64
        + "'\nlabels = 'coco'\n",
        "not toml",
    ],
)
def test_a_broken_catalogue_is_a_bad_setting(tmp_path: Path, text: str) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_catalogue(Settings(catalogue=str(path)))


def test_a_missing_catalogue_is_a_bad_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_catalogue(Settings(catalogue=str(tmp_path / "none.toml")))
