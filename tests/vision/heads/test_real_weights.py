"""The heads on real weights and real photographs: what a person would say is there.

Every row names its labels and thresholds itself, so that this file says all that an answer needs.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
import pytest
from PIL import Image, ImageOps

from sightline.manifest import Head, InputContract, Manifest, Thresholds
from sightline.registry.labels import COCO, VOC
from sightline.types import Ask, Classification, Detections, Frame, Prediction, Segments
from sightline.vision import boxes, heads, masks, preprocess

pytestmark = pytest.mark.shared

PLUS_MINUS_ONE = {"scale": 1 / 127.5, "mean": (1, 1, 1)}
Look: TypeAlias = Callable[..., Prediction]


def make(kind: str, task: Any, labels: tuple[str, ...], look: dict[str, Any], **rest: Any) -> Manifest:
    options = rest.pop("options", {})
    return Manifest(
        name=kind,
        task=task,
        labels=labels,
        input=InputContract(**look),
        head=Head(kind=kind, options=options),
        thresholds=Thresholds(**rest),
    )


YOLOX = make("yolox", "detect", COCO, {"width": 416, "height": 416, "color": "BGR"})
FASTEST = make(
    "fastestdet",
    "detect",
    COCO,
    {"width": 352, "height": 352, "color": "BGR", "scale": 1 / 255, "resize": "stretch"},
    min_score=0.6,
)
YUNET = make(
    "yunet", "detect", ("face",), {"width": 640, "height": 640, "color": "BGR"}, min_score=0.8, iou=0.45
)
ULTRA = make(
    "ultraface",
    "detect",
    ("face",),
    {"width": 320, "height": 240, "resize": "stretch", "mean": (127,) * 3, "std": (128,) * 3},
    min_score=0.7,
    iou=0.3,
)
DEEPLAB = make("deeplab", "segment", VOC, {"width": 257, "height": 257, "layout": "NHWC", **PLUS_MINUS_ONE})
BODYPIX = make(
    "bodypix", "segment", ("person",), {"width": 513, "height": 513, "layout": "NHWC", **PLUS_MINUS_ONE}
)
YOLOX_FILE, FASTEST_FILE = "yolox_nano_416.onnx", "fastestdet_352.onnx"
YUNET_FILE, ULTRA_FILE = "yunet_n_dynamic.onnx", "ultraface_rfb_320.onnx"
DEEPLAB_FILE, BODYPIX_FILE = "deeplab_v3_mnv2_voc_257.onnx", "bodypix_mnv1_050_stride16.onnx"
CHELSEA, ASTRONAUT, OLD_STREET = "17_animals_chelsea.png", "05_people_astronaut.png", "06_people_86.jpg"


@lru_cache(maxsize=8)
def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.fixture
def look(shared: Path) -> Look:
    """(weights, manifest, photo, ask) -> the prediction."""

    def run(weights: str, manifest: Manifest, photo: str, ask: Ask | None = None) -> Prediction:
        image = ImageOps.exif_transpose(Image.open(shared / "photos" / photo)).convert("RGB")
        canvas = preprocess.fit(Frame(np.asarray(image), image.width, image.height), manifest.input)
        engine = session(shared / "weights" / weights)
        tensor = preprocess.tensor(canvas.pixels, manifest.input)[None]
        values = engine.run(None, {engine.get_inputs()[0].name: tensor})
        names = [output.name for output in engine.get_outputs()]
        return heads.read(manifest, dict(zip(names, values, strict=True)), canvas.fit, ask or Ask())

    return run


def names(manifest: Manifest, found: Prediction) -> list[str]:
    assert isinstance(found, Detections)
    return [manifest.labels[label] for label in found.label.tolist()]


def close(found: Detections, wanted: list[float], least: float = 0.75) -> bool:
    """The strongest box overlaps the one that a person drew."""
    return float(boxes.iou(found.xyxy[:1], np.array([wanted], np.float32))[0, 0]) >= least


def test_yolox_finds_the_cat(look: Look) -> None:
    found = look(YOLOX_FILE, YOLOX, CHELSEA)
    assert isinstance(found, Detections)
    assert names(YOLOX, found) == ["cat"]
    assert close(found, [0, 0, 451, 300])


@pytest.mark.parametrize(
    ("photo", "present"),
    [
        ("01_people_370.jpg", {"person", "broccoli"}),
        ("04_people_547336.jpg", {"person"}),
        (OLD_STREET, {"person", "motorcycle"}),
        ("36_crowd_790.jpg", {"person", "dining table", "chair"}),
    ],
)
def test_yolox_finds_what_is_there(look: Look, photo: str, present: set[str]) -> None:
    assert present <= set(names(YOLOX, look(YOLOX_FILE, YOLOX, photo)))


def test_yolox_finds_the_same_at_half_the_size(look: Look, shared: Path) -> None:
    whole = look(YOLOX_FILE, YOLOX, ASTRONAUT)
    image = Image.open(shared / "photos" / ASTRONAUT).convert("RGB")
    small = np.asarray(image.resize((256, 256), Image.Resampling.BOX))
    canvas = preprocess.fit(Frame(small, 512, 512), YOLOX.input)
    tensor = preprocess.tensor(canvas.pixels, YOLOX.input)[None]
    output = session(shared / "weights" / YOLOX_FILE).run(None, {"images": tensor})[0]
    half = heads.read(YOLOX, {"output": output}, canvas.fit, Ask())
    assert isinstance(whole, Detections)
    assert isinstance(half, Detections)
    assert close(half, whole.xyxy[0].tolist(), 0.9)


def test_fastestdet_finds_the_cat_and_the_people(look: Look) -> None:
    cat = look(FASTEST_FILE, FASTEST, CHELSEA)
    assert isinstance(cat, Detections)
    assert names(FASTEST, cat)[0] == "cat"
    assert close(cat, [0, 0, 451, 300])
    assert {"person", "motorcycle"} <= set(names(FASTEST, look(FASTEST_FILE, FASTEST, OLD_STREET)))


@pytest.mark.parametrize(
    ("weights", "manifest"), [(YUNET_FILE, YUNET), (ULTRA_FILE, ULTRA)], ids=["yunet", "ultra"]
)
def test_the_face_of_the_astronaut(look: Look, weights: str, manifest: Manifest) -> None:
    found = look(weights, manifest, ASTRONAUT)
    assert isinstance(found, Detections)
    assert len(found) == 1
    assert close(found, [178, 58, 272, 176])


def test_mobilenet_says_cat(look: Look, shared: Path) -> None:
    labels = (shared / "weights" / "imagenet_labels_1001.txt").read_text().splitlines()
    size = {"width": 224, "height": 224, "resize": "crop", "crop_fraction": 0.875, **PLUS_MINUS_ONE}
    file = "mobilenet_v2_1.0_224_dequantised.onnx"
    with_background = make("softmax", "classify", tuple(labels), size, min_score=0, max_results=5)
    without = make(
        "softmax", "classify", tuple(labels[1:]), size, min_score=0, max_results=5, options={"first_label": 1}
    )
    a, b = look(file, with_background, CHELSEA), look(file, without, CHELSEA)
    assert isinstance(a, Classification)
    assert isinstance(b, Classification)
    assert all("cat" in labels[label] for label in a.label[:2].tolist())
    assert a.score[0] > 0.3
    assert (a.label == b.label + 1).all()
    assert np.array_equal(a.score, b.score)


def test_deeplab_paints_the_cat(look: Look) -> None:
    found = look(DEEPLAB_FILE, DEEPLAB, CHELSEA)
    assert isinstance(found, Segments)
    assert [VOC[label] for label in found.detections.label.tolist()] == ["cat"]
    cat = masks.full(found.masks[0], 451, 300)
    assert cat[130, 225]  # its nose
    assert not cat[60, 435]  # the sofa behind it
    assert 0.5 < cat.mean() < 0.9


def test_deeplab_and_bodypix_agree_about_the_astronaut(look: Look) -> None:
    one, other = look(DEEPLAB_FILE, DEEPLAB, ASTRONAUT), look(BODYPIX_FILE, BODYPIX, ASTRONAUT)
    assert isinstance(one, Segments)
    assert isinstance(other, Segments)
    assert VOC[int(one.detections.label[0])] == "person"
    a, b = masks.full(one.masks[0], 512, 512), masks.full(other.masks[0], 512, 512)
    head = (slice(0, 150), slice(100, 350))  # further down each takes other things for part of her
    assert (a & b)[head].sum() / (a | b)[head].sum() > 0.85
    assert (a & b).sum() / (a | b).sum() > 0.7


def test_every_photo_is_read_by_every_detector(look: Look, photos: Path) -> None:
    for photo in sorted(path.name for path in photos.iterdir() if path.suffix in {".jpg", ".png", ".webp"}):
        if "16bit" in photo:  # Pillow alone does not bring 16 bits to 8; the codec's tests do
            continue
        for weights, manifest in ((YOLOX_FILE, YOLOX), (FASTEST_FILE, FASTEST)):
            found = look(weights, manifest, photo, Ask(min_score=0.05, max_results=1000))
            assert isinstance(found, Detections)
            assert boxes.is_real(found.xyxy).all()
            assert (np.diff(found.score) <= 0).all()
