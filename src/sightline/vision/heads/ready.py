"""Detectors whose boxes come out ready, or nearly so: NMS inside, none needed, or plain scored boxes."""

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field

from sightline.errors import ModelFailed
from sightline.types import Detections, Fit, Float32, Int64
from sightline.vision import boxes
from sightline.vision.heads.grid import all_classes, top_class
from sightline.vision.heads.reading import (
    BoxOptions,
    Need,
    Options,
    Outputs,
    expect,
    finish,
    label_columns,
    label_ids,
    passes,
    pick,
    place,
    sigmoid,
    softmax,
)

BoxOrder: TypeAlias = Literal["auto", "xyxy", "yxyx", "xywh", "cxcywh"]


class ReadyOptions(Options):
    """Options of detectors with NMS inside."""

    box_order: BoxOrder = Field(default="auto", description="auto: yxyx in TensorFlow's form, else xyxy.")
    box_unit: Literal["auto", "pixels", "fraction"] = Field(
        default="auto",
        description="Canvas pixels or fractions of the canvas. auto: pixels when the output is called "
        "'boxes' (torchvision), fractions when it is 'bboxes' (ONNX Model Zoo) or 'detection_boxes' "
        "(TensorFlow).",
    )
    packed: bool = Field(default=False, description="One output 'rows' (n, 6): the box, score, class.")


def read_ssd(outputs: Outputs, fit: Fit, need: Need, options: ReadyOptions) -> Detections:
    """SSD and all others with NMS inside: boxes (n, 4), labels (n,), scores (n,), optional count ().

    Outputs are found by ``options.outputs``, by their role's name, by the names of TensorFlow's
    object detection models, else in the order boxes, labels, scores. Rows from ``count`` on are
    filling and are not read.
    """
    outputs, options = _known_form(outputs, options)
    if options.packed:
        rows = expect(pick(outputs, options, "rows"), (None, 6), "rows")
        raw, score, number = rows[:, :4], rows[:, 4], rows[:, 5]
    else:
        raw = expect(pick(outputs, options, "boxes"), (None, 4), "boxes")
        number = expect(pick(outputs, options, "labels", 1), (len(raw),), "labels")
        score = expect(pick(outputs, options, "scores", 2), (len(raw),), "scores")
    if "count" in options.outputs or "count" in outputs:
        score = score[: _counted(pick(outputs, options, "count"))]
    label = label_ids(number[: len(score)], need, options)
    score = np.asarray(score, np.float32)
    rows = passes(score, label, need)
    rows = rows[boxes.strongest(score[rows], boxes.CANDIDATES)]
    xyxy = on_canvas(np.asarray(raw[rows], np.float32), fit, options.box_order, options.box_unit)
    return _best(xyxy, score[rows], label[rows], fit, need)


def _counted(output: npt.NDArray[Any]) -> int:
    """The number in the output 'count', () or (1,) of any dtype; ModelFailed when it is none."""
    number = np.asarray(output, np.float64).reshape(-1)
    if len(number) != 1 or not np.isfinite(number[0]) or number[0] < 0:
        msg = f"The output 'count' must be one number of at least 0, got {number[:4].tolist()}."
        raise ModelFailed(msg, next_step="Check head.options.outputs in model.json, or leave 'count' out.")
    return int(number[0])


_TENSORFLOW = {
    "detection_boxes": "boxes",
    "detection_classes": "labels",
    "detection_scores": "scores",
    "num_detections": "count",
}


def _known_form(outputs: Outputs, options: ReadyOptions) -> tuple[Outputs, ReadyOptions]:
    """Roles for the names of TensorFlow and the ONNX Model Zoo; order and unit where they say 'auto'."""
    plain = {name.split(":")[0]: name for name in outputs}
    tensorflow = "detection_boxes" in plain
    if tensorflow:
        outputs = dict(outputs) | {
            role: outputs[plain[name]] for name, role in _TENSORFLOW.items() if name in plain
        }
    fractions = tensorflow or "bboxes" in plain
    changes = {
        "box_order": ("yxyx" if tensorflow else "xyxy") if options.box_order == "auto" else options.box_order,
        "box_unit": ("fraction" if fractions else "pixels")
        if options.box_unit == "auto"
        else options.box_unit,
    }
    return outputs, options.model_copy(update=changes)


