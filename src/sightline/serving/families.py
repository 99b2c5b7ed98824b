"""Known families of models, recognised by the shapes and names of their outputs.

One function a family: `Facts` in, `Guess` or ``None`` out; the first that says yes wins, so the
particular stand before the general. Sources of the conventions are named at each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sightline.registry.labels import CIFAR10, COCO, COCO_IDS, VOC
from sightline.runtime.facts import Facts, Port
from sightline.serving.picture_input import PictureInput

IMAGENET = {
    "scale": 1 / 255,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}
"""Mean and standard deviation of ImageNet in 0..1: torchvision's and the ONNX Model Zoo's habit."""
PLUS_MINUS_ONE = {"scale": 1 / 127.5, "mean": (1.0, 1.0, 1.0)}
"""-1..1, the habit of TensorFlow's mobile models."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What a family implies. ``classes`` is how many labels the head needs; 0: whatever is given."""

    family: str
    why: str
    task: str
    head: str
    input: dict[str, Any]
    labels: tuple[str, ...] = ()
    classes: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    thresholds: dict[str, Any] = field(default_factory=dict)


Family: TypeAlias = Callable[[Facts, PictureInput], Guess | None]


def bodypix(facts: Facts, picture: PictureInput) -> Guess | None:
    """BodyPix (TensorFlow.js, MobileNetV1): logits of the person in ``segments``."""
    if not (facts.output("segments") and facts.output("heatmaps")):
        return None
    size = {"width": picture.width or 513, "height": picture.height or 513}
    look = {"color": "RGB", "resize": "letterbox", "pad_value": 127, **PLUS_MINUS_ONE, **size}
    why = "outputs `segments` and `heatmaps`"
    return Guess("BodyPix", why, "segment", "bodypix", look, ("person",))


def yunet(facts: Facts, picture: PictureInput) -> Guess | None:
    """YuNet (libfacedetection): BGR 0..255, sides in multiples of 32."""
    if not all(facts.output(f"{kind}_{stride}") for kind in ("cls", "obj", "bbox") for stride in (8, 16, 32)):
        return None
    size = {"width": picture.width or 640, "height": picture.height or 640}
    look = {"color": "BGR", "resize": "letterbox", "pad_value": 0, **size}
    return Guess(
        "YuNet", "outputs cls, obj and bbox of the strides 8, 16 and 32", "detect", "yunet", look, ("face",),
        thresholds={"min_score": 0.6, "iou": 0.45},
    )  # fmt: skip


def ultraface(facts: Facts, _picture: PictureInput) -> Guess | None:
    """Ultra-Light-Fast-Generic-Face-Detector: (x - 127) / 128, boxes as fractions of the picture."""
    scores, boxes = facts.output("scores"), facts.output("boxes")
    if not (scores and boxes and scores.fixed(-1) == 2 and boxes.fixed(-1) == 4):
        return None
    look = {"color": "RGB", "resize": "stretch", "mean": (127.0,) * 3, "std": (128.0,) * 3}
    return Guess(
        "UltraFace", "outputs `scores` of two classes and `boxes`", "detect", "ultraface", look, ("face",),
        thresholds={"min_score": 0.7, "iou": 0.3},
    )  # fmt: skip


def mask_rcnn(facts: Facts, picture: PictureInput) -> Guess | None:
    """Mask R-CNN: as torchvision exports it, or as the ONNX Model Zoo publishes it (CHW, BGR)."""
    masks = [port for port in facts.outputs if port.rank == 4]
    boxes = [port for port in facts.outputs if port.rank == 2 and port.fixed(1) in (4, None)]
    if len(facts.outputs) != 4 or len(masks) != 1 or len(boxes) != 1:
        return None
    size = {"resize": "short_side", "short_side": 800, "width": 1344, "height": 1344, "multiple_of": 32}
    if picture.layout == "CHW" and masks[0].fixed(3) == 28:
        mean = {"color": "BGR", "mean": (102.9801, 115.9465, 122.7717), "pad_value": 0}
        why = "four outputs with 28x28 masks and an input without batch"
        return Guess(
            "Mask R-CNN (ONNX Model Zoo)", why, "segment", "maskrcnn_zoo", {**mean, **size}, COCO,
            options={"first_label": 1}, thresholds={"min_score": 0.5},
        )  # fmt: skip
    look = {"color": "RGB", "scale": 1 / 255, "pad_value": 0, **size}
    return Guess(
        "Mask R-CNN (torchvision)", "outputs boxes, labels, scores and masks", "segment",
        "maskrcnn_torchvision", look, COCO, options={"raw_ids": COCO_IDS}, thresholds={"min_score": 0.5},
    )  # fmt: skip


