"""The sets on which features are probed; `tools/alike.py` finds what of visitors was trained on, too."""

import csv
import io
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.training.crops import Crop, known, objects, read_marked
from sightline.types import Int64

VISITORS = ("none", "person", "rider")
ANIMALS = ("cat", "cow", "dog", "horse", "sheep")
_ANIMAL_SIDE = 40
"""Shortest side of an animal's box, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class ProbeSet:
    """Pictures, read when they are wanted; ``truth`` class numbers, ``group`` those that stay together."""

    name: str
    said: str
    """What it is, for people."""
    pictures: Callable[[], Iterator[Image.Image]]
    truth: Int64
    train: np.ndarray
    """(n,) bool: the part that is learned from."""
    group: Int64
    classes: tuple[str, ...]
    folded: str = ""
    """What five folds of all of it, by group, are called; empty: they are not asked for."""


def seen_of(printed: Path) -> frozenset[str]:
    """The judged pictures that ``tools/alike.py`` names: its second column."""
    rows = [line.split() for line in printed.read_text("utf-8").splitlines()]
    return frozenset(row[1] for row in rows if len(row) == 3)


def visitors(root: Path, seen: Collection[str] = ()) -> ProbeSet:
    """Nobody, a person, a rider at the door: local experiments only, nothing of it is shown or shipped.

    ``seen`` names pictures, by their path in the set, that are left out of both parts.
    """
    folder = root / "data" / "visitors"
    with (folder / "files.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["file"] not in seen]
    said = f"visitors but {len(seen)} seen" if seen else "visitors"
    return ProbeSet(
        "visitors",
        f"{said}, train part to val part",
        lambda: (Crop(folder / row["file"]).read() for row in rows),
        np.array([VISITORS.index(row["label"]) for row in rows], np.int64),
        np.array([row["split"] == "train" for row in rows]),
        np.array([int(row["near_duplicate_group"]) for row in rows], np.int64),
        VISITORS,
        f"{said}, five folds by near-duplicate group",
    )


def animals(root: Path, each: int) -> ProbeSet:
    """Boxes of VOC 2012's animals with a tenth around them, at most ``each`` per class and part."""
    public = root.parent / "public"
    crops: list[Crop] = []
    counts = []
    for part in ("train", "val"):
        marked = read_marked(
            public / "VOC-tools" / f"pascal_{part}2012.json", public / "voc-animals" / "images"
        )
        found = [crop for item in marked for crop in objects(item, margin=0.1, smallest=_ANIMAL_SIDE)]
        order = np.random.default_rng(0).permutation(len(found))
        for label in ANIMALS:
            crops += [found[i] for i in order if found[i].label == label][:each]
        counts.append(len(crops))
    files = sorted({crop.path for crop in crops})
    assert known(crops) == ANIMALS
    return ProbeSet(
        "animals",
        "VOC 2012 animals, box crops, its train part to its val part",
        lambda: (crop.read() for crop in crops),
        np.array([ANIMALS.index(crop.label) for crop in crops], np.int64),
        np.arange(len(crops)) < counts[0],
        np.array([files.index(crop.path) for crop in crops], np.int64),
        ANIMALS,
    )


def cifar10(root: Path, train: int, test: int) -> ProbeSet:
    """The first ``train`` and ``test`` pictures of each part, 32 x 32, JPEG quality 75 copies."""
    parts = [_packed(root / "data" / "cifar10" / f"cifar10_{name}.npz") for name in ("train", "test")]
    files = [*parts[0][0][:train], *parts[1][0][:test]]
    truth = np.concatenate([parts[0][1][:train], parts[1][1][:test]])
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    return ProbeSet(
        "cifar10",
        f"CIFAR-10 as JPEG quality 75 copies, {train:,} of train to {test:,} of test",
        lambda: (Image.open(io.BytesIO(file)).convert("RGB") for file in files),
        truth,
        np.arange(len(files)) < train,
        np.arange(len(files)),
        names,
    )


def _packed(path: Path) -> tuple[list[bytes], Int64]:
    with np.load(path, allow_pickle=False) as arrays:
        header, data, offsets = arrays["header"].tobytes(), arrays["data"].tobytes(), arrays["offsets"]
        labels = arrays["labels"].astype(np.int64)
    ends = [int(offset) for offset in offsets]
    return [header + data[ends[i] : ends[i + 1]] for i in range(len(labels))], labels
