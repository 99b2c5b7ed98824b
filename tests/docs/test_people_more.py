"""``tools/people_more.py`` marks more pictures, and none that is judged, turned or of one family."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "people_more.py"
SAMPLES = ROOT / "src" / "sightline" / "web" / "static" / "samples"
BOX = "0 0.5 0.25 0.5 0.5\n"


def named(number: int) -> str:
    return f"{number:016x}_jpg.rf.0.jpg"


def sample(name: str) -> Image.Image:
    with Image.open(SAMPLES / f"{name}.jpg") as opened:
        return opened.convert("RGB").resize((200, 200))


def put(folder: Path, name: str, picture: Image.Image, marks: str = BOX) -> None:
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    picture.save(folder / "images" / name)
    (folder / "labels" / name).with_suffix(".txt").write_text(marks)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A set of six pictures: two are listed, three more have names of the wanted kinds, one has not."""
    for name in ("judged", "kin"):
        (tmp_path / name).mkdir()
    put(tmp_path / "set", "listed_jpg.rf.0.jpg", sample("cat"), "1 0.1 0.1 0.5 0.1 0.5 0.9\n")
    put(tmp_path / "set", "listed_too_jpg.rf.0.jpg", sample("buses"))
    put(tmp_path / "set", named(1), sample("coffee"), BOX + "0 0.9 0.9 0.4 0.4\n\n0 0.5 0.5 0 0\n")
    put(tmp_path / "set", named(2), sample("horses"))
    put(tmp_path / "set", "a" * 40 + "_jpg.rf.0.jpg", sample("motorcycle"))
    put(tmp_path / "set", "frame_7_jpg.rf.0.jpg", sample("astronaut"))
    listed = [{"source_file": "listed_jpg.rf.0.jpg"}, {"source_file": "listed_too_jpg.rf.0.jpg"}]
    (tmp_path / "list.json").write_text(json.dumps({"images": listed}))
    sample("astronaut").save(tmp_path / "kin" / "other.png")
    sample("astronaut").crop((0, 0, 90, 90)).save(tmp_path / "judged" / "other.png")
    return tmp_path


def made(folder: Path) -> tuple[dict[str, list[list[float]]], str]:
    """The boxes of each picture, and what was said."""
    words = ["set", "list.json", "out.json", "--judged", "judged", "--kin", "kin"]
    done = subprocess.run(
        [sys.executable, str(TOOL), *words], cwd=folder, capture_output=True, text=True, check=True
    )
    table = json.loads((folder / "out.json").read_text())
    assert table["categories"] == [{"id": 1, "name": "person"}]
    boxes: dict[str, list[list[float]]] = {item["file_name"]: [] for item in table["images"]}
    names = {item["id"]: item["file_name"] for item in table["images"]}
    for mark in table["annotations"]:
        boxes[names[mark["image_id"]]].append(mark["bbox"])
    return boxes, done.stdout


def test_marks_become_boxes_in_pixels(folders: Path) -> None:
    boxes, told = made(folders)
    assert told == "5 pictures: 2 of the list's 2, 3 of 3 more; kept clear of 2\n"
    assert boxes["listed_jpg.rf.0.jpg"] == [[20, 20, 80, 160]]
    assert boxes[named(1)] == [[50, 0, 100, 100], pytest.approx([140, 140, 60, 60])]
    assert "frame_7_jpg.rf.0.jpg" not in boxes


def test_a_judged_picture_is_left_out_however_it_is_turned(folders: Path) -> None:
    turned = ImageOps.mirror(sample("buses")).transpose(Image.Transpose.ROTATE_90)
    turned.resize((90, 90)).save(folders / "judged" / "buses.jpg", quality=60)
    sample("coffee").transpose(Image.Transpose.ROTATE_180).save(folders / "kin" / "coffee.png")
    boxes, told = made(folders)
    assert set(boxes) == {"listed_jpg.rf.0.jpg", named(2), "a" * 40 + "_jpg.rf.0.jpg"}
    assert "1 of the list's 2, 2 of 3 more" in told


def test_what_is_listed_is_no_turned_picture_of_the_kin(folders: Path) -> None:
    sample("cat").transpose(Image.Transpose.ROTATE_180).save(folders / "kin" / "cat.png")
    boxes, _ = made(folders)
    assert "listed_jpg.rf.0.jpg" not in boxes
    assert len(boxes) == 4


def test_a_folder_without_pictures_is_refused(folders: Path) -> None:
    words = [sys.executable, str(TOOL), "set", "list.json", "out.json", "--judged", "judgd", "--kin", "kin"]
    done = subprocess.run(words, cwd=folders, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "judgd holds no pictures.\n")
    assert not (folders / "out.json").exists()


def test_a_picture_whose_signs_are_near_is_of_the_family(folders: Path) -> None:
    """Faint squares with a patch of noise: features go apart, most signs stay."""
    squares = sample("coffee").convert("L").resize((25, 25), Image.Resampling.BOX)
    spoilt = squares.resize((200, 200), Image.Resampling.NEAREST).point(lambda value: 40 + value // 8)
    noise = np.random.default_rng(0).integers(0, 256, (40, 200), np.uint8)
    spoilt.paste(Image.fromarray(noise), (0, 0))
    spoilt.save(folders / "kin" / "coffee.png")
    boxes, _ = made(folders)
    assert named(1) not in boxes


def test_of_a_family_is_only_what_is_listed(folders: Path) -> None:
    """A tighter cut of the same scene: other signs, near features."""
    sample("cat").crop((24, 16, 190, 190)).save(folders / "kin" / "cat.png")
    sample("horses").crop((20, 24, 196, 190)).save(folders / "kin" / "horses.png")
    boxes, _ = made(folders)
    assert named(2) not in boxes
    assert "listed_jpg.rf.0.jpg" in boxes