def detr(facts: Facts, picture: PictureInput) -> Guess | None:
    """DETR (arXiv:2005.12872) and its relatives: class logits and centre boxes per query, no NMS."""
    boxes = next((port for port in facts.outputs if port.rank == 3 and port.fixed(2) == 4), None)
    logits = next((port for port in facts.outputs if port.rank == 3 and "logits" in port.name), None)
    if not (boxes and logits and boxes.fixed(1) == logits.fixed(1)):
        return None
    classes = logits.fixed(2) or 0
    # RT-DETR has COCO's 80 classes, Deformable DETR its 91 ids, both with sigmoid; DETR adds 'no object'.
    kin = classes in (80, 91)
    options: dict[str, Any] = {"outputs": {"logits": logits.name, "boxes": boxes.name}}
    options |= {"activation": "sigmoid"} if kin else {}
    options |= {"raw_ids": COCO_IDS} if classes in (91, 92) else {}
    look = {"color": "RGB", **({"scale": 1 / 255} if classes == 80 else IMAGENET), **_size(picture, 800)}
    labels = COCO if classes in (80, 91, 92) else ()
    why = f"{classes} class logits and a box per query"
    return Guess(
        "DETR", why, "detect", "detr", look, labels, 0 if labels else classes - 1, options, {"min_score": 0.5}
    )


def ssd(facts: Facts, picture: PictureInput) -> Guess | None:
    """Detectors with NMS inside: TensorFlow's, the ONNX Model Zoo's SSD, and torchvision's."""
    if facts.output("detection_boxes") and facts.output("detection_scores"):
        return _tensorflow_ssd(facts, picture)
    names = {port.name for port in facts.outputs}
    if names == {"bboxes", "labels", "scores"}:
        options = {"outputs": {"boxes": "bboxes"}, "box_unit": "fraction", "first_label": 1}
        look = {"color": "RGB", "resize": "stretch", **IMAGENET}
        why = "outputs bboxes, labels and scores"
        return Guess("SSD (ONNX Model Zoo)", why, "detect", "ssd", look, COCO, options=options)
    if names == {"boxes", "labels", "scores"}:
        look = {"color": "RGB", "scale": 1 / 255, **_size(picture, 800)}
        why = "outputs boxes, labels and scores"
        return Guess("torchvision", why, "detect", "ssd", look, COCO, options={"raw_ids": COCO_IDS})
    return None


def _tensorflow_ssd(facts: Facts, picture: PictureInput) -> Guess:
    roles = {"boxes": "detection_boxes", "labels": "detection_classes", "scores": "detection_scores"}
    if facts.output("num_detections"):
        roles["count"] = "num_detections"
    options = {"outputs": roles, "box_order": "yxyx", "box_unit": "fraction", "raw_ids": COCO_IDS}
    size = {"width": picture.width or 300, "height": picture.height or 300}
    why = "outputs `detection_boxes` and `detection_scores`"
    look = {"color": "RGB", "resize": "stretch", **size}
    return Guess("SSD (TensorFlow)", why, "detect", "ssd", look, COCO, options=options)


