"""A toy data set: red and blue squares on noise, and a recipe that learns them in seconds."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

RECIPE = """
name = "toy"
task = "detect"
seed = 3

[input]
tensor = "pixels"
width = 64
height = 64
mean = [123.675, 116.28, 103.53]
std = [58.395, 57.12, 57.375]

[data]
root = "ROOT"
[[data.train]]
pictures = "pictures"
annotations = "toy.json"
except_url = ["/held/"]
[[data.watch]]
pictures = "pictures"
annotations = "toy.json"
only_url = "/held/"

[network]
kind = "nano_detector"

[optimiser]
epochs = 2
batch = 4
rate = 2e-3
warmup_epochs = 0.5
average = 0.9
threads = 1

[augment]
mosaic = 0.5
plain_epochs = 1

[loss]
teacher = 0.5

[bundle]
title = "Toy"
"""


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with twelve pictures, ``toy.json`` and ``toy.toml``; the last four are held out."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "pictures").mkdir()
    draw = np.random.default_rng(0)
    images: list[dict[str, object]] = []
    marks: list[dict[str, object]] = []
    for number in range(1, 13):
        height, width = (72, 96) if number % 2 else (96, 64)
        pixels = draw.integers(90, 140, (height, width, 3)).astype(np.uint8)
        for label in (1, 2):
            side = int(draw.integers(16, 30))
            x, y = int(draw.integers(0, width - side)), int(draw.integers(0, height - side))
            pixels[y : y + side, x : x + side] = (220, 20, 20) if label == 1 else (20, 20, 220)
            box = {"bbox": [x, y, side, side], "area": side * side, "iscrowd": 0}
            marks.append(box | {"id": len(marks) + 1, "image_id": number, "category_id": label})
        name = f"{number}.png"
        Image.fromarray(pixels).save(folder / "pictures" / name)
        part = "held" if number > 8 else "used"
        images.append(
            {"id": number, "file_name": name, "width": width, "height": height, "coco_url": f"/{part}/{name}"}
        )
    categories = [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}]
    table = {"images": images, "annotations": marks, "categories": categories}
    (folder / "toy.json").write_text(json.dumps(table))
    (folder / "toy.toml").write_text(RECIPE.replace("ROOT", str(folder)))
    return folder


@pytest.fixture
def recipe(toy: Path) -> Path:
    """The toy's recipe."""
    return toy / "toy.toml"
