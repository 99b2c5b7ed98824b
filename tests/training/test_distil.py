"""The lesson of a backbone: the pupil comes to say of spoilt views what the teacher says of clean ones."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from sightline.errors import BadOption, ConfigError, ModelRefused
from sightline.registry import MODEL_FILE, Registry
from sightline.serving.road import Road
from sightline.settings import load_settings
from sightline.training.backbone import Backbone
from sightline.training.distil import FeatureLesson, build
from sightline.training.export import export, finished
from sightline.training.models.mobilenet_v2 import MobileNetV2
from sightline.training.recipe import load_recipe
from sightline.training.recipe_features import FeatureRecipe
from sightline.training.run import train
from sightline.training.subject_features import labels_of
from sightline.training.teacher import Teacher
from sightline.types import Classification

pytestmark = pytest.mark.train

RECIPE = """
name = "seer"
task = "features"
seed = 3

[input]
tensor = "pixels"
width = 64
height = 64
resize = "stretch"
mean = [127.5, 127.5, 127.5]
std = [127.5, 127.5, 127.5]

[data]
root = "ROOT"
labels = "classes.txt"
views = 24
[[data.train]]
pictures = "pictures"
annotations = "toy.json"
except_url = ["/held/"]
smallest = 12
[[data.watch]]
pictures = "pictures"
annotations = "toy.json"
only_url = "/held/"
smallest = 12

[network]
kind = "mobilenet_v2"
teacher_size = 96

[optimiser]
epochs = 3
batch = 8
rate = 1e-3
warmup_epochs = 0.5
average = 0.5
threads = 1

