"""What the visitor study looks at: features of a picture and of its pieces, and what a detector finds.

Nothing of it is shipped: the pictures have no licence.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.training.backbone import Backbone
from sightline.types import Ask, Detections, Float32, Segments
from sightline.vision import codec

CARRIED = ("person", "bicycle", "motorcycle", "car", "backpack", "handbag", "suitcase")
"""What tells of people and riders; a detector that lacks one has no evidence of it."""
LEAST = 0.02
"""Score from which a box is evidence at all."""
SURE = 0.35
_TILE = 2 / 3
_MARGIN = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One row a picture. ``whole`` (n, 1280) of the picture and its mirror, ``tiles`` (n, 1280) of four
    corners of two thirds of its sides, ``person`` (n, 1280) of the strongest person's crop, or of the picture
    where nobody was found; ``evidence`` (n, k) of the detector."""

    whole: Float32
    tiles: Float32
    person: Float32
    evidence: Float32


def look(backbone: Backbone, pictures: Iterator[Image.Image], found: Sequence["Found"]) -> Seen:
    """All blocks of features; ``found`` in the order of the pictures."""
    whole, tiles, person = [], [], []
    for picture, boxes in zip(pictures, found, strict=True):
        whole.append(backbone.features([picture], mirror=True)[0])
        tiles.append(backbone.features(corners(picture)).mean(0))
        crop = boxes.crop(picture)
        person.append(whole[-1] if crop is None else backbone.features([crop], mirror=True)[0])
    evidence = np.stack([boxes.evidence for boxes in found])
    return Seen(np.stack(whole), np.stack(tiles), np.stack(person), evidence)


def corners(picture: Image.Image) -> list[Image.Image]:
    """Four overlapping pieces: what is small in the picture is half as small in one of them."""
    wide, high = round(picture.width * _TILE), round(picture.height * _TILE)
    places = [(x, y) for y in (0, picture.height - high) for x in (0, picture.width - wide)]
    return [picture.crop((x, y, x + wide, y + high)) for x, y in places]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a detector says of a picture: the strongest person's ``box`` in shares (all 0: nobody),
    and numbers."""

    box: Float32
    evidence: Float32

    def crop(self, picture: Image.Image) -> Image.Image | None:
        """The strongest person with some surroundings."""
        x1, y1, x2, y2 = (float(value) for value in self.box)
        if x2 <= x1 or y2 <= y1:
            return None
        wide, high = (x2 - x1) * _MARGIN, (y2 - y1) * _MARGIN
        left, top = int(max(0.0, x1 - wide) * picture.width), int(max(0.0, y1 - high) * picture.height)
        right, low = min(1.0, x2 + wide) * picture.width, min(1.0, y2 + high) * picture.height
        return picture.crop((left, top, max(left + 1, round(right)), max(top + 1, round(low))))


def detect(root: Path, detector: str, pictures: Iterator[Image.Image]) -> tuple[str, list[Found]]:
    """Name and version of ``detector``, and what it says of every picture: upright, turned left and right.

    By the served road; ``root`` holds imported models.

    Some pictures of the set lie on their side, and the detector knows people standing.
    """
    from sightline.serving.road import Road  # noqa: PLC0415 - only here
    from sightline.settings import load_settings  # noqa: PLC0415

    settings = load_settings(
        {"data_dir": str(root), "engine": "onnxruntime", "precision": "fp32"}, environment={}
    )
    ask = Ask(min_score=LEAST, max_results=50)
    with Road.open(settings) as road:

        def answer(picture: Image.Image) -> tuple[Detections, tuple[str, ...]]:
            result = road.predict(codec.encode(np.asarray(picture), "image/png"), model=detector, ask=ask)
            said = result.prediction
            found = said.detections if isinstance(said, Segments) else said
            assert isinstance(found, Detections), f"{detector} is no detector"
            return found, result.labels

        own = road.load(detector).manifest
        found = [_found(picture, [answer(turned) for turned in turns(picture)]) for picture in pictures]
        return f"{own.name}@{own.version}", found


def turns(picture: Image.Image) -> list[Image.Image]:
    """Upright, a quarter to the left, a quarter to the right."""
    return [
        picture,
        picture.transpose(Image.Transpose.ROTATE_90),
        picture.transpose(Image.Transpose.ROTATE_270),
    ]


def _found(picture: Image.Image, answers: list[tuple[Detections, tuple[str, ...]]]) -> Found:
    rows = [_scores(*answer) for answer in answers]
    upright, sideways = rows[0], np.maximum(rows[1], rows[2])
    people, labels = answers[0]
    person = people.label == labels.index("person")
    count = float((people.score[person] >= SURE).sum())
    box = np.zeros(4, np.float32)
    if person.any():
        box = people.xyxy[person][0] / np.array([picture.width, picture.height] * 2, np.float32)
    extra = np.array([sideways[0], np.log1p(count), box[3] - box[1]], np.float32)
    return Found(box, np.concatenate([upright, extra]).astype(np.float32))


def _scores(found: Detections, labels: Sequence[str]) -> Float32:
    """(labels of ``CARRIED``,) log odds of the strongest box of each."""
    best = np.full(len(CARRIED), LEAST / 2)
    for place, name in enumerate(CARRIED):
        if name in labels:
            own = found.score[found.label == labels.index(name)]
            best[place] = max(best[place], float(own.max(initial=0)))
    best = np.clip(best, 1e-3, 0.999)
    return np.asarray(np.log(best / (1 - best)), np.float32)
