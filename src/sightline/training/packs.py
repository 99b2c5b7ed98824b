"""Pictures of one class each for training: decoded once, as they are served, and kept as bytes.

Packs and folders are opened by the room that also judges models, so what is trained on and what is judged
on are read alike. This module does without torch.
"""

import zipfile
import zlib
from dataclasses import dataclass

import numpy as np

from sightline.errors import BadOption, InputError
from sightline.evaluation.data import ClassSet, Picture, open_dataset
from sightline.training.missing import missing
from sightline.training.recipe_classify import ClassifyRecipe, Pack
from sightline.types import Int64, UInt8
from sightline.vision import codec, preprocess


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """``pixels`` (n, side, side, 3) uint8 RGB and ``label`` (n,), positions in the recipe's labels."""

    pixels: UInt8
    label: Int64


def read_pack(recipe: ClassifyRecipe, pack: Pack, labels: tuple[str, ...]) -> Shelf:
    """All pictures of a pack or folder but those that are left out.

    Raises:
        BadOption: It is not there, is something else, has a class that is no label or a picture that is none,
            or what is to be left out is not in it.
    """
    dataset = _open(recipe, pack)
    unknown = sorted(set(dataset.classes) - set(labels))
    if unknown:
        raise BadOption(
            f"{pack.pictures} has the class {unknown[0]!r}, which is none of the recipe's labels.",
            next_step="Add it to labels, or leave labels out.",
        )
    position = [labels.index(name) for name in dataset.classes]
    left_out = _positions(recipe, pack.except_index, len(dataset.pictures))
    kept = [picture for place, picture in enumerate(dataset.pictures) if place not in left_out]
    if pack.first:  # evenly, because folders come class by class
        places = np.linspace(0, len(kept) - 1, min(pack.first, len(kept))).round().astype(int)
        kept = [kept[place] for place in places]
    side = recipe.input.width
    pixels = np.empty((len(kept), side, side, 3), np.uint8)
    for place, picture in enumerate(kept):
        pixels[place] = _pixels(recipe, pack, picture)
    return Shelf(pixels, np.array([position[picture.truth] for picture in kept], np.int64))


def read_packs(recipe: ClassifyRecipe, packs: tuple[Pack, ...], labels: tuple[str, ...]) -> Shelf:
    """Several, one after the other.

    Raises:
        BadOption: As ``read_pack``, or they hold nothing together.
    """
    shelves = [read_pack(recipe, pack, labels) for pack in packs]
    if not any(len(shelf.label) for shelf in shelves):
        raise BadOption(
            f"The recipe {recipe.name} finds no pictures to train on, or none to watch.",
            next_step="Look at pictures and except_index of data.train and data.watch.",
        )
    return Shelf(
        np.concatenate([shelf.pixels for shelf in shelves]),
        np.concatenate([shelf.label for shelf in shelves]),
    )


def labels_of(recipe: ClassifyRecipe) -> tuple[str, ...]:
    """The labels of a recipe: its own, or the classes of its first source."""
    return recipe.labels or _open(recipe, recipe.data.train[0]).classes


def _open(recipe: ClassifyRecipe, pack: Pack) -> ClassSet:
    path = recipe.path(pack.pictures)
    if not path.exists():
        raise missing(path)
    dataset = open_dataset(path)
    if not isinstance(dataset, ClassSet):
        raise BadOption(
            f"{pack.pictures} holds boxes, but the recipe is one of classification.",
            next_step="Give an .npz pack, or a folder with one folder per class.",
        )
    return dataset


def _pixels(recipe: ClassifyRecipe, pack: Pack, picture: Picture) -> UInt8:
    """(side, side, 3) RGB."""
    try:
        frame = codec.decode(picture.read(), codec.Limits())
    except InputError as error:
        raise BadOption(
            f"{picture.name} of {pack.pictures} is no picture to train on: {error}",
            next_step="Take it out of the data, or put an intact copy in its place.",
        ) from error
    return preprocess.fit(frame, recipe.input).pixels


def _positions(recipe: ClassifyRecipe, file: str, count: int) -> frozenset[int]:
    """Which of ``count`` pictures are left out. What is misread here is trained on, and judged afterwards."""
    if not file:
        return frozenset()
    path = recipe.path(file)
    try:
        with path.open("rb") as data, np.load(data, allow_pickle=False) as arrays:
            index = np.asarray(arrays["index"])
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadOption(
            f"{path} has no array `index` that says which pictures to leave out: {error}."
        ) from error
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise BadOption(
            f"The array `index` of {path} is {index.dtype} {index.shape}; "
            "wanted whole numbers in a row, the positions of the pictures to leave out."
        )
    strangers = index[(index < 0) | (index >= count)]
    if len(strangers):
        raise BadOption(
            f"The array `index` of {path} leaves out position {strangers[0]} of {count} pictures.",
            next_step="Give positions from 0, in the pack that they were drawn from.",
        )
    return frozenset(index.tolist())
