"""A finished run becomes a bundle that computes what torch does and says nothing about this machine."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from sightline.errors import ModelRefused, NotFound
from sightline.registry import Registry
from sightline.runtime.engine import Plan
from sightline.runtime.onnx_engine import OnnxEngine
from sightline.serving.road import Road
from sightline.settings import Settings, load_settings
from sightline.training.detect import DetectLesson
from sightline.training.export import export, finished
from sightline.training.graph import by_object, difference, export_graph, prove
from sightline.training.models.nano_detector import NanoDetector
from sightline.training.pictures import labels_of, read_source
from sightline.training.recipe import load_recipe
from sightline.training.recipe_detect import DetectRecipe
from sightline.training.run import train
from sightline.types import Ask, Detections

pytestmark = pytest.mark.train


OVERRIDES = {"optimiser.epochs": 30, "optimiser.rate": 1e-2, "loss.teacher": 0.0, "augment.mosaic": 0.0}


@pytest.fixture(scope="module")
def run(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the toy."""
    out = tmp_path_factory.mktemp("run")
    assert len(list(train(toy / "toy.toml", out, overrides=OVERRIDES))) == 30
    return out


@pytest.fixture(scope="module")
def bundle(toy: Path, run: Path) -> Path:
    """Its bundle."""
    folder = run / "bundle"
    parity = export(toy / "toy.toml", run, folder, overrides=OVERRIDES, metrics={"toy": {"AP": 1}})
    assert parity.largest < 1e-3
    assert parity.cases == 3
    return folder


def test_the_bundle_is_complete_and_takes_any_batch(bundle: Path, data_settings: Settings) -> None:
    added = Registry(data_settings).add(bundle)
    assert added.manifest.metrics == {"toy": {"AP": 1}}
    assert added.labels == ("red", "blue")
    assert "# Toy, version 1" in added.card
    assert "Not measured yet" in added.card
    engine = OnnxEngine(added.model_path, Plan(batch=8))
    for n in (1, 3, 8):
        assert engine.run(np.zeros((n, 3, 64, 64), np.float32))["rows"].shape == (n, 85, 6)
    engine.close()


def test_a_recipe_may_name_a_single_size(toy: Path, tmp_path: Path) -> None:
    once = OVERRIDES | {"optimiser.epochs": 1, "input.sizes": [64]}
    assert len(list(train(toy / "toy.toml", tmp_path / "run", overrides=once))) == 1
    parity = export(toy / "toy.toml", tmp_path / "run", tmp_path / "bundle", overrides=once)
    assert parity.cases == 3


def test_the_served_road_finds_what_torch_finds(bundle: Path, run: Path, toy: Path, tmp_path: Path) -> None:
    plan = load_recipe(toy / "toy.toml", OVERRIDES)
    assert isinstance(plan, DetectRecipe)
    example = read_source(plan, plan.data.watch[0], labels_of(plan))[0]
    network = finished(plan, run, ("red", "blue"))
    assert isinstance(network, NanoDetector)
    wanted = DetectLesson(plan).detect(network, example, 1)
    settings = load_settings(
        {"data_dir": str(tmp_path), "engine": "onnxruntime", "threads": 1}, environment={}
    )
    Registry(settings).add(bundle)
    with Road.open(settings) as road:
        data = (toy / "pictures" / example.name).read_bytes()
        result = road.predict(data, model="toy", ask=Ask(min_score=0.01))
    assert isinstance(result.prediction, Detections)
    assert len(result.prediction) > 0
    strongest = max(wanted, key=lambda entry: float(entry["score"]))
    assert result.prediction.score[0] == pytest.approx(strongest["score"], abs=0.01)
    assert result.prediction.label[0] == strongest["category_id"]


def test_nothing_of_this_machine_is_in_the_file(bundle: Path) -> None:
    data = (bundle / "model.onnx").read_bytes()
    for word in (b"/work/", b"/home/", b"/tmp/", b"/root/", b'File "', b"stack_trace", b"site-packages"):
        assert word not in data
    model = onnx.load_from_string(data)
    assert model.producer_name == "sightline"
    assert not any(node.metadata_props for node in model.graph.node)


def test_an_unfinished_run_is_not_exported(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no finished run"):
        export(recipe, tmp_path, tmp_path / "bundle")


def test_weights_of_another_recipe_are_not_exported(recipe: Path, tmp_path: Path) -> None:
    list(train(recipe, tmp_path, overrides={"optimiser.epochs": 1}))
    with pytest.raises(ModelRefused, match="another recipe"):
        export(recipe, tmp_path, tmp_path / "bundle")


class Twice(nn.Module):
    """Twice the input, or whatever ``factor`` says."""

    factor = 2.0

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def test_a_graph_that_differs_is_refused(tmp_path: Path) -> None:
    network = Twice().eval()
    case = torch.ones(2, 3, 4, 4)
    export_graph(network, case, tmp_path / "m.onnx", names=("x", ["y"]))
    assert prove(network, tmp_path / "m.onnx", [case]).largest == 0
    network.factor = 2.5
    with pytest.raises(ModelRefused, match="differs"):
        prove(network, tmp_path / "m.onnx", [case])


def test_difference_is_relative_for_large_values_and_infinite_for_other_shapes() -> None:
    assert difference([np.array([100.0])], [np.array([101.0])]) == pytest.approx(0.01)
    assert difference([np.array([0.1])], [np.array([0.2])]) == pytest.approx(0.1)
    assert difference([np.zeros(2)], [np.zeros(3)]) == float("inf")


def test_objects_that_change_places_are_the_same_objects() -> None:
    boxes = np.array([[0, 0, 9, 9], [5, 5, 8, 8], [5, 5, 8, 8]], np.float32)
    labels, scores = np.array([1, 2, 3]), np.array([0.9, 0.8, 0.8])
    turned = [2, 0, 1]
    aligned = by_object([boxes, labels, scores], [boxes[turned], labels[turned], scores[turned]])
    assert difference([boxes, labels, scores], aligned) == 0
    other = by_object([boxes, labels, scores], [boxes[turned], labels, scores[turned]])
    assert difference([boxes, labels, scores], other) > 0.1
    assert difference([boxes], by_object([boxes, labels], [boxes[:2], labels[:2]])[:1]) == float("inf")
