"""Three kinds of stripes in tiny pictures, and a recipe that learns them in seconds."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.training.recipe import load_recipe
from sightline.training.recipe_classify import ClassifyRecipe
from sightline.types import UInt8

COUNT, HELD, SIDE = 60, 8, 16
LABELS = ("bars", "rows", "dots")
RECIPE = """
name = "tiny"
task = "classify"
seed = 3
[input]
tensor = "pixels"
width = 16
height = 16
resize = "crop"
mean = [127.5, 127.5, 127.5]
std = [64.0, 64.0, 64.0]
[data]
root = "ROOT"
[[data.train]]
pictures = "train.npz"
except_index = "held.npz"
[[data.watch]]
pictures = "held.npz"
[network]
kind = "plain_classifier"
plan = ["16p", "16"]
mirror = true
moved = 1
[optimiser]
kind = "muon"
epochs = 20
batch = 8
rate = 0.1
plain_rate = 0.02
matrix_rate = 0.2
average = 0.9
threads = 1
[loss]
smoothing = 0.1
[bundle]
title = "Tiny"
notes = ["Three kinds of stripes."]
"""


def stripes(kind: int, draw: np.random.Generator) -> UInt8:
    """Bars, rows or dots of one pixel in four, anywhere, with noise."""
    canvas = draw.integers(0, 60, (SIDE, SIDE, 3))
    x, y = draw.integers(0, 4, 2)
    if kind != 1:
        canvas[:, x::4] += 90
    if kind != 0:
        canvas[y::4] += 90
    return np.asarray(canvas, np.uint8)


def packed(pictures: list[UInt8], labels: list[int]) -> dict[str, Any]:
    """The pack of JPEG files that share their first bytes."""
    files = []
    for pixels in pictures:
        file = BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    header = files[0][:100]
    assert all(data[:100] == header for data in files)
    rest = [data[100:] for data in files]
    return {
        "header": np.frombuffer(header, np.uint8),
        "data": np.frombuffer(b"".join(rest), np.uint8),
        "offsets": np.cumsum([0, *map(len, rest)]).astype(np.uint32),
        "labels": np.array(labels, np.uint8),
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``train.npz``, ``held.npz`` (some of it, without loss), ``test.npz``, ``tiny.toml``."""
    folder = tmp_path_factory.mktemp("packs")
    draw = np.random.default_rng(0)
    labels = [i % 3 for i in range(COUNT)]
    pictures = [stripes(label, draw) for label in labels]
    held = draw.permutation(COUNT)[:HELD]
    np.savez(folder / "train.npz", **packed(pictures, labels))
    np.savez(
        folder / "test.npz", **packed([stripes(i % 3, draw) for i in range(24)], [i % 3 for i in range(24)])
    )
    np.savez(
        folder / "held.npz", x=np.stack([pictures[i] for i in held]), y=np.array(labels)[held], index=held
    )
    (folder / "classes.json").write_text(json.dumps(LABELS))
    (folder / "tiny.toml").write_text(RECIPE.replace("ROOT", str(folder)))
    return folder


def plan_of(place: Path, **overrides: Any) -> ClassifyRecipe:
    plan = load_recipe(place / "tiny.toml", {key.replace("__", "."): v for key, v in overrides.items()})
    assert isinstance(plan, ClassifyRecipe)
    return plan


def weights(out: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(out / "weights.pt", weights_only=True)["model"])