class DetrOptions(Options):
    """Options of the DETR family."""

    activation: Literal["softmax", "sigmoid"] = Field(
        default="softmax", description="softmax: DETR. sigmoid: Deformable DETR, RT-DETR and their kin."
    )
    background: Literal["last", "none"] = Field(
        default="last", description="softmax only: the last class means 'no object'."
    )


def read_detr(outputs: Outputs, fit: Fit, need: Need, options: DetrOptions) -> Detections:
    """DETR (arXiv:2005.12872): logits (queries, classes), boxes (queries, 4) = cx, cy, w, h in 0..1.

    No NMS: each query is one object. With sigmoid every pair of query and class competes, as in
    Deformable DETR (arXiv:2010.04159).
    """
    logits = np.asarray(expect(pick(outputs, options, "logits"), (None, None), "logits"), np.float32)
    raw = expect(pick(outputs, options, "boxes", 1), (len(logits), 4), "boxes")
    if options.activation == "sigmoid":
        query, score, label = all_classes(label_columns(sigmoid(logits), need, options, "logits"), need)
    else:
        probability = softmax(logits)
        if options.background == "last":
            probability = probability[:, :-1]
        columns = label_columns(probability, need, options, "logits")
        one = np.ones(len(columns), np.float32)
        query, score, label = top_class(columns, one, np.arange(len(columns), dtype=np.intp), need)
    xyxy = on_canvas(np.asarray(raw[query], np.float32), fit, "cxcywh", "fraction")
    return _best(xyxy, score, label, fit, need)


class UltraFaceOptions(BoxOptions):
    """Options of UltraFace."""

    first_label: int = 1
    box_order: BoxOrder = "xyxy"
    box_unit: Literal["pixels", "fraction"] = "fraction"


def read_ultraface(outputs: Outputs, fit: Fit, need: Need, options: UltraFaceOptions) -> Detections:
    """Scored boxes without NMS: scores (n, background + classes), boxes (n, 4).

    UltraFace (github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB) gives fractions and two
    classes, background and face.
    """
    scores = expect(pick(outputs, options, "scores"), (None, None), "scores")
    raw = expect(pick(outputs, options, "boxes", 1), (len(scores), 4), "boxes")
    columns = label_columns(np.asarray(scores, np.float32), need, options, "scores")
    one = np.ones(len(columns), np.float32)
    rows, score, label = top_class(columns, one, np.arange(len(columns), dtype=np.intp), need)
    xyxy = on_canvas(np.asarray(raw[rows], np.float32), fit, options.box_order, options.box_unit)
    return finish(xyxy, score, label, fit, need, agnostic=options.class_agnostic)[0]


def on_canvas(raw: npt.NDArray[Any], fit: Fit, order: str, unit: str) -> Float32:
    """(n, 4) in any usual order and unit -> xyxy in canvas pixels."""
    match order:
        case "yxyx":
            xyxy = raw[:, [1, 0, 3, 2]]
        case "xywh":
            xyxy = np.concatenate([raw[:, :2], raw[:, :2] + raw[:, 2:]], 1)
        case "cxcywh":
            xyxy = boxes.from_centre(raw)
        case _:
            xyxy = raw
    if unit == "fraction":
        xyxy = xyxy * np.array([fit.canvas_width, fit.canvas_height] * 2, np.float32)
    return np.asarray(xyxy, np.float32)


def _best(xyxy: Float32, score: Float32, label: Int64, fit: Fit, need: Need) -> Detections:
    """Rows already in falling order of score -> at most ``max_results`` detections."""
    found, _ = place(xyxy, score, label, fit, np.arange(len(score), dtype=np.intp))
    return found.take(np.arange(min(len(found), need.max_results)))
