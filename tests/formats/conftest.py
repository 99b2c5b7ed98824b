"""Results to write: found by no model, but of the shape that models give."""

import numpy as np
import pytest

from sightline.types import (
    Classification,
    Detections,
    Mask,
    ModelRef,
    Prediction,
    Result,
    Segments,
    Staged,
    Task,
    Timing,
)

LABELS = ("person", 'stop "sign"', "猫 & <dog>")
MODEL = ModelRef("toy", "2", "sha256:" + "a" * 64)


def result(
    prediction: Prediction, task: Task, labels: tuple[str, ...] = LABELS, source: str = "a/b.jpg"
) -> Result:
    timing = Timing(decode=1.234, queue=0, preprocess=2, infer=3.3333, postprocess=0.125, total=7)
    return Result("r1", source, MODEL, task, 100, 80, labels, prediction, timing, "onnxruntime fp32")


def found() -> Detections:
    return Detections(
        np.array([[10, 20, 50.125, 60.987], [0, 0, 100, 80]], np.float32),
        np.array([0.91239, 0.5], np.float32),
        np.array([2, 0], np.int64),
    )


@pytest.fixture
def detected() -> Result:
    return result(found(), "detect")


@pytest.fixture
def judged() -> Result:
    """Of a pipeline: the first row went on to the second stage."""
    then = Classification(np.array([1, 0]), np.array([0.75, 0.25], np.float32))
    staged = Staged(
        first=found(),
        then=(then, None),
        verdicts=("rider", ""),
        labels=("other", "rider"),
        verdict="rider",
        title="human detected: delivery rider",
        scores=(0.9124, 0.75),
        stages=(MODEL, ModelRef("rule:signs", "1", "sha256:" + "b" * 64)),
    )
    return result(staged, "pipeline")


@pytest.fixture
def nothing() -> Result:
    return result(Detections.empty(), "detect")


@pytest.fixture
def classified() -> Result:
    return result(Classification(np.array([1, 0]), np.array([0.7, 0.2], np.float32), "uncertain"), "classify")


@pytest.fixture
def segmented() -> Result:
    yy, xx = np.mgrid[:41, :41]
    disc = (yy - 20) ** 2 + (xx - 20) ** 2 < 400
    frame = np.ones((80, 100), np.bool_)
    frame[30:50, 30:70] = False
    return result(Segments(found(), (Mask(disc, 10, 20), Mask(frame, 0, 0))), "segment")
