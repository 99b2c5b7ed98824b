"""COCO annotation files for training: whatever is wrong in one is said with its name, not as a trace.

Figures are judged on such files elsewhere (``sightline.evaluation.data``); here only what is learned is read.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from sightline.errors import BadOption
from sightline.training.missing import missing

_WRONG = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    ZeroDivisionError,
    RecursionError,
    SyntaxError,
    OSError,
    Image.DecompressionBombError,
)
"""What entries of another form raise, and pictures that are none."""


def read_table(path: Path) -> dict[str, Any]:
    """The file as it stands.

    Raises:
        BadOption: It is not there, or is no JSON object.
    """
    if not path.exists():
        raise missing(path)
    with told(path.name, "it"):
        table = json.loads(path.read_text("utf-8"))
        if not isinstance(table, dict):
            msg = f"the file holds a {type(table).__name__}, wanted an object"
            raise TypeError(msg)
        return table


def wanted(image: dict[str, Any], only: str, without: Sequence[str]) -> bool:
    """Whether the ``coco_url`` of an image (none: empty) holds ``only``, and nothing of ``without``."""
    url = image.get("coco_url", "")
    return only in url and not any(text in url for text in without)


@contextmanager
def told(file: str, entry: str) -> Iterator[None]:
    """Whatever goes wrong inside is the fault of ``entry`` of ``file``.

    Raises:
        BadOption: Something did.
    """
    try:
        yield
    except _WRONG as error:
        raise BadOption(
            f"{file} cannot be trained on, {entry} is wrong: {type(error).__name__}: {str(error)[:200]}.",
            next_step="COCO wants images with id, file_name, width and height, annotations with image_id, "
            "category_id and bbox, and categories with id and name.",
        ) from error
