"""The dry run of a model that nobody has run here before.

`trial` opens the file in the reference engine, sends two made-up pictures down the real road
(fit, tensor, run, read) and looks at what comes out. It runs in a child process, because a graph
of strangers may crash an engine, eat memory or never end.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from sightline.errors import ModelFailed, ModelRefused, SightlineError
from sightline.manifest import Manifest
from sightline.runtime.engine import Plan
from sightline.runtime.onnx_engine import OnnxEngine
from sightline.types import (
    Ask,
    Canvas,
    Classification,
    Detections,
    Fit,
    Float32,
    Frame,
    Seen,
    Segments,
)
from sightline.vision import heads, preprocess

_Array = npt.NDArray[Any]
_SLACK = 1e-2
"""Rounding that an int8 softmax may show."""
_SIZES = ((480, 640), (500, 333))
"""(height, width) of the two pictures: one wide, one tall, neither the size of a common input."""
_MEMORY = ("it asks for more memory than a model may have", "Use a smaller input size or model.")
_SIZE = (
    "it does not take the size, layout or type that the manifest names",
    "Give the right --size and --layout.",
)
_PLAIN = {
    "Dilation not supported for AutoPadType": (
        "it has a convolution with both dilation and automatic padding, which ONNX Runtime does not compute",
        "Export it again with explicit padding, or use a variant without dilation.",
    ),
    "is not a registered function/op": (
        "it needs an operator that ONNX Runtime does not have",
        "Export it again with standard operators and opset 11 to 21.",
    ),
    "Unsupported model IR version": (
        "the file's version is newer than this ONNX Runtime",
        "Export it for an older version.",
    ),
    "ONNX Runtime only *guarantees* support": (
        "its opset is newer than this ONNX Runtime",
        "Export it with an older opset.",
    ),
    "Failed to allocate memory": _MEMORY,
    "bad allocation": _MEMORY,
    "bad_alloc": _MEMORY,
    "Got invalid dimensions": _SIZE,
    "Please fix either the inputs": _SIZE,
    "Unexpected input data type": _SIZE,
}
"""Part of the engine's message -> (what it means, what to do)."""


@dataclass(frozen=True, slots=True)
class TrialReport:
    """What the dry run saw."""

    engine: str
    run_ms: float
    """Second run, one picture, a few threads."""
    outputs: tuple[str, ...]
    """``name 1x3549x85 float32`` of each output."""
    batches: bool
    """Whether two pictures at once work too."""


def trial(path: Path, manifest: Manifest) -> TrialReport:
    """Run two random pictures through the model and its head.

    Raises:
        ModelRefused: The engine cannot open or run it, or the answer makes no sense.
    """
    heads.check(manifest)
    engine = _open(path, manifest.input.tensor)
    try:
        report = _try(engine, manifest)
        for size in manifest.input.sizes:
            if size != manifest.input.width:
                _try_at(engine, manifest, size)
        return report
    finally:
        engine.close()


def _try_at(engine: OnnxEngine, manifest: Manifest, size: int) -> None:
    """The same at another of the sizes that the manifest offers."""
    try:
        _try(engine, manifest.at(size))
    except ModelRefused as error:
        raise ModelRefused(
            f"The manifest offers the size {size}, but there the model does not work: {error.message}",
            next_step="Leave it out of input.sizes, or export the graph with a free height and width.",
        ) from error


def _try(engine: OnnxEngine, manifest: Manifest) -> TrialReport:
    """At the canvas of the manifest."""
    canvases = [preprocess.fit(frame, manifest.input) for frame in _pictures()]
    tensors = [_tensor(canvas, manifest) for canvas in canvases]
    answers = []
    for tensor, canvas in zip(tensors, canvases, strict=True):
        began_s = time.perf_counter()
        outputs = _run(engine, tensor)
        took_ms = 1e3 * (time.perf_counter() - began_s)
        _check_outputs(outputs, manifest)
        _read(manifest, outputs, canvas.fit)
        answers.append(outputs)
    batches = engine.max_batch != 1 and manifest.input.layout != "CHW" and _batches(engine, tensors, answers)
    shapes = tuple(f"{name} {_shape(array)} {array.dtype}" for name, array in answers[-1].items())
    return TrialReport(f"ONNX Runtime {engine.info.version}", took_ms, shapes, batches)


def _pictures() -> Iterator[Frame]:
    """Two pictures that no model mistakes for each other: bright and grey, then dark and warm."""
    generator = np.random.default_rng(2026)
    for (height, width), tint in zip(_SIZES, ((1.0, 1.0, 1.0), (0.5, 0.2, 0.1)), strict=True):
        noise = generator.integers(0, 256, (height, width, 3), np.uint8)
        ramp = np.linspace(0, 255, width, dtype=np.float32)[None, :, None]
        mixed = (noise * np.float32(0.3) + ramp * np.float32(0.7)) * np.array(tint, np.float32)
        yield Frame(np.asarray(mixed, np.uint8), width, height)


