"""Pieces of pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.errors import BadOption
from sightline.training.crops import Crop, Marked, known, objects, read_marked, windows

pytestmark = pytest.mark.train


def marked(path: Path = Path("a.png")) -> Marked:
    return Marked(path, 100, 50, ((0.0, 0.0, 0.1, 0.2), (0.5, 0.2, 0.9, 1.0)), ("small", "large"))


def test_objects_come_largest_first_with_some_surroundings() -> None:
    large, small = objects(marked(), margin=0.1, smallest=1)
    assert (large.label, small.label) == ("large", "small")
    assert large.box == pytest.approx((0.46, 0.12, 0.94, 1.0))  # held inside the picture
    assert small.box == pytest.approx((0.0, 0.0, 0.11, 0.22))
    assert known([large, small, Crop(Path("a.png"))]) == ("large", "small")


@pytest.mark.parametrize(("smallest", "most", "count"), [(11, 0, 1), (1, 1, 1), (50, 0, 0)])
def test_small_objects_and_those_beyond_the_most_are_left_out(smallest: float, most: int, count: int) -> None:
    assert len(objects(marked(), margin=0, smallest=smallest, most=most)) == count


def test_windows_are_square_and_inside() -> None:
    found = list(windows(marked(), 50, np.random.default_rng(0)))
    for window in found:
        x1, y1, x2, y2 = window.box
        assert 100 * (x2 - x1) == pytest.approx(50 * (y2 - y1))
        assert min(x1, y1) >= 0
        assert max(x2, y2) <= 1 + 1e-9
    assert len({window.box for window in found}) == 50


def test_a_piece_is_what_the_box_says(tmp_path: Path) -> None:
    pixels = np.zeros((50, 100, 3), np.uint8)
    pixels[10:50, 50:90] = (255, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    piece = np.asarray(Crop(tmp_path / "a.png", (0.5, 0.2, 0.9, 1.0)).read())
    assert piece.shape == (40, 40, 3)
    assert (piece == (255, 0, 0)).all()
    assert Crop(tmp_path / "a.png").read().size == (100, 50)
    assert Crop(tmp_path / "a.png", (0.999, 0.999, 1.0, 1.0)).read().size == (1, 1)


def test_boxes_are_shares_so_that_a_scaled_copy_will_do(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "copy.png")
    table = {
        "images": [
            {"id": 1, "file_name": "0.png", "source": "copy.png", "width": 40, "height": 40},
            {"id": 2, "file_name": "1.png", "source": "gone.png", "width": 40, "height": 40},
        ],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [10, 20, 20, 20]},
            {"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40], "iscrowd": 1},
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(table))
    (found,) = read_marked(tmp_path / "a.json", tmp_path, file_key="source")
    assert found.boxes == ((0.25, 0.5, 0.75, 1.0),)
    assert found.labels == ("cat",)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="does not exist"):
        read_marked(tmp_path / "a.json", tmp_path)
