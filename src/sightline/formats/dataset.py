"""What a data set says about its pictures: the common ground of the COCO, YOLO and VOC readers.

Label ids are 0-based places in ``labels``; boxes are xyxy in pixels of the upright picture.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

import numpy as np

from sightline.errors import BadOption
from sightline.types import Bool, Classification, Detections, Mask, Result, Segments, Staged


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture and the truth about it."""

    name: str
    """File name as the data set writes it."""
    width: int
    height: int
    objects: Detections
    """The truth; scores are 1, or those of the file when it carries any."""
    masks: tuple[Mask | None, ...]
    """One per object; None where only the box is known."""
    aside: Bool
    """(n,): crowds (COCO) and difficult objects (VOC), which count neither as found nor as missed."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Pictures under one list of labels."""

    labels: tuple[str, ...]
    pictures: tuple[Picture, ...]


Row: TypeAlias = tuple[list[float], float, int, bool, Mask | None]
"""xyxy, score, label id, aside, mask."""


def picture(name: str, size: tuple[int, int], rows: list[Row]) -> Picture:
    """Rows in the order of the file -> a Picture."""
    objects = Detections(
        np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[2] for row in rows], np.int64),
    )
    aside = np.array([row[3] for row in rows], np.bool_)
    return Picture(name, *size, objects, tuple(row[4] for row in rows), aside)


def boxed(result: Result, form: str) -> Detections:
    """The boxes of a result, or BadOption when it has classes only."""
    match result.prediction:
        case Detections() as found:
            return found
        case Segments(detections=found):
            return found
        case Staged(first=Detections() as found):
            return found
        case Classification() | Staged():
            msg = f"{form} describes boxes, but '{result.model.name}' classifies whole pictures."
            raise BadOption(msg, next_step="Ask for JSON or CSV instead.")


def masks_of(result: Result) -> tuple[Mask | None, ...]:
    """One mask per object, None where the model has no masks."""
    if isinstance(result.prediction, Segments):
        return tuple(result.prediction.masks)
    return (None,) * len(boxed(result, "This format"))


def file_name(result: Result) -> str:
    """The last part of the source, never a folder; ``<id>.jpg`` when the source names no file."""
    name = PurePosixPath(result.source.replace("\\", "/").split("?")[0]).name
    return name if name not in {"", "-", ".", ".."} else f"{result.id or 'picture'}.jpg"


def labels_of(results: Iterable[Result]) -> tuple[str, ...]:
    """All labels of all results, each once, in the order of the first model that has them."""
    return tuple(dict.fromkeys(label for result in results for label in result.labels))