[bundle]
title = "Seer"
"""


@pytest.fixture(scope="module")
def seer(toy: Path) -> Path:
    """The recipe; its classes are "background" and a thousand things."""
    (toy / "classes.txt").write_text("\n".join(["background", *(f"thing {i}" for i in range(1000))]))
    path = toy / "seer.toml"
    path.write_text(RECIPE.replace("ROOT", str(toy)))
    return path


@pytest.fixture(scope="module")
def run(seer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("seer")
    epochs = list(train(seer, out))
    assert epochs[-1].loss["features"] < epochs[0].loss["features"]
    assert epochs[-1].metrics["small"] > epochs[0].metrics["small"]
    return out


@pytest.fixture(scope="module")
def bundle(seer: Path, run: Path) -> Path:
    """Its bundle."""
    assert export(seer, run, run / "bundle").largest < 1e-3
    return run / "bundle"


def plan_of(path: Path, **changes: object) -> FeatureRecipe:
    plan = load_recipe(path, {key.replace("__", "."): value for key, value in changes.items()})
    assert isinstance(plan, FeatureRecipe)
    return plan


@pytest.fixture(scope="module")
def lesson(seer: Path) -> FeatureLesson:
    """The lesson before its first epoch; making one exports its teacher, which takes half a minute."""
    return FeatureLesson(plan_of(seer))


def test_pieces_are_wholes_windows_and_objects(lesson: FeatureLesson) -> None:
    labels = [crop.label for crop in lesson.pool]
    assert labels.count("red") == labels.count("blue") == 8
    assert labels.count("") == 8 + 16  # each whole picture, and two windows of it
    assert lesson.steps == 3
    assert {crop.path.stem for crop in lesson.watched} == {"9", "10", "11", "12"}
    assert not {crop.path for crop in lesson.watched} & {crop.path for crop in lesson.pool}


def test_batches_depend_on_the_seed_and_the_epoch_only(seer: Path, lesson: FeatureLesson) -> None:
    other = FeatureLesson(plan_of(seer))
    turns = ((lesson, 0), (other, 0), (lesson, 1))
    first, again, later = (next(one.batches(epoch)) for one, epoch in turns)
    assert torch.equal(first.pixels, again.pixels)
    assert first.crops == again.crops
    assert not torch.equal(first.pixels, later.pixels)
    assert (first.pixels.min(), first.pixels.max()) >= (-1, 0)


def test_the_teacher_is_the_start_whatever_becomes_of_the_pupil() -> None:
    network = MobileNetV2()
    teacher = Teacher(network, 64, threads=1)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    before, logits = teacher.ask(pixels)
    torch.nn.init.zeros_(network.last.conv.weight)
    after, _ = teacher.ask(pixels)
    assert np.array_equal(before, after)
    mirrored, _ = teacher.ask(pixels[:, ::-1])
    np.testing.assert_allclose(mirrored, before, atol=1e-5)
    assert (before.shape, logits.shape) == ((1280,), (1001,))


def test_the_served_graph_answers_and_gives_features(bundle: Path, tmp_path: Path) -> None:
    settings = load_settings({"data_dir": str(tmp_path)}, environment={})
    reference = Registry(settings).add(bundle).reference
    manifest = Registry(settings).find(reference).manifest
    assert manifest.task == "classify"
    assert manifest.labels[:2] == ("thing 0", "thing 1")
    picture = Image.fromarray(np.full((40, 60, 3), 90, np.uint8))
    picture.save(tmp_path / "a.png")
    with Road.open(settings) as road:
        result = road.predict((tmp_path / "a.png").read_bytes(), model=reference)
    assert isinstance(result.prediction, Classification)
    backbone = Backbone(bundle)
    plain, turned = backbone.features([picture, picture.rotate(180)])
    assert plain.shape == (1280,)
    np.testing.assert_allclose(plain, turned, atol=1e-4)  # one colour has no sides
    backbone.close()


def test_mirrored_features_are_the_mean_of_both(bundle: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    pictures = [Image.fromarray(side) for side in (pixels, pixels[:, ::-1])]
    backbone = Backbone(bundle)
    both = backbone.features(pictures)
    mean = backbone.features(pictures[:1], mirror=True)
    assert not np.allclose(both[0], both[1], atol=1e-4)
    np.testing.assert_allclose(mean[0], both.mean(0), atol=1e-5)
    assert backbone.features([]).shape == (0, 0)
    backbone.close()


def test_large_weights_are_stored_in_half_and_computed_whole(bundle: Path, seer: Path, run: Path) -> None:
    graph = onnx.load(str(bundle / MODEL_FILE)).graph
    large = [item for item in graph.initializer if np.prod(item.dims) >= 1024 and len(item.dims) == 4]
    assert len(large) > 40
    assert {item.data_type for item in large} == {onnx.TensorProto.FLOAT16}
    network = finished(plan_of(seer), run, ())
    raw = sum(4 * weights.numel() for weights in network.parameters())
    assert (bundle / MODEL_FILE).stat().st_size < 0.55 * raw


def test_a_detector_is_no_backbone(root: Path) -> None:
    backbone = Backbone(next((root / "src" / "sightline" / "bundled" / "everyday").iterdir()))
    with pytest.raises(ModelRefused, match="no output 'features'"):
        backbone.features([Image.new("RGB", (32, 32))])
    backbone.close()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input__resize": "letterbox"}, "stretched"),
        ({"input__width": 40, "input__height": 40}, "steps of 32"),
        ({"network__teacher_size": 100}, "multiple of 32"),
    ],
)
def test_what_cannot_be_served_is_refused(seer: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan_of(seer, **changes)


def test_labels_are_those_of_the_start(seer: Path) -> None:
    assert len(labels_of(plan_of(seer))) == 1000
    with pytest.raises(BadOption, match="does not exist"):
        labels_of(plan_of(seer, data__labels="gone.txt"))
    with pytest.raises(BadOption, match="0 labels"):
        labels_of(plan_of(seer, data__labels=""))


def test_a_bundle_may_be_half_way_from_the_start(seer: Path, run: Path) -> None:
    learned = finished(plan_of(seer), run, ())
    half = finished(plan_of(seer, bundle__blend=0.5), run, ())
    assert isinstance(learned, MobileNetV2)
    assert isinstance(half, MobileNetV2)
    start = build(plan_of(seer)).classifier.weight
    torch.testing.assert_close(half.classifier.weight, (start + learned.classifier.weight) / 2)
    assert not torch.equal(start, half.classifier.weight)


def test_frozen_blocks_stay_as_they_are(seer: Path, tmp_path: Path) -> None:
    changes = {"network.frozen": 2, "optimiser.stop": 1}
    assert len(list(train(seer, tmp_path, overrides=changes))) == 1
    plan = plan_of(seer, network__frozen=2, optimiser__stop=1)
    before, after = build(plan), finished(plan, tmp_path, ())
    assert isinstance(after, MobileNetV2)
    assert torch.equal(before.stem.conv.weight, after.stem.conv.weight)
    assert torch.equal(before.blocks[1].steps[0].conv.weight, after.blocks[1].steps[0].conv.weight)
    assert not torch.equal(before.blocks[2].steps[0].conv.weight, after.blocks[2].steps[0].conv.weight)


@pytest.mark.shared
def test_a_short_version_of_features(shared: Path, tmp_path: Path) -> None:
    """The shipped recipe on a handful of its own pictures, from its own start."""
    short = {
        "data.root": str(shared),
        "data.train": [
            {
                "pictures": "data/coco_mini/images/train",
                "annotations": "data/coco_mini/annotations/instances_train.json",
                "except_url": ["/val2017/"],
                "windows": 1,
                "objects": 1,
                "first": 4,
            }
        ],
        "data.watch": [],
        "data.views": 8,
        "optimiser.epochs": 1,
        "optimiser.batch": 4,
    }
    (epoch,) = train(Path("features"), tmp_path, overrides=short)
    assert 0 < epoch.loss["features"] < 2
    assert epoch.metrics == {}
