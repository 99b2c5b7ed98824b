"""Classification from nothing: packs, what is held out, learning, going on, and the bundle."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.training.stripes import COUNT, HELD, LABELS, SIDE, place, plan_of, stripes, weights
from torch import nn
from torch.nn import functional

from sightline.errors import BadOption, ConfigError, SightlineError
from sightline.evaluation import Rules
from sightline.registry import MODEL_FILE, read_bundle
from sightline.runtime.features import Features
from sightline.training.checkpoint import read_log
from sightline.training.classify import ClassifyLesson, normalised
from sightline.training.export import export
from sightline.training.members import train_all
from sightline.training.models.plain_classifier import Served, folded
from sightline.training.packing import rounded
from sightline.training.packs import labels_of, read_pack
from sightline.training.recipe import load_recipe
from sightline.training.recipe_classify import ClassifyRecipe, Pack
from sightline.training.release import release
from sightline.training.run import freeze, train

__all__ = ["place"]
pytestmark = pytest.mark.train


def test_a_pack_is_decoded_as_it_is_served(place: Path) -> None:
    plan = plan_of(place)
    assert labels_of(plan) == LABELS
    whole = read_pack(plan, Pack(pictures="train.npz"), LABELS)
    held = read_pack(plan, plan.data.watch[0], LABELS)
    with np.load(place / "held.npz") as arrays:
        index = arrays["index"]
        np.testing.assert_array_equal(held.pixels, arrays["x"])
    np.testing.assert_array_equal(whole.label, np.arange(COUNT) % 3)
    np.testing.assert_array_equal(whole.label[index], held.label)
    # The same pictures with and without loss.
    assert np.abs(whole.pixels[index].astype(int) - held.pixels).mean() < 12


def test_what_is_held_out_is_never_trained_on(place: Path) -> None:
    plan = plan_of(place, augment__shift=0, augment__flip=False)
    lesson = ClassifyLesson(plan)
    whole = read_pack(plan, Pack(pictures="train.npz"), LABELS).pixels
    with np.load(place / "held.npz") as arrays:
        held = {whole[i].tobytes() for i in arrays["index"]}
    shown = set()
    for epoch in range(3):
        for batch in lesson.batches(epoch):
            pixels = (batch.pixels.permute(0, 2, 3, 1) * 64 + 127.5).round().byte().numpy()
            shown |= {one.tobytes() for one in pixels}
    assert len(shown) == COUNT - HELD
    assert not shown & held


def test_the_shipped_recipe_holds_out_what_it_watches() -> None:
    plan = load_recipe(Path("cifar10"))
    assert isinstance(plan, ClassifyRecipe)
    (watched,) = plan.data.watch
    assert {pack.except_index for pack in plan.data.train} == {watched.pictures}
    assert not any("test" in pack.pictures for pack in plan.data.train)


def test_folders_are_read_too(place: Path, tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    for kind, name in enumerate(sorted(LABELS)):
        (tmp_path / name).mkdir()
        for number in range(3):
            Image.fromarray(stripes(kind, draw)).resize((64, 32)).save(tmp_path / name / f"{number}.png")
    plan = plan_of(place, data__root=str(tmp_path), data__train=[{"pictures": "."}], data__watch=[])
    assert labels_of(plan) == tuple(sorted(LABELS))
    shelf = ClassifyLesson(plan).shelf
    assert shelf.pixels.shape == (9, SIDE, SIDE, 3)
    assert shelf.label.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    few = read_pack(plan, Pack(pictures=".", first=3), labels_of(plan))
    assert few.label.tolist() == [0, 1, 2]
    most = read_pack(plan, Pack(pictures=".", first=6), labels_of(plan))
    assert sorted(set(most.label.tolist())) == [0, 1, 2], "folders come class by class"
    assert len(most.label) == 6
    assert len(read_pack(plan, Pack(pictures=".", first=20), labels_of(plan)).label) == 9


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data__train": [{"pictures": "none.npz"}]}, "does not exist"),
        ({"data__train": [{"pictures": "train.npz", "except_index": "train.npz"}]}, "no array `index`"),
        ({"labels": ["bars", "rows"]}, "'dots'"),
    ],
    ids=["missing", "no index", "unknown class"],
)
def test_sources_that_do_not_fit_are_refused(place: Path, changes: dict[str, Any], words: str) -> None:
    plan = plan_of(place, **changes)
    with pytest.raises(BadOption, match=words):
        ClassifyLesson(plan)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (np.array([COUNT]), f"position {COUNT}.*{COUNT} pictures"),
        (np.array([-1]), "position -1"),
        (np.arange(COUNT) < 3, "bool"),
        (np.array([1.5]), "float64"),
        (np.array([[1, 2]]), r"\(1, 2\)"),
        (b"PK\x03\x04 no zip", "no array `index`"),
        (np.arange(COUNT), "no pictures to train on"),
    ],
    ids=["beyond", "negative", "mask", "shares", "table", "no zip", "all"],
)
def test_what_cannot_be_left_out_is_refused_not_trained_on(
    place: Path, tmp_path: Path, index: Any, words: str
) -> None:
    if isinstance(index, bytes):
        (tmp_path / "held.npz").write_bytes(index)
    else:
        np.savez(tmp_path / "held.npz", index=index)
    source = {"pictures": "train.npz", "except_index": str(tmp_path / "held.npz")}
    with pytest.raises(BadOption, match=words):
        ClassifyLesson(plan_of(place, data__train=[source], data__watch=[]))


def test_a_picture_that_is_none_is_named(place: Path, tmp_path: Path) -> None:
    (tmp_path / "bars").mkdir()
    (tmp_path / "bars" / "7.png").write_bytes(b"no picture")
    with pytest.raises(SightlineError, match=r"bars/7\.png"):
        ClassifyLesson(plan_of(place, data__train=[{"pictures": str(tmp_path)}], data__watch=[]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network__plan": ["16x"]}, "network.plan"),
        ({"network__plan": ["16p", "p", "p", "16p"]}, "halves the picture to nothing"),
        ({"input__resize": "letterbox"}, "resize = 'crop'"),
        ({"optimiser__kind": "magic"}, "optimiser.kind"),
        ({"augment__hidden": 17}, "17 of 16 pixels"),
    ],
    ids=["no layer", "too small", "other input", "other optimiser", "all hidden"],
)
def test_recipes_that_do_not_fit_are_refused(place: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan_of(place, **changes)


def test_every_other_epoch_shows_the_mirror(place: Path) -> None:
    lesson = ClassifyLesson(plan_of(place, augment__shift=0))
    everything = torch.arange(len(lesson.label)).numpy()
    one, other, again = (lesson._batch(epoch, 0, everything).pixels for epoch in (0, 1, 2))
    assert torch.equal(one, other.flip(3))
    assert torch.equal(one, again)


def test_moves_and_colours_are_drawn_anew_and_repeat_with_the_seed(place: Path) -> None:
    lesson = ClassifyLesson(plan_of(place, augment__colour=0.2))
    first = [batch.pixels for batch in lesson.batches(0)]
    assert all(torch.equal(a, b.pixels) for a, b in zip(first, lesson.batches(0), strict=True))
    assert not torch.equal(first[0], next(lesson.batches(2)).pixels)
    assert first[0].is_contiguous(memory_format=torch.channels_last)


def test_a_square_is_hidden_from_an_epoch_on(place: Path) -> None:
    open_ = ClassifyLesson(plan_of(place, augment__shift=0))
    lesson = ClassifyLesson(plan_of(place, augment__shift=0, augment__hidden=5, augment__hidden_after=2))
    for before, after in zip(open_.batches(1), lesson.batches(1), strict=True):
        assert torch.equal(before.pixels, after.pixels)
    corners = set()
    for shown, batch in zip(open_.batches(2), lesson.batches(2), strict=True):
        for picture, hidden in zip(shown.pixels, batch.pixels, strict=True):
            covered = (hidden == 0).all(0)  # the mean, normalised
            top, left = (int(place) for place in covered.nonzero().amin(0))
            assert covered.sum() == covered[top : top + 5, left : left + 5].sum() == 25
            assert torch.equal(hidden[:, ~covered], picture[:, ~covered])
            corners.add((top, left))
    assert len(corners) > 20


@pytest.mark.parametrize(("patch", "stride", "directions", "strong"), [(4, 2, 32, 8), (2, 1, 12, 3)])
def test_the_first_layer_whitens(place: Path, patch: int, stride: int, directions: int, strong: int) -> None:
    plan = plan_of(place, augment__shift=0, network__patch=patch, network__stride=stride)
    lesson = ClassifyLesson(plan)
    kernels = lesson.model.stem.weight
    assert kernels.shape == (2 * directions, 3, patch, patch)
    seen = functional.conv2d(normalised(plan, lesson.edged), kernels, stride=stride)
    told = seen.permute(1, 0, 2, 3).flatten(1)
    covariance = (told @ told.t() / told.shape[1])[:directions, :directions]
    assert torch.allclose(covariance[:strong, :strong], torch.eye(strong), atol=0.02)
    # Directions that hardly vary are not blown up to noise, but they do stay apart.
    assert covariance.diagonal().max() < 1.01
    assert (covariance - covariance.diagonal().diag()).abs().max() < 0.02
    assert torch.equal(kernels[directions:], -kernels[:directions])
    assert not kernels.requires_grad
    logits = lesson.model(normalised(plan, lesson.edged[:3]))
    assert logits.shape == (3, len(LABELS))


def test_a_network_without_its_norms_computes_the_same(place: Path) -> None:
    lesson = ClassifyLesson(plan_of(place))
    batches = list(lesson.batches(0))
    for batch in batches:
        lesson.model.train()(batch.pixels)  # the norms have seen something
    network = lesson.model.eval()
    plain = folded(network)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in plain.modules())
    assert any(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    with torch.no_grad():
        assert torch.allclose(plain(batches[0].pixels), network(batches[0].pixels), atol=1e-5)
        halves = rounded(plain)(batches[0].pixels)
        assert torch.allclose(halves, network(batches[0].pixels), atol=1e-2)


def test_the_views_of_a_picture_are_averaged(place: Path) -> None:
    lesson = ClassifyLesson(plan_of(place))
    network = lesson.model.eval()
    pixels = normalised(lesson.recipe, lesson.edged[:2, :SIDE, :SIDE])
    edged = functional.pad(pixels, (1, 1, 1, 1), "reflect")
    views = [(2, pixels), (1, edged[:, :, 2:, 2:]), (1, edged[:, :, :-2, :-2])]
    with torch.no_grad():
        wanted = sum(share * (network(view) + network(view.flip(3))) for share, view in views) / 8
        got = Served(network, mirror=True, moved=1).logits(pixels)
        assert torch.allclose(got, wanted, atol=1e-5)
        assert torch.allclose(Served(network, mirror=False)(pixels), network(pixels).softmax(1))


def test_the_loop_leaves_the_first_layer_as_it_is(place: Path) -> None:
    stem = ClassifyLesson(plan_of(place)).model.stem
    freeze(stem, fresh_only=False)
    assert not stem.weight.requires_grad


def test_an_interrupted_run_goes_on_as_it_would_have_gone(place: Path, tmp_path: Path) -> None:
    recipe = place / "tiny.toml"
    list(train(recipe, tmp_path / "whole", overrides={"optimiser.epochs": 2}))
    next(train(recipe, tmp_path / "parts", overrides={"optimiser.epochs": 2}))
    assert len(list(train(recipe, tmp_path / "parts", overrides={"optimiser.epochs": 2}))) == 1
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("able", [True, False])
def test_bfloat16_is_used_where_the_processor_has_it(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, able: bool
) -> None:
    processor = Features("", frozenset({"avx512_bf16"} if able else ()))
    monkeypatch.setattr("sightline.training.lesson.this_machine", lambda: processor)
    short = {"optimiser.epochs": 3}
    first, *_, last = train(
        place / "tiny.toml", tmp_path / "half", overrides={**short, "optimiser.precision": "bfloat16"}
    )
    assert last.loss["label"] < first.loss["label"]
    list(train(place / "tiny.toml", tmp_path / "whole", overrides=short))
    one, other = weights(tmp_path / "half"), weights(tmp_path / "whole")
    assert all(value.dtype == other[name].dtype for name, value in one.items())
    assert torch.equal(one["head.weight"], other["head.weight"]) is not able
    told = {record["precision"] for record in read_log(tmp_path / "half")}
    assert told == {"bfloat16" if able else "float32"}


def test_a_run_becomes_a_bundle_that_is_judged_as_served(place: Path, tmp_path: Path) -> None:
    recipe = place / "tiny.toml"
    epochs = list(train(recipe, tmp_path / "run"))
    assert epochs[-1].loss["label"] < 0.8 * epochs[0].loss["label"]
    assert epochs[-1].metrics["top1"] > 0.8
    folder = tmp_path / "bundle"
    sets = [place / "test.npz", place / "held.npz"]
    tested, held = release(recipe, tmp_path / "run", folder, sets, rules=Rules(rounds=5))
    assert tested.report.figures["top1"].value > 0.9
    assert held.report.figures["top1"].value == epochs[-1].metrics["top1"]
    bundle = read_bundle(folder)
    bundle.verify()
    assert bundle.labels == LABELS
    assert bundle.manifest.head.kind == "softmax"
    assert bundle.metrics["top1"]["value"] == pytest.approx(tested.report.figures["top1"].value, abs=1e-4)
    for words in (
        "3 labels",
        "cross entropy, 0.1 of the truth spread",
        "Three kinds of stripes.",
        "| tiny | test | 24 |",
        "| truth \\ answer | bars | rows | dots | other |",
    ):
        assert words in bundle.card
    assert "COCO" not in bundle.card


@pytest.mark.shared
def test_a_short_version_of_cifar10(shared: Path, tmp_path: Path) -> None:
    """The shipped recipe on a few of its own pictures."""
    pack = "data/cifar10/cifar10_train"
    short = {
        "data.root": str(shared),
        "data.train": [
            {"pictures": f"{pack}.npz", "except_index": f"{pack}_lossless_first1017.npz", "first": 64}
        ],
        "data.watch": [{"pictures": f"{pack}_lossless_first1017.npz", "first": 20}],
        "optimiser.epochs": 1,
        "optimiser.cycles": [],
        "optimiser.batch": 32,
    }
    epochs = list(train_all(Path("cifar10"), tmp_path, overrides=short))
    assert len(epochs) == load_recipe(Path("cifar10")).bundle.members
    for epoch in epochs:
        assert 2.0 < epoch.loss["label"] < 3.0
        assert set(epoch.metrics) == {"top1"}
    export(Path("cifar10"), tmp_path, tmp_path / "bundle", overrides=short)
    assert (tmp_path / "bundle" / MODEL_FILE).stat().st_size < 5e6
