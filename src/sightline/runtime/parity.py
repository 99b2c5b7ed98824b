"""Do two engines say the same? Compared on raw outputs, and on what the head reads from them.

Asked about a made-up picture, which shows errors of arithmetic in every number, and about a photograph,
in which heads that choose objects inside the graph have something to choose.
"""

from pathlib import Path

import numpy as np

from sightline.errors import SightlineError
from sightline.manifest import InputContract, Manifest
from sightline.runtime.engine import Outputs, Tensor
from sightline.types import Ask, Classification, Detections, Fit, Float32, Mask, Seen, Segments, UInt8
from sightline.vision import codec, heads, masks, preprocess

BOX_PIXELS = 2.0
_SURE = 0.05
"""Two scores that lie closer than this may swap places between precisions."""
_CERTAIN = 0.5
"""Objects above this score must be found again."""
_FAINTER = 0.15
"""By so much weaker they may be where they are found again."""
_FAINT = 0.2
_NEAR_BEST = 0.8
"""Where nothing is certain, objects above this share of the best score count, but none below ``_FAINT``."""
_MASK_OVERLAP = 0.8
_TOLERANCE = {"fp32": 2e-3, "bf16": 0.06, "int8": 0.15}
_SLACK = {"bf16": 0.1, "int8": 0.1}
_CHOSEN_INSIDE = ("ssd", "maskrcnn_torchvision", "maskrcnn_zoo")
"""Heads whose rows went through NMS in the graph: two equal scores that change places are no difference."""
_PHOTOGRAPH = Path(__file__).resolve().parents[1] / "web" / "static" / "samples" / "buses.jpg"


def tolerance(precision: str) -> float:
    """The largest `difference` that a precision may show against ONNX Runtime fp32."""
    return _TOLERANCE.get(precision, _TOLERANCE["fp32"])


def slack(precision: str) -> float:
    """The share of its longer side by which a box of this precision may move, see `read_alike`."""
    return _SLACK.get(precision, 0.0)


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


def samples(contract: InputContract) -> list[Tensor]:
    """What engines are compared on: the made-up picture and a photograph that ships with Sightline."""
    frame = codec.decode(_PHOTOGRAPH.read_bytes(), codec.Limits())
    photograph = preprocess.tensor(preprocess.fit(frame, contract).pixels, contract)
    return [sample(contract), photograph if contract.layout == "CHW" else photograph[None]]


def canvas(tensor: Tensor, contract: InputContract) -> tuple[int, int]:
    """Width and height of the canvas in a tensor; with ``short_side`` they are not the contract's."""
    down, across = (-3, -2) if contract.layout == "NHWC" else (-2, -1)
    return tensor.shape[across], tensor.shape[down]


def difference(
    expected: Outputs,
    got: Outputs,
    manifest: Manifest,
    size: tuple[int, int] | None = None,
    slack: float = 0.0,
) -> float:
    """How far apart two runs are: infinite if they are read differently, else `distance`.

    Rows that were chosen inside the graph have no fixed places, so of them only what is read counts, and
    where nothing sure is read, what is read best: else an engine that finds nothing would do.
    """
    inside = manifest.head.kind in _CHOSEN_INSIDE
    if not read_alike(expected, got, manifest, slack, size, faint=inside):
        return float("inf")
    return 0.0 if inside else distance(expected, got)


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


def read_alike(
    expected: Outputs,
    got: Outputs,
    manifest: Manifest,
    slack: float = 0.0,
    size: tuple[int, int] | None = None,
    *,
    faint: bool = False,
) -> bool:
    """Whether the head reads the same: the same best class, and the same sure objects.

    Every sure box of either has a box of its label in the other within two pixels, and where there are
    masks, they overlap. ``slack`` allows a box to move by this share of its longer side, if that is more,
    and its mask twice as much. ``size``: width and height of the canvas; None: the contract's. ``faint``:
    where nothing is sure, compare the best of what there is.
    """
    side = size or (manifest.input.width, manifest.input.height)
    fit = Fit(1.0, 1.0, 0.0, 0.0, *side, *side)
    least = (_FAINT if faint else _CERTAIN) - _FAINTER
    ask = Ask(min_score=min(manifest.thresholds.min_score, least), masks_later=True)
    try:
        before, after = (heads.read(manifest, outputs, fit, ask) for outputs in (expected, got))
        return _alike(before, after, slack, _bar(before, after) if faint else _CERTAIN)
    except SightlineError:
        return False


def _bar(first: Seen, second: Seen) -> float:
    """The score above which objects must be in both."""
    best = max(float(_scores(seen).max(initial=0)) for seen in (first, second))
    return min(_CERTAIN, max(_FAINT, _NEAR_BEST * best))


def _scores(seen: Seen) -> Float32:
    return seen.detections.score if isinstance(seen, Segments) else seen.score


def _alike(expected: Seen, got: Seen, slack: float, bar: float) -> bool:
    if isinstance(expected, Classification) or isinstance(got, Classification):
        return (
            isinstance(expected, Classification) and isinstance(got, Classification) and _top(expected, got)
        )
    return _found_again(expected, got, slack, bar) and _found_again(got, expected, slack, bar)


def _found_again(
    first: Detections | Segments, second: Detections | Segments, slack: float, bar: float
) -> bool:
    """Whether each object of the first above ``bar`` is in the second too."""
    here, there = _boxes(first), _boxes(second)
    for row in np.flatnonzero(here.score > bar):
        box = here.xyxy[row]
        allowed = max(BOX_PIXELS, slack * float((box[2:] - box[:2]).max()))
        moved = np.abs(there.xyxy - box).max(axis=1, initial=0)
        near = np.flatnonzero((moved <= allowed) & (there.label == here.label[row]))
        if isinstance(first, Segments) and isinstance(second, Segments):
            mask, others = first.masks[int(row)], (second.masks[int(other)] for other in near)
            same = any(_same_mask(mask, other, box, slack) for other in others)
        else:
            same = len(near) > 0
        if not same:
            return False
    return True


def _boxes(found: Detections | Segments) -> Detections:
    return found.detections if isinstance(found, Segments) else found


def _same_mask(first: Mask, second: Mask, box: Float32, slack: float) -> bool:
    """Enough overlap, or no more pixels apart than a frame of one pixel around the box has."""
    shared = masks.shared(first, second)
    union = masks.pixels(first) + masks.pixels(second) - shared
    frame = 2 * float((box[2:] - box[:2]).sum())
    return union - shared <= max(frame, (1 - _MASK_OVERLAP + 2 * slack) * union)


def _top(expected: Classification, got: Classification) -> bool:
    if not len(expected.label) or not len(got.label):
        return len(expected.label) == len(got.label)
    near = expected.label[expected.score >= expected.score[0] - _SURE]
    return bool(got.label[0] in near)
