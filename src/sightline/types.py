"""The nouns: frozen values, numpy and nothing else.

Coordinates are continuous pixels of the *upright original* picture: x to the right, y down,
the origin at the top left corner of the top left pixel, so a picture of width ``w`` spans
``0 <= x <= w``. Boxes are ``xyxy`` (x1, y1, x2, y2). Pixels are RGB, uint8, (height, width, 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

UInt8: TypeAlias = npt.NDArray[np.uint8]
Float32: TypeAlias = npt.NDArray[np.float32]
Int64: TypeAlias = npt.NDArray[np.int64]
Bool: TypeAlias = npt.NDArray[np.bool_]

Task: TypeAlias = Literal["classify", "detect", "segment", "pipeline"]
Decision: TypeAlias = Literal["accepted", "uncertain", "unknown"]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A decoded picture: upright, RGB.

    ``pixels`` is (h, w, 3) uint8. It may be a scaled decode: ``width`` and ``height`` are always
    those of the upright original, the picture that coordinates speak of.
    """

    pixels: UInt8
    width: int
    height: int
    index: int = 0
    time_s: float = 0.0
    seen: tuple[float, float, float, float] | None = None
    """Where the picture lies in ``pixels`` (x1, y1, x2, y2), in their pixels; None: it fills them. The last
    row and column of a scaled decode may reach beyond the picture."""

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if self.pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            msg = f"Frame.pixels must be a non-empty (h, w, 3) uint8 array, got {shape} {self.pixels.dtype}."
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Fit:
    """The invertible record of resizing: ``canvas = original * scale + offset``, per axis, in pixels."""

    scale_x: float
    scale_y: float
    left: float
    top: float
    width: int
    """Width of the upright original."""
    height: int
    """Height of the upright original."""
    canvas_width: int
    canvas_height: int

    def __reduce__(self) -> tuple[type, tuple[float, ...]]:
        """Cheaper than the general way: every picture's record crosses from a child like this."""
        scale, offset = (self.scale_x, self.scale_y), (self.left, self.top)
        return Fit, (*scale, *offset, self.width, self.height, self.canvas_width, self.canvas_height)

    def to_canvas(self, xyxy: Float32) -> Float32:
        """(n, 4) boxes of the original -> the same boxes on the canvas."""
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float32)
        offset = np.array([self.left, self.top] * 2, np.float32)
        return np.asarray(xyxy * scale + offset, np.float32)

    def to_original(self, xyxy: Float32) -> Float32:
        """(n, 4) boxes on the canvas -> boxes of the original, clipped to the picture."""
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float32)
        offset = np.array([self.left, self.top] * 2, np.float32)
        limit = np.array([self.width, self.height] * 2, np.float32)
        return np.asarray(np.clip((xyxy - offset) / scale, 0, limit), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """A picture fitted to a model's input: ``pixels`` (h, w, 3) uint8 RGB and how it got there."""

    pixels: UInt8
    fit: Fit


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One picture as a model wants it: the numbers of its input without the batch axis, (3, h, w) or
    (h, w, 3) in the contract's dtype, and how the picture got there.
    """

    tensor: Float32 | UInt8
    fit: Fit
    decode_ms: float = 0.0
    preprocess_ms: float = 0.0
    frame: Frame | None = None
    """The decoded picture itself, where a later stage is to look at it again; else it stays in the child."""

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Cheaper than the general way: every picture crosses from a child like this."""
        return Prepared, (self.tensor, self.fit, self.decode_ms, self.preprocess_ms, self.frame)


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """Classes, strongest first: ``label`` (k,) int64 label ids, ``score`` (k,) float32 in 0..1."""

    label: Int64
    score: Float32
    decision: Decision | None = None

    def take(self, index: npt.NDArray[np.intp] | Bool) -> "Classification":
        """Rows by integer index or boolean mask, in that order; the decision stays."""
        return Classification(self.label[index], self.score[index], self.decision)


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Objects, strongest first: ``xyxy`` (n, 4) float32, ``score`` (n,) float32, ``label`` (n,) int64."""

    xyxy: Float32
    score: Float32
    label: Int64

    def __post_init__(self) -> None:
        n = len(self.score)
        if self.xyxy.shape != (n, 4) or self.label.shape != (n,) or self.score.shape != (n,):
            shapes = f"xyxy {self.xyxy.shape}, score {self.score.shape}, label {self.label.shape}"
            msg = f"Detections disagree: {shapes}."
            raise ValueError(msg)

    def __len__(self) -> int:
        return len(self.score)

    def take(self, index: npt.NDArray[np.intp] | Bool) -> "Detections":
        """Rows by integer index or boolean mask, in that order."""
        return Detections(self.xyxy[index], self.score[index], self.label[index])

    @staticmethod
    def empty() -> "Detections":
        """No objects: a normal value."""
        return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """One object's pixels: ``bits`` (h, w) bool whose top left pixel is (``left``, ``top``) of the original.

    Never the size of the whole picture: 100 objects on 16 megapixels would be 1.6 GB.
    """

    bits: Bool
    left: int
    top: int


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Detections with one mask each, in the same order; a tuple, unless masks were wanted later."""

    detections: Detections
    masks: Sequence[Mask]

    def __post_init__(self) -> None:
        if len(self.masks) != len(self.detections):
            msg = f"Segments need one mask per object, got {len(self.masks)} for {len(self.detections)}."
            raise ValueError(msg)


Seen: TypeAlias = Classification | Detections | Segments
"""What one network says about one picture."""


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which model answered, exactly."""

    name: str
    version: str
    digest: str
    """``sha256:<64 hex>`` of model.onnx; of pipelines, of the description of their stages."""


@dataclass(frozen=True, slots=True, eq=False)
class Staged:
    """The answer of a pipeline: every stage stays visible, with its scores.

    ``then`` and ``verdicts`` have one entry per row of ``first``; a row that the second stage was not
    asked about has None and an empty verdict there.
    """

    first: Classification | Detections
    then: tuple[Classification | None, ...]
    verdicts: tuple[str, ...]
    labels: tuple[str, ...]
    """All labels of the second stage, by label id."""
    verdict: str
    """About the picture."""
    title: str = ""
    """The verdict in words."""
    scores: tuple[float | None, float | None] = (None, None)
    """Of the row that decided: the first stage's score, and the second's for the verdict."""
    stages: tuple[ModelRef, ...] = ()

    def __post_init__(self) -> None:
        rows = len(self.first.score)
        if len(self.then) != rows or len(self.verdicts) != rows:
            counts = f"{rows} rows, {len(self.then)} of the second stage, {len(self.verdicts)} verdicts"
            msg = f"Staged needs an entry per row of the first stage, got {counts}."
            raise ValueError(msg)


Prediction: TypeAlias = Seen | Staged


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of each part of the road."""

    decode: float = 0.0
    queue: float = 0.0
    preprocess: float = 0.0
    infer: float = 0.0
    postprocess: float = 0.0
    total: float = 0.0


RESULTS_MAX = 1000
"""Of one answer; no manifest and no caller may ask for more."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What the caller wants of the answer; ``None`` means the model's own default."""

    min_score: float | None = None
    max_results: int | None = None
    labels: frozenset[str] | None = None
    """Only these labels."""
    size: int | None = None
    """Side of the square canvas that the model is to see the picture on; one of its ``input.sizes``."""
    masks_later: bool = False
    """Draw a mask when it is looked at: for who drops most of what is found before that."""


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """One answer about one picture."""

    id: str
    source: str
    model: ModelRef
    task: Task
    width: int
    height: int
    labels: tuple[str, ...]
    """All labels of the model (of a pipeline: of its first stage), by label id."""
    prediction: Prediction
    timing: Timing = field(default_factory=Timing)
    engine: str = ""
    """Engine and precision that computed it, for people: ``onnxruntime fp32``."""
    size: int | None = None
    """Side of the square canvas the picture was seen on; ``None`` of models that have only one."""
