"""Our JSON as text, for children that write it beside the interpreter's lock (``serving.scribe``)."""

import json

import numpy as np

from sightline.formats import native
from sightline.types import Detections, Mask, ModelRef, Result, Segments


def write(result: Result) -> bytes:
    """What `native.to_json` says, as text."""
    return json.dumps(native.to_json(result), separators=(",", ":")).encode()


def warm_up() -> None:
    """Load what the first result would load; afterwards no file can be opened."""
    bits = np.zeros((9, 9), np.bool_)
    bits[1:8, 1:8] = bits[4, 8] = True
    found = Detections(np.array([[0, 0, 9, 9]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    seen = Segments(found, (Mask(bits, 0, 0),))
    write(Result("", "", ModelRef("", "", ""), "segment", 9, 9, ("thing",), seen))