def yolox(facts: Facts, picture: PictureInput) -> Guess | None:
    """YOLOX (arXiv:2107.08430): one row per cell of the strides 8, 16, 32; BGR 0..255."""
    port = _only(facts, 3)
    if port is None or not (picture.width and picture.height):
        return None
    cells = sum((picture.width // stride) * (picture.height // stride) for stride in (8, 16, 32))
    classes = (port.fixed(2) or 0) - 5
    if port.fixed(1) != cells or classes < 1:
        return None
    look = {"color": "BGR", "resize": "letterbox", "anchor": "top_left", "pad_value": 114}
    why = f"{cells} rows of 5 + {classes} numbers, one per cell of the strides 8, 16 and 32"
    labels = COCO if classes == len(COCO) else ()
    return Guess("YOLOX", why, "detect", "yolox", look, labels, classes)


def fastestdet(facts: Facts, picture: PictureInput) -> Guess | None:
    """FastestDet: one map of 5 + classes channels at stride 16; BGR 0..1."""
    port = _only(facts, 4)
    if port is None or not (picture.width and picture.height):
        return None
    classes = (port.fixed(1) or 0) - 5
    if classes < 1 or (port.fixed(2), port.fixed(3)) != (picture.height // 16, picture.width // 16):
        return None
    look = {"color": "BGR", "resize": "stretch", "scale": 1 / 255}
    why = f"one map of 5 + {classes} channels, one cell per 16 pixels"
    labels = COCO if classes == len(COCO) else ()
    return Guess(
        "FastestDet", why, "detect", "fastestdet", look, labels, classes,
        thresholds={"min_score": 0.5, "iou": 0.45},
    )  # fmt: skip


def deeplab(facts: Facts, picture: PictureInput) -> Guess | None:
    """Semantic segmentation: one map of class scores about as large as the input (DeepLab v3)."""
    port = _only(facts, 4)
    if port is None:
        return None
    last = picture.layout == "NHWC"
    classes = port.fixed(3 if last else 1) or 0
    height = port.fixed(1 if last else 2)
    if classes < 2 or (height is not None and height < 8):
        return None
    look: dict[str, Any] = {"color": "RGB", "resize": "stretch", **(PLUS_MINUS_ONE if last else IMAGENET)}
    look |= {"width": picture.width or 513, "height": picture.height or 513}
    labels = VOC if classes == len(VOC) else ()
    why = f"one map of {classes} classes per pixel"
    options = {"layout": "NHWC" if last else "NCHW"}
    return Guess("semantic segmentation", why, "segment", "deeplab", look, labels, classes, options)


def classifier(facts: Facts, picture: PictureInput) -> Guess | None:
    """One row of class scores."""
    port = facts.outputs[0]
    rest = port.shape[2:] if port.shape else ()
    classes = port.fixed(1) or 0
    if len(facts.outputs) != 1 or classes < 2 or any(size != 1 for size in rest):
        return None
    mobile = classes == 1001 or picture.layout == "NHWC"
    size = {"width": picture.width or 224, "height": picture.height or 224}
    small = min(size.values()) < 96
    fit = {"resize": "stretch"} if small else {"resize": "crop", "crop_fraction": 0.875}
    look = {"color": "RGB", **(PLUS_MINUS_ONE if mobile else IMAGENET), **fit, **size}
    inside = facts.ends[0] in ("Softmax", "Sigmoid", "HardSigmoid")
    labels = CIFAR10 if (classes, small) == (len(CIFAR10), True) else ()
    why = f"one row of {classes} scores" + (f" made by {facts.ends[0]}" if inside else " without softmax")
    head = "softmax" if inside else "logits"
    return Guess(
        "ImageNet classifier" if classes in (1000, 1001) else "classifier",
        why,
        "classify",
        head,
        look,
        labels,
        classes,
        thresholds={"min_score": 0.01},
    )


FAMILIES: tuple[Family, ...] = (
    bodypix, yunet, ultraface, mask_rcnn, ssd, detr, yolox, fastestdet, deeplab, classifier,
)  # fmt: skip


def _size(picture: PictureInput, short_side: int) -> dict[str, Any]:
    """How a detector that takes any size is usually fed; a fixed size leaves nothing but stretching."""
    if picture.width and picture.height:
        return {"resize": "stretch"}
    return {"resize": "short_side", "short_side": short_side, "width": 1333, "height": 1333, "pad_value": 0}


def _only(facts: Facts, rank: int) -> Port | None:
    port = facts.outputs[0]
    return port if len(facts.outputs) == 1 and port.rank == rank else None
