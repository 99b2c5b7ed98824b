"""torchvision's networks -> bundles: the maintained road to Mask R-CNN R-50 FPN, and plain classifiers.

Mask R-CNN: He et al., arXiv 1703.06870, as torchvision builds it. What is exported is the network
between the two steps that Sightline does itself: the picture arrives resized (short side 800, at most
1333) and normalised as the manifest says, and masks leave as one 28 x 28 square per object, which the
head ``maskrcnn_torchvision`` pastes into the picture. Nothing of the size of the picture is made
inside the graph, so memory does not grow with objects times pixels.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights
from torchvision.models.detection.image_list import ImageList

from sightline.errors import BadOption, FetchRefused
from sightline.manifest import Head, InputContract, Manifest, Thresholds
from sightline.registry import MODEL_FILE
from sightline.registry.labels import COCO, COCO_IDS
from sightline.training.export import seal
from sightline.training.graph import Parity, by_object, difference, export_graph, prove, strip

Variant: TypeAlias = Literal["maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2"]
Classifier: TypeAlias = Literal["resnet50", "mobilenet_v2", "vgg16"]
Weights: TypeAlias = Path | Literal["DEFAULT"] | None

OUTPUTS = ("boxes", "labels", "scores", "masks")
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SHORT, LONG = 800, 1344
"""torchvision's long side is 1333; the canvas is a multiple of 32."""
MASKRCNN_OPSET = 17


@dataclass(frozen=True, slots=True)
class Options:
    """How a Mask R-CNN is exported."""

    short_side: int = SHORT
    long_side: int = LONG
    objects: int = 100
    """Most objects in an answer."""
    proposals: int = 1000
    """Regions that the second stage looks at; fewer are faster and need less memory."""
    lowest_score: float = 0.05
    """Weaker objects leave the graph never."""


