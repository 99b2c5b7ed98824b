"""What the writers of COCO, YOLO and VOC ask of a result: its boxes, masks, labels, and the file's name."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from sightline.errors import BadOption
from sightline.types import Classification, Detections, Mask, Result, Segments, Staged


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
