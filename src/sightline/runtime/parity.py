"""Do two engines say the same? Compared on raw outputs, and on what the head reads from them."""

import numpy as np

from sightline.errors import SightlineError
from sightline.manifest import InputContract, Manifest
from sightline.runtime.engine import Outputs, Tensor
from sightline.types import Ask, Classification, Fit, Prediction, Segments, UInt8
from sightline.vision import heads, preprocess

BOX_PIXELS = 2.0
_SURE = 0.05
"""Two scores that lie closer than this may swap places between precisions."""
_TOLERANCE = {"fp32": 2e-3, "bf16": 0.06, "int8": 0.15}


def tolerance(precision: str) -> float:
    """The largest `difference` that a precision may show against ONNX Runtime fp32."""
    return _TOLERANCE.get(precision, _TOLERANCE["fp32"])


def picture(height: int, width: int) -> UInt8:
    """A made-up picture (height, width, 3): soft colours with some sharp shapes, always the same."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    phase = np.array([0.0, 2.1, 4.2], np.float32)
    soft = 0.5 + 0.35 * np.sin(7 * x[..., None] + 5 * y[..., None] * phase + phase)
    for step, colour in enumerate(([0.9, 0.1, 0.1], [0.1, 0.8, 0.2], [0.95, 0.9, 0.85])):
        inside = np.hypot(x - 0.2 - 0.3 * step, y - 0.7 + 0.25 * step) < 0.08 + 0.04 * step
        soft[inside] = colour
    return np.asarray(np.clip(soft * 255, 0, 255), np.uint8)


def sample(contract: InputContract) -> Tensor:
    """The made-up picture as the model's input, with the batch axis that the layout has."""
    height, width = contract.height, contract.width
    if contract.resize == "short_side":
        step = contract.multiple_of
        height = max(step, min(contract.short_side, contract.height) // step * step)
        width = max(step, min(contract.short_side * 4 // 3, contract.width) // step * step)
    tensor = preprocess.tensor(picture(height, width), contract)
    return tensor if contract.layout == "CHW" else tensor[None]


def difference(expected: Outputs, got: Outputs, manifest: Manifest) -> float:
    """How far apart two runs are: infinite if they are read differently, else `distance`."""
    return distance(expected, got) if read_alike(expected, got, manifest) else float("inf")


def distance(expected: Outputs, got: Outputs) -> float:
    """Root mean square of the difference, relative to that of the expected outputs; the worst output counts.

    Infinite when an output is missing or not finite. Outputs of changing length (rows that
    survived a threshold) cannot be compared number by number and do not count.
    """
    worst = 0.0
    for name, value in expected.items():
        other = got.get(name)
        if other is None or not np.all(np.isfinite(other)):
            return float("inf")
        if other.shape == value.shape and value.size:
            scale = float(np.sqrt(np.mean(np.square(value, dtype=np.float64)))) or 1.0
            apart = np.subtract(other, value, dtype=np.float64)
            worst = max(worst, float(np.sqrt(np.mean(np.square(apart)))) / scale)
    return worst


def read_alike(expected: Outputs, got: Outputs, manifest: Manifest, slack: float = 0.0) -> bool:
    """Whether the head reads the same: the same best class, and every sure box again within two pixels.

    ``slack`` allows a box to move by this share of its longer side, if that is more.
    """
    side = (manifest.input.width, manifest.input.height)
    fit = Fit(1.0, 1.0, 0.0, 0.0, *side, *side)
    try:
        before, after = (heads.read(manifest, outputs, fit, Ask()) for outputs in (expected, got))
        return _alike(before, after, slack)
    except SightlineError:
        return False


def _alike(expected: Prediction, got: Prediction, slack: float) -> bool:
    if isinstance(expected, Classification) or isinstance(got, Classification):
        return (
            isinstance(expected, Classification) and isinstance(got, Classification) and _top(expected, got)
        )
    if isinstance(expected, Segments):
        expected = expected.detections
    if isinstance(got, Segments):
        got = got.detections
    for box, label, score in zip(expected.xyxy, expected.label, expected.score, strict=True):
        allowed = max(BOX_PIXELS, slack * float((box[2:] - box[:2]).max()))
        near = (np.abs(got.xyxy - box).max(axis=1, initial=0) <= allowed) & (got.label == label)
        if score > 0.5 and not near.any():
            return False
    return True


def _top(expected: Classification, got: Classification) -> bool:
    if not len(expected.label) or not len(got.label):
        return len(expected.label) == len(got.label)
    near = expected.label[expected.score >= expected.score[0] - _SURE]
    return bool(got.label[0] in near)
