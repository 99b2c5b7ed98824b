"""How raw outputs are read: one small function per family, one dict to find it.

``docs/reference/heads.md`` describes the outputs and the options of each.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from pydantic import ValidationError

from sightline.errors import BadOption, ModelFailed, ModelRefused
from sightline.manifest import Manifest
from sightline.types import RESULTS_MAX, Ask, Fit, Int64, Seen, Segments
from sightline.vision.heads import classify, grid, maskrcnn, prototypes, ready, semantic
from sightline.vision.heads.looks import together, worth
from sightline.vision.heads.reading import BoxOptions, Need, Options, Outputs, Reader

HEADS: dict[str, Reader] = {
    "softmax": Reader(classify.read_softmax, classify.ClassOptions, "classify"),
    "logits": Reader(classify.read_logits, classify.ClassOptions, "classify"),
    "sigmoid": Reader(classify.read_sigmoid, classify.ClassOptions, "classify"),
    "yolox": Reader(grid.read_yolox, grid.GridOptions, "detect"),
    "nanodet": Reader(grid.read_nanodet, grid.NanoDetOptions, "detect"),
    "fastestdet": Reader(grid.read_fastestdet, grid.FastestDetOptions, "detect"),
    "yunet": Reader(grid.read_yunet, grid.GridOptions, "detect"),
    "ssd": Reader(ready.read_ssd, ready.ReadyOptions, "detect"),
    "detr": Reader(ready.read_detr, ready.DetrOptions, "detect"),
    "ultraface": Reader(ready.read_ultraface, ready.UltraFaceOptions, "detect"),
    "maskrcnn_torchvision": Reader(maskrcnn.read_torchvision, maskrcnn.MaskRcnnOptions, "segment"),
    "maskrcnn_zoo": Reader(maskrcnn.read_zoo, maskrcnn.MaskRcnnOptions, "segment"),
    "prototypes": Reader(prototypes.read_prototypes, prototypes.PrototypeOptions, "segment"),
    "nanodet_prototypes": Reader(
        prototypes.read_nanodet_prototypes, prototypes.NanoPrototypeOptions, "segment"
    ),
    "deeplab": Reader(semantic.read_deeplab, semantic.DeepLabOptions, "segment"),
    "bodypix": Reader(semantic.read_bodypix, semantic.BodyPixOptions, "segment"),
}
"""Kind -> reader; ``manifest.head.kind`` is one of these keys."""


def read(manifest: Manifest, outputs: Outputs, fit: Fit, ask: Ask) -> Seen:
    """The outputs of one picture -> a prediction in pixels of the original, strongest first.

    ``outputs`` may keep a leading batch axis of 1. Raises ModelFailed when their shapes or numbers cannot
    be what the manifest says, ModelRefused for an unusable head, BadOption for an unusable ask.
    """
    return read_looks(manifest, [(outputs, fit)], ask)


def read_looks(manifest: Manifest, looks: Sequence[tuple[Outputs, Fit]], ask: Ask) -> Seen:
    """The outputs of several looks at one picture, each with its fit -> one prediction; errors as `read`."""
    reader, options = check(manifest)
    wanted = need(manifest, ask)
    agnostic = isinstance(options, BoxOptions) and options.class_agnostic
    try:
        with np.errstate(all="ignore"):  # wild numbers become inf or NaN, and those are never an answer
            (outputs, fit), *further = looks
            more = replace(wanted, max_results=RESULTS_MAX)  # what is cut before the small ones go is lost
            others = [worth(reader.read(each, at, more, options), at) for each, at in further]
            first = reader.read(outputs, fit, wanted, options)
            found = together([first, *others], wanted, agnostic=agnostic)
            if isinstance(found, Segments) and manifest.task == "segment" and not ask.masks_later:
                found = Segments(found.detections, tuple(found.masks))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # numpy's words are no answer
        msg = f"The outputs of '{manifest.name}' cannot be read by the head '{manifest.head.kind}': {error}."
        raise ModelFailed(msg, next_step="Check head and its options in model.json.") from error
    return found.detections if isinstance(found, Segments) and manifest.task == "detect" else found


def check(manifest: Manifest) -> tuple[Reader, Options]:
    """The reader of a manifest and its options, or ModelRefused in words: for importers, before any run."""
    head = manifest.head
    if head.kind not in HEADS:
        msg = f"There is no head '{head.kind}'. The heads are: {', '.join(HEADS)}."
        raise ModelRefused(msg, next_step="Set head.kind in model.json to one of them.")
    reader = HEADS[head.kind]
    if manifest.task != reader.task and (manifest.task, reader.task) != ("detect", "segment"):
        msg = f"The head '{head.kind}' is for the task '{reader.task}', the manifest says '{manifest.task}'."
        raise ModelRefused(msg)
    try:
        options = reader.options.model_validate(head.options)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        msg = f"The option '{where}' of the head '{head.kind}' is off: {fault['msg']}."
        raise ModelRefused(msg) from error
    if options.raw_ids and (len(set(options.raw_ids)) != len(manifest.labels) or min(options.raw_ids) < 0):
        msg = f"raw_ids must hold one class number for each of {len(manifest.labels)} labels."
        raise ModelRefused(msg)
    return reader, options


def need(manifest: Manifest, ask: Ask) -> Need:
    """The manifest's thresholds with the caller's wishes over them; BadOption says what is off."""
    default = manifest.thresholds
    least = default.min_score if ask.min_score is None else ask.min_score
    most = default.max_results if ask.max_results is None else ask.max_results
    if not 0 <= least <= 1:
        msg = f"min_score must be between 0 and 1, got {least}."
        raise BadOption(msg)
    if not 1 <= most <= RESULTS_MAX:
        msg = f"max_results must be between 1 and {RESULTS_MAX}, got {most}."
        raise BadOption(msg)
    return Need(
        labels=len(manifest.labels),
        min_score=least,
        max_results=most,
        iou=default.iou,
        wanted=_wanted(manifest, ask),
        masks=manifest.task == "segment",
    )


def _wanted(manifest: Manifest, ask: Ask) -> Int64 | None:
    """Label names -> ids; several labels may share a name."""
    if ask.labels is None:
        return None
    ids = [number for number, label in enumerate(manifest.labels) if label in ask.labels]
    missing = sorted(ask.labels.difference(manifest.labels))
    if missing:
        some = ", ".join(manifest.labels[:12]) + (", …" if len(manifest.labels) > 12 else "")
        msg = f"The model '{manifest.name}' has no label '{missing[0]}'. Its labels are: {some}."
        raise BadOption(msg, next_step="`sightline models show` lists all labels of a model.")
    return np.array(ids, np.int64)