def _open(path: Path, tensor: str) -> OnnxEngine:
    try:
        return OnnxEngine(path, Plan(threads=2, batch=2, arena=False), tensor=tensor)
    except ModelFailed as error:
        raise _refusal("open", error) from error


def _tensor(canvas: Canvas, manifest: Manifest) -> _Array:
    tensor = preprocess.tensor(canvas.pixels, manifest.input)
    return tensor if manifest.input.layout == "CHW" else tensor[None]


def _run(engine: OnnxEngine, tensor: _Array) -> Mapping[str, _Array]:
    try:
        return engine.run(tensor)
    except ModelFailed as error:
        raise _refusal("run", error) from error


def _refusal(verb: str, error: ModelFailed) -> ModelRefused:
    for part, (meaning, advice) in _PLAIN.items():
        if part in error.message:
            opens = (
                "ONNX Runtime opens the model but cannot run it"
                if verb == "run"
                else "ONNX Runtime cannot open it"
            )
            return ModelRefused(f"{opens}: {meaning}. Its own words: {_own_words(error)}", next_step=advice)
    return ModelRefused(
        error.message,
        next_step="Export the model again with standard operators, or check its size and layout.",
    )


def _own_words(error: ModelFailed) -> str:
    return error.message.rpartition("Status Message: ")[2].rpartition("] : ")[2]


def _check_outputs(outputs: Mapping[str, _Array], manifest: Manifest) -> None:
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelRefused(
                f"Its output {name!r} holds values that are no numbers for an ordinary picture.",
                next_step="The weights are damaged, or scale, mean and std are wrong.",
            )
    if manifest.head.kind == "softmax":
        scores = outputs.get(manifest.head.options.get("outputs", {}).get("scores", ""))
        scores = next(iter(outputs.values())) if scores is None else scores
        if scores.min() < -_SLACK or scores.max() > 1 + _SLACK:
            raise ModelRefused(
                "Its scores are no probabilities, so there is no softmax inside.",
                next_step="Import it with --head logits.",
            )


def _read(manifest: Manifest, outputs: Mapping[str, _Array], fit: Fit) -> None:
    try:
        prediction = heads.read(manifest, outputs, fit, Ask(min_score=0.0))
    except SightlineError as error:
        raise ModelRefused(
            f"The head {manifest.head.kind!r} cannot read its outputs: {error.message}",
            next_step=error.next_step,
        ) from error
    _check_prediction(prediction, fit)


def _check_prediction(prediction: Seen, fit: Fit) -> None:
    match prediction:
        case Classification():
            good = _is_share(prediction.score)
        case Detections():
            good = _is_share(prediction.score) and _is_inside(prediction.xyxy, fit)
        case Segments():
            inner = prediction.detections
            good = _is_share(inner.score) and _is_inside(inner.xyxy, fit)
        case _:
            assert_never(prediction)
    if not good:
        raise ModelRefused(
            "Its answers make no sense: scores outside 0 to 1, or boxes outside the picture.",
            next_step="Another --head probably fits; for classifiers without softmax it is `logits`.",
        )


def _is_share(score: Float32) -> bool:
    return bool(np.isfinite(score).all() and (score >= 0).all() and (score <= 1 + 1e-3).all())


def _is_inside(xyxy: Float32, fit: Fit) -> bool:
    limit = np.array([fit.width, fit.height] * 2, np.float32)
    return bool(np.isfinite(xyxy).all() and (xyxy >= 0).all() and (xyxy <= limit + 1e-2).all())


def _batches(engine: OnnxEngine, tensors: list[_Array], answers: list[Mapping[str, _Array]]) -> bool:
    """Whether two pictures at once give what each gives alone; a free batch size is a promise."""
    if tensors[0].shape != tensors[1].shape:
        return False
    together = _run(engine, np.concatenate(tensors))
    for index, alone in enumerate(answers):
        for name, array in alone.items():
            part = together[name][index : index + 1] if len(together[name]) == len(tensors) else None
            if (
                part is None
                or part.shape != array.shape
                or not np.allclose(part, array, rtol=1e-2, atol=1e-3)
            ):
                raise ModelRefused(
                    f"It takes several pictures at once, but its output {name!r} is then another than alone.",
                    next_step="Export it with a batch of exactly one.",
                )
    return True


def _shape(array: _Array) -> str:
    return "x".join(map(str, array.shape)) or "scalar"
