"""Families whose weights cannot be had here: the shapes and names their exporters are known to write."""

from typing import Any

import pytest

from sightline.errors import BadOption, ModelRefused
from sightline.registry.labels import CIFAR10, COCO, COCO_IDS
from sightline.runtime.facts import Facts, Port
from sightline.serving.hints import Hints
from sightline.serving.propose import propose
from sightline.vision import heads

NAMES = tuple(f"class {number}" for number in range(1000))


def _facts(picture: Port, *outputs: Port, ends: tuple[str, ...] = (), metadata: Any = ()) -> Facts:
    return Facts(
        bytes=1,
        ir=8,
        opset=12,
        producer="",
        inputs=(picture,),
        outputs=outputs,
        ends=ends or ("",) * len(outputs),
        nodes=1,
        tensors=1,
        parameters=1,
        operators=(),
        quantised=False,
        metadata=metadata,
    )


def _f(name: str, *shape: int | str) -> Port:
    return Port(name, "float32", shape)


NCHW = _f("x", 1, 3, 640, 640)
FREE = _f("x", "n", 3, "h", "w")
CASES: dict[str, tuple[Facts, dict[str, Any], dict[str, Any]]] = {
    "zoo mask rcnn": (
        _facts(_f("image", 3, "h", "w"), _f("6568", "n", 4), Port("6570", "int64", ("n",)), _f("6572", "n"),
               _f("6887", "n", 1, 28, 28)),
        {},
        {"head.kind": "maskrcnn_zoo", "input.layout": "CHW", "input.color": "BGR", "labels": COCO,
         "input.multiple_of": 32},
    ),
    "torchvision mask rcnn": (
        _facts(FREE, _f("boxes", "n", 4), Port("labels", "int64", ("n",)), _f("scores", "n"),
               _f("masks", "n", 1, "a", "b")),
        {},
        {"head.kind": "maskrcnn_torchvision", "task": "segment", "labels": COCO,
         "input.resize": "short_side"},
    ),
    "torchvision mask rcnn of one's own": (
        _facts(FREE, _f("boxes", "n", 4), Port("labels", "int64", ("n",)), _f("scores", "n"),
               _f("masks", "n", 1, "a", "b")),
        {"labels": ["nut", "bolt"]},
        {"head.kind": "maskrcnn_torchvision", "labels": ("nut", "bolt"), "head.options": {"first_label": 1}},
    ),
    "torchvision detector": (
        _facts(FREE, _f("boxes", "n", 4), Port("labels", "int64", ("n",)), _f("scores", "n")),
        {},
        {"head.kind": "ssd", "head.options": {"raw_ids": COCO_IDS}, "labels": COCO},
    ),
    "zoo ssd": (
        _facts(_f("image", 1, 3, 1200, 1200), _f("bboxes", 1, "n", 4), Port("labels", "int64", (1, "n")),
               _f("scores", 1, "n")),
        {},
        {"head.kind": "ssd", "input.width": 1200, "input.resize": "stretch", "labels": COCO},
    ),
    "tensorflow ssd": (
        _facts(Port("inputs", "uint8", (1, "h", "w", 3)), _f("detection_boxes", 1, 100, 4),
               _f("detection_classes", 1, 100), _f("detection_scores", 1, 100), _f("num_detections", 1)),
        {},
        {"head.kind": "ssd", "input.dtype": "uint8", "input.layout": "NHWC", "input.scale": 1.0},
    ),
    "detr": (
        _facts(_f("pixel_values", 1, 3, "h", "w"), _f("logits", 1, 100, 92), _f("pred_boxes", 1, 100, 4)),
        {},
        {"head.kind": "detr", "labels": COCO, "input.resize": "short_side", "task": "detect"},
    ),
    "rt-detr": (
        _facts(NCHW, _f("logits", 1, 300, 80), _f("pred_boxes", 1, 300, 4)),
        {},
        {"head.kind": "detr", "labels": COCO, "input.resize": "stretch", "input.mean": (0.0, 0.0, 0.0)},
    ),
    "detr of one's own": (
        _facts(NCHW, _f("logits", 1, 100, 3), _f("pred_boxes", 1, 100, 4)),
        {"labels": ["a", "b"]},
        {"head.kind": "detr", "labels": ("a", "b")},
    ),
    "yolox of one's own": (
        _facts(NCHW, _f("output", 1, 8400, 7)),
        {"labels": ["a", "b"]},
        {"head.kind": "yolox", "labels": ("a", "b"), "input.color": "BGR", "input.scale": 1.0},
    ),
    "zoo resnet": (
        _facts(_f("data", "N", 3, 224, 224), _f("resnetv17_dense0_fwd", "N", 1000)),
        {"labels": list(NAMES)},
        {"head.kind": "logits", "input.resize": "crop", "input.mean": (0.485, 0.456, 0.406),
         "head.options": {}},
    ),
    "a classifier with a background class": (
        _facts(_f("x", 1, 224, 224, 3), _f("y", 1, 1001), ends=("Softmax",)),
        {"labels": list(NAMES)},
        {"head.kind": "softmax", "head.options": {"first_label": 1}, "input.layout": "NHWC"},
    ),
    "cifar": (
        _facts(_f("x", 1, 3, 32, 32), _f("y", 1, 10)),
        {},
        {"head.kind": "logits", "labels": CIFAR10, "input.resize": "stretch"},
    ),
    "a classifier with 1x1 maps": (
        _facts(_f("x", 1, 3, 224, 224), _f("y", 1, 2, 1, 1), ends=("Softmax",)),
        {"labels": ["a", "b"]},
        {"head.kind": "softmax", "task": "classify"},
    ),
    "labels as lines of metadata": (
        _facts(_f("x", 1, 3, 224, 224), _f("y", 1, 2), metadata=(("classes", "yes\nno"),)),
        {},
        {"labels": ("yes", "no")},
    ),
    "a segmenter without a background": (
        _facts(_f("x", 1, 3, 512, 512), _f("y", 1, 2, 512, 512)),
        {"labels": ["road", "sky"]},
        {"head.kind": "deeplab", "head.options": {"layout": "NCHW", "first_label": 0}},
    ),
    "a segmenter with a background": (
        _facts(_f("x", 1, 3, 512, 512), _f("y", 1, 2, 512, 512)),
        {"labels": ["person"]},
        {"head.kind": "deeplab", "head.options": {"layout": "NCHW", "first_label": 1}},
    ),
    "an unknown one with everything said": (
        _facts(_f("x", 1, 3, "h", "w"), _f("a", 1, 5), _f("b", 1, 5)),
        {"head": "logits", "labels": list("abcde"), "width": 64, "height": 64,
         "head_options": {"outputs": {"scores": "b"}}},
        {"head.kind": "logits", "input.width": 64, "head.options": {"outputs": {"scores": "b"}}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_family_is_known_by_its_shapes(name: str) -> None:
    facts, hints, wanted = CASES[name]
    manifest, proposals = propose(facts, Hints.of(hints), "model.onnx")
    heads.check(manifest)
    for place, value in wanted.items():
        found: Any = manifest
        for part in place.split("."):
            found = getattr(found, part)
        assert found == value, place
    assert proposals


@pytest.mark.parametrize(
    ("facts", "hints", "reason"),
    [
        (_facts(NCHW, _f("a", 1, 5), _f("b", 1, 5)), {}, "cannot tell how to read the outputs: a 1x5"),
        (_facts(NCHW, _f("y", 1, 3, 8400)), {}, "cannot tell"),
        (_facts(NCHW, _f("y", 1, 2)), {}, "2 classes, and nothing says"),
        (_facts(NCHW, _f("y", 1, 2)), {"labels": ["a"]}, "2 classes, but 1 labels"),
        (_facts(FREE, _f("a", 1, 5), _f("b", 1, 5)), {"head": "logits", "labels": ["a"]}, "width free"),
        (_facts(_f("x", 1, 5), _f("y", 1, 2)), {}, "one picture"),
        (_facts(_f("x", 3, 8, 8, 3, 1), _f("y", 1, 2)), {}, "one picture"),
        (_facts(_f("x", 8, 8, 3), _f("y", 1, 2)), {}, "three colours"),
    ],
)
def test_what_cannot_be_known_is_asked_for(facts: Facts, hints: dict[str, Any], reason: str) -> None:
    with pytest.raises((BadOption, ModelRefused), match=reason) as caught:
        propose(facts, Hints.of(hints), "model.onnx")
    assert caught.value.next_step
