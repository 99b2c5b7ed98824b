"""The two graphs of the benchmark: torchvision's ResNet-50 and MobileNetV2 with random weights.

Random weights cost the same time as trained ones. Batch normalisation is given the statistics of
real pictures, so that the numbers inside stay in the range of a trained network: int8 calibration
would have nothing to hold on to otherwise.
"""

import hashlib
import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.manifest import Head, InputContract, Manifest
from sightline.types import Float32, Frame
from sightline.vision import preprocess

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out" / "bench"
SAMPLES = ROOT / "src" / "sightline" / "web" / "static" / "samples"
CONTRACT = InputContract(
    width=224,
    height=224,
    resize="crop",
    scale=1 / 255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
NAMES = {"resnet50": "resnet50", "mobilenetv2": "mobilenet_v2"}


def picture() -> bytes:
    """One 640x480 JPEG of quality 90, about 60 kB: a photograph that ships with Sightline."""
    best = max(SAMPLES.glob("*.jpg"), key=lambda path: path.stat().st_size)
    image = Image.open(best).convert("RGB").resize((640, 480))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def tensors(count: int = 32) -> list[Float32]:
    """Model inputs (1, 3, 224, 224) made from cuttings of the sample pictures."""
    photos = [Image.open(path).convert("RGB") for path in sorted(SAMPLES.glob("*.jpg"))]
    chance = np.random.default_rng(0)
    made = []
    for index in range(count):
        photo = photos[index % len(photos)]
        share = chance.uniform(0.4, 1.0)
        width, height = int(photo.width * share), int(photo.height * share)
        left = int(chance.integers(0, photo.width - width + 1))
        top = int(chance.integers(0, photo.height - height + 1))
        pixels = np.asarray(photo.crop((left, top, left + width, top + height)))
        canvas = preprocess.fit(Frame(pixels, width, height), CONTRACT)
        made.append(preprocess.tensor(canvas.pixels, CONTRACT)[None])
    return made


def graph(name: str) -> Path:
    """The ONNX file of one of `NAMES`, exported once and kept under out/."""
    path = OUT / "graphs" / f"{name}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _export(NAMES[name], path)
    return path


def manifest(name: str, path: Path) -> Manifest:
    """The contract of one graph."""
    data = path.read_bytes()
    return Manifest(
        name=name,
        task="classify",
        labels=tuple(f"class {index}" for index in range(1000)),
        input=CONTRACT,
        head=Head(kind="logits"),
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        licence="Apache-2.0",
        origin="Made by bench/graphs.py with random weights.",
    )


def bundle(name: str, path: Path) -> Path:
    """A folder that the registry takes."""
    folder = OUT / "bundles" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(path.read_bytes())
    (folder / "model.json").write_text(manifest(name, path).model_dump_json(), "utf-8")
    return folder


def _export(architecture: str, path: Path) -> None:
    import torch  # noqa: PLC0415 - only the first run needs it
    import torchvision  # noqa: PLC0415

    torch.manual_seed(0)
    network = getattr(torchvision.models, architecture)(weights=None)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # average over all batches instead of forgetting the first ones
    with torch.no_grad():
        network.train()
        for start in range(0, 32, 16):
            network(torch.from_numpy(np.concatenate(tensors()[start : start + 16])))
        network.eval()
    names = {"input_names": ["input"], "output_names": ["logits"]}
    free = {"dynamic_axes": {"input": {0: "n"}, "logits": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        blank = torch.zeros(1, 3, 224, 224)
        torch.onnx.export(network, (blank,), path, opset_version=17, dynamo=False, **names, **free)