class Instances(nn.Module):
    """A torchvision Mask R-CNN without its own resizing and pasting.

    ``pixels`` (1, 3, h, w), normalised, h and w multiples of 32 -> boxes (n, 4) in canvas pixels,
    labels (n,) int64, scores (n,), masks (n, 1, 28, 28) probabilities.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.backbone, self.rpn, self.roi_heads = network.backbone, network.rpn, network.roi_heads

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        size = [(pixels.shape[2], pixels.shape[3])]
        features = self.backbone(pixels)
        proposals, _ = self.rpn(ImageList(pixels, size), features)
        found, _ = self.roi_heads(features, proposals, size)
        return cast("tuple[Tensor, Tensor, Tensor, Tensor]", tuple(found[0][name] for name in OUTPUTS))


def export_maskrcnn(
    folder: Path,
    *,
    variant: Variant = "maskrcnn_resnet50_fpn",
    weights: Weights = "DEFAULT",
    name: str = "maskrcnn",
    version: str = "1",
    options: Options | None = None,
) -> Parity:
    """Write a Mask R-CNN bundle to ``folder`` and prove it against torch.

    Args:
        folder: Where the bundle goes.
        variant: Which of torchvision's two.
        weights: ``"DEFAULT"`` downloads torchvision's (COCO, box AP 37.9 and 47.4 by its own table);
            a path is a state dict of the same network (91 classes); None means random weights.
        name: Name of the model.
        version: Its version.
        options: Size and limits.

    Raises:
        FetchRefused: The weights cannot be downloaded from here.
        BadOption: The file of weights is not this network's.
        ModelRefused: The graph does not compute what torch does.
    """
    options = options or Options()
    network = build_maskrcnn(variant, weights, options)
    parity = export_instances(network, folder, options)
    seal(folder, _maskrcnn_manifest(name, version, variant, weights, options), _card(variant, weights))
    return parity


def build_maskrcnn(variant: Variant, weights: Weights, options: Options) -> Any:
    """The network of torchvision in evaluation mode."""
    network = _build(
        variant,
        weights,
        box_detections_per_img=options.objects,
        box_score_thresh=options.lowest_score,
        rpn_post_nms_top_n_test=options.proposals,
        rpn_pre_nms_top_n_test=options.proposals,
        weights_backbone=None,
    )
    return network.eval()


def export_instances(network: Any, folder: Path, options: Options) -> Parity:
    """The graph alone: any height and width that are multiples of 32, one picture at a time."""
    served = Instances(network).eval()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MODEL_FILE
    draw = torch.Generator().manual_seed(0)
    short = max(64, options.short_side // 32 * 32)
    cases = [torch.randn(1, 3, *side, generator=draw) for side in ((short, short + 64), (short + 32, short))]
    # torch's newer exporter cannot follow this network's data-dependent sizes; the older one can.
    with _quiet():
        torch.onnx.export(
            served,
            (cases[0],),
            str(path),
            input_names=["pixels"],
            output_names=list(OUTPUTS),
            dynamic_axes={"pixels": {2: "height", 3: "width"}} | {role: {0: "objects"} for role in OUTPUTS},
            opset_version=MASKRCNN_OPSET,
            dynamo=False,
        )
    strip(path)
    return prove(served, path, cases, tolerance=1e-2, align=by_object)


def export_classifier(
    folder: Path,
    *,
    variant: Classifier,
    weights: Weights = "DEFAULT",
    labels: Sequence[str] = (),
    name: str = "",
    version: str = "1",
) -> Parity:
    """Write one of torchvision's ImageNet classifiers to ``folder``: any batch size at 224 x 224.

    ``labels`` default to torchvision's own names of the 1000 classes. Raises as ``export_maskrcnn``.
    """
    network = _build(variant, weights).eval()
    folder.mkdir(parents=True, exist_ok=True)
    draw = torch.Generator().manual_seed(0)
    cases = [torch.randn(n, 3, 224, 224, generator=draw) for n in (1, 2)]
    path = folder / MODEL_FILE
    export_graph(network, cases[1], path, names=("pixels", ["scores"]))
    parity = prove(network, path, cases)
    names = tuple(labels) or tuple(get_model_weights(variant).DEFAULT.meta["categories"])
    manifest = Manifest(
        name=name or variant.replace("_", "-"),
        version=version,
        title=variant,
        task="classify",
        labels=names,
        input=InputContract(
            tensor="pixels",
            width=224,
            height=224,
            resize="crop",
            crop_fraction=0.875,
            scale=1 / 255,
            mean=MEAN,
            std=STD,
        ),
        head=Head(kind="logits", options={"outputs": {"scores": "scores"}}),
        thresholds=Thresholds(min_score=0.0, max_results=5),
        licence=_licence(weights),
        origin=f"torchvision {variant}",
        initialisation=_said(weights),
    )
    seal(folder, manifest, _card(variant, weights))
    return parity


def _build(variant: str, weights: Weights, **options: Any) -> Any:
    """The network of torchvision with the weights that were asked for."""
    hub = get_model_weights(variant).DEFAULT if weights == "DEFAULT" else None
    try:
        network = get_model(variant, weights=hub, **options)
    except (URLError, OSError) as error:
        raise FetchRefused(
            f"The weights of {variant} cannot be downloaded from here: {error}.",
            next_step="Download them elsewhere and pass the file with --weights FILE, "
            "or use --weights none for random weights.",
        ) from error
    if isinstance(weights, Path):
        try:
            network.load_state_dict(torch.load(weights, weights_only=True))
        except Exception as error:
            raise BadOption(
                f"{weights.name} holds no weights of {variant}: {str(error).splitlines()[0]}",
                next_step="Give the state dict that torchvision publishes for this network.",
            ) from error
    return network


def _maskrcnn_manifest(name: str, version: str, variant: str, weights: Weights, options: Options) -> Manifest:
    return Manifest(
        name=name,
        version=version,
        title="Mask R-CNN R-50 FPN" + (" v2" if variant.endswith("v2") else ""),
        description="Boxes and masks of 80 kinds of objects (COCO); accurate and slow.",
        task="segment",
        labels=COCO,
        input=InputContract(
            tensor="pixels",
            width=options.long_side,
            height=options.long_side,
            resize="short_side",
            short_side=options.short_side,
            multiple_of=32,
            scale=1 / 255,
            mean=MEAN,
            std=STD,
        ),
        head=Head(
            kind="maskrcnn_torchvision",
            options={"outputs": {role: role for role in OUTPUTS}, "raw_ids": list(COCO_IDS)},
        ),
        thresholds=Thresholds(min_score=0.5, max_results=options.objects, iou=0.5),
        licence=_licence(weights),
        origin=f"torchvision {variant}",
        initialisation=_said(weights),
    )


def _licence(weights: Weights) -> str:
    return "BSD-3-Clause" if weights in ("DEFAULT", None) else "unknown"


def _said(weights: Weights) -> str:
    match weights:
        case None:
            return "random: this bundle answers nothing sensible"
        case Path():
            return f"weights from the file {weights.name}"
        case _:
            return "torchvision's default weights"


def _card(variant: str, weights: Weights) -> str:
    return (
        f"# {variant}\n\n"
        f"Exported by `sightline models export-torchvision`. Start: {_said(weights)}.\n\n"
        "The network is torchvision's (BSD-3-Clause). Weights that it downloads were trained on data "
        "with terms of their own (COCO, ImageNet). Accuracy was not measured here.\n"
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The older exporter says about every constant that it is one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


__all__ = [
    "Classifier",
    "Instances",
    "Options",
    "Variant",
    "Weights",
    "build_maskrcnn",
    "difference",
    "export_classifier",
    "export_instances",
    "export_maskrcnn",
]
