"""torchvision's networks as bundles, with random weights: the hub cannot be reached from tests."""

from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from sightline.errors import BadOption, FetchRefused
from sightline.registry import Registry
from sightline.registry.labels import COCO_IDS
from sightline.runtime.engine import Plan
from sightline.runtime.onnx_engine import OnnxEngine
from sightline.serving.road import Road
from sightline.settings import load_settings
from sightline.training import torchvision_export as road_in
from sightline.training.torchvision_export import (
    MEAN,
    STD,
    Options,
    build_maskrcnn,
    export_classifier,
    export_instances,
    export_maskrcnn,
)
from sightline.types import Ask, Classification, Segments

pytestmark = pytest.mark.train

SMALL = Options(short_side=128, long_side=192, objects=8, proposals=40, lowest_score=0.02)


def loud(network: torch.nn.Module) -> torch.nn.Module:
    """Random weights are sure of nothing: let them shout, so that there is something to compare."""
    torch.manual_seed(5)
    predictor = network.get_submodule("roi_heads.box_predictor.cls_score")
    torch.nn.init.normal_(predictor.weight, std=0.5)
    return network


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return loud(build_maskrcnn("maskrcnn_resnet50_fpn", None, SMALL))


def test_mask_rcnn_agrees_with_torchvision_on_the_same_picture(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    """The whole torchvision model (with its own normalising and pasting) against the exported graph."""
    assert export_instances(network, tmp_path, SMALL).largest < 1e-2
    picture = torch.rand(3, 128, 192, generator=torch.Generator().manual_seed(1))
    network.transform.min_size, network.transform.max_size = (128,), 192
    with torch.no_grad():
        (wanted,) = network([picture])
    assert len(wanted["scores"]) > 2
    normalised = (picture - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    engine = OnnxEngine(tmp_path / "model.onnx", Plan())
    found = engine.run(normalised[None].numpy())
    engine.close()
    np.testing.assert_allclose(found["boxes"], wanted["boxes"].numpy(), atol=0.05)
    np.testing.assert_allclose(found["scores"], wanted["scores"].numpy(), atol=1e-2)
    np.testing.assert_array_equal(found["labels"], wanted["labels"].numpy())
    assert found["masks"].shape == (len(wanted["scores"]), 1, 28, 28)


def test_mask_rcnn_serves_pictures_of_any_shape(tmp_path: Path, samples: Path) -> None:
    export_maskrcnn(tmp_path / "bundle", weights=None, options=SMALL)
    settings = load_settings(
        {"data_dir": str(tmp_path), "engine": "onnxruntime", "threads": 1}, environment={}
    )
    bundle = Registry(settings).add(tmp_path / "bundle")
    assert bundle.manifest.head.options["raw_ids"] == list(COCO_IDS)
    assert "random" in bundle.manifest.initialisation
    with Road.open(settings) as road:
        for path in sorted(samples.glob("*.*"))[:4]:
            if path.suffix in {".jpg", ".png"}:
                result = road.predict(path.read_bytes(), model="maskrcnn", ask=Ask(min_score=0.02))
                assert isinstance(result.prediction, Segments)


def test_the_second_variant_is_built(tmp_path: Path) -> None:
    v2 = loud(build_maskrcnn("maskrcnn_resnet50_fpn_v2", None, SMALL))
    assert export_instances(v2, tmp_path, SMALL).largest < 1e-2


def test_weights_from_a_file(network: torch.nn.Module, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "w.pth")
    again = build_maskrcnn("maskrcnn_resnet50_fpn", tmp_path / "w.pth", SMALL)
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    with pytest.raises(BadOption, match="no weights of mobilenet_v2"):
        export_classifier(tmp_path / "b", variant="mobilenet_v2", weights=tmp_path / "w.pth")


def test_a_hub_out_of_reach_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(road_in, "get_model", refuse)
    with pytest.raises(FetchRefused, match="cannot be downloaded") as caught:
        export_maskrcnn(tmp_path)
    assert "--weights" in caught.value.next_step


def test_a_classifier_agrees_with_torchvision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = torchvision.models.mobilenet_v2(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    parity = export_classifier(tmp_path / "bundle", variant="mobilenet_v2", weights=tmp_path / "w.pth")
    assert parity.largest < 1e-3
    settings = load_settings(
        {"data_dir": str(tmp_path), "engine": "onnxruntime", "threads": 1}, environment={}
    )
    Registry(settings).add(tmp_path / "bundle")
    pixels = np.random.default_rng(0).integers(0, 255, (256, 256, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    with Road.open(settings) as road:
        found = road.predict((tmp_path / "p.png").read_bytes(), model="mobilenet-v2", ask=Ask(max_results=3))
    cut = torch.from_numpy(pixels[16:240, 16:240].copy()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        wanted = network(
            (cut - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        ).softmax(1)[0]
    assert isinstance(found.prediction, Classification)
    assert found.prediction.label.tolist() == wanted.topk(3).indices.tolist()
    np.testing.assert_allclose(found.prediction.score, wanted.topk(3).values.numpy(), atol=1e-4)
