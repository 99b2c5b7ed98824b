"""Networks that answer together: trained each by itself, counted as one run, exported as one graph."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tests.training.stripes import LABELS, place, plan_of, weights

from sightline.errors import ConfigError, ModelRefused, NotFound
from sightline.registry import MODEL_FILE, read_bundle
from sightline.training.checkpoint import read_log
from sightline.training.classify import build, normalised
from sightline.training.export import export, finished
from sightline.training.members import runs_of, train_all
from sightline.training.recipe import load_recipe
from sightline.training.run import train

__all__ = ["place"]
pytestmark = pytest.mark.train
TWO = {"optimiser.epochs": 2, "bundle.members": 2}


@pytest.fixture(scope="module")
def run(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two networks, seeds 3 and 4."""
    out = tmp_path_factory.mktemp("run")
    epochs = list(train_all(place / "tiny.toml", out, overrides=TWO))
    assert [(one.number, one.epochs) for one in epochs] == [(n, 4) for n in (1, 2, 3, 4)]
    return out


def test_each_network_is_a_run_of_its_own_seed(place: Path, run: Path, tmp_path: Path) -> None:
    list(train(place / "tiny.toml", tmp_path, overrides={"optimiser.epochs": 2, "seed": 4}))
    alone, member = weights(tmp_path), weights(run / "seed-4")
    assert all(torch.equal(alone[name], member[name]) for name in alone)
    assert not torch.equal(alone["head.weight"], weights(run / "seed-3")["head.weight"])


def test_the_log_counts_through_all_of_them(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]
    assert [(line["number"], line["epochs"]) for line in lines] == [(n, 4) for n in (1, 2, 3, 4)]


def test_what_is_finished_is_not_trained_again(place: Path, run: Path, tmp_path: Path) -> None:
    """As where one of them was trained on another machine."""
    shutil.copytree(run / "seed-4", tmp_path / "seed-4")
    epochs = list(train_all(place / "tiny.toml", tmp_path, overrides=TWO))
    assert [one.number for one in epochs] == [1, 2]
    assert len((tmp_path / "log.jsonl").read_text("utf-8").splitlines()) == 4


def test_an_interruption_in_the_second_changes_nothing(place: Path, run: Path, tmp_path: Path) -> None:
    begun = train_all(place / "tiny.toml", tmp_path, overrides=TWO)
    assert [next(begun).number for _ in range(3)] == [1, 2, 3]
    assert [one.number for one in train_all(place / "tiny.toml", tmp_path, overrides=TWO)] == [4]
    for seed in ("seed-3", "seed-4"):
        whole, parts = weights(run / seed), weights(tmp_path / seed)
        assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_beginning_again_forgets_all_of_them_at_once(place: Path, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    again = train_all(place / "tiny.toml", tmp_path / "run", resume=False, overrides=TWO)
    next(again)
    assert len(read_log(tmp_path / "run")) == 1
    with pytest.raises(NotFound, match="seed-3"):
        export(place / "tiny.toml", tmp_path / "run", tmp_path / "bundle", overrides=TWO)


def test_a_network_of_another_recipe_is_found_before_anything_is_trained(
    place: Path, run: Path, tmp_path: Path
) -> None:
    shutil.copytree(run / "seed-3", tmp_path / "seed-4")
    with pytest.raises(ConfigError, match=r"seed-4.*another recipe"):
        next(train_all(place / "tiny.toml", tmp_path, overrides=TWO))
    assert not (tmp_path / "seed-3").exists()


def test_they_answer_with_the_mean_of_their_logits(place: Path, run: Path) -> None:
    plan = plan_of(place, **{"bundle.members": 2, "optimiser.epochs": 2})
    pixels = normalised(plan, torch.randint(0, 256, (4, 16, 16, 3)))
    ones = [
        finished(plan_of(place, **{"seed": seed, "optimiser.epochs": 2}), folder, LABELS)
        for seed, folder in runs_of(plan, run)
    ]
    together = finished(plan, run, LABELS)
    with torch.no_grad():
        assert torch.allclose(together(pixels), (ones[0](pixels) + ones[1](pixels)) / 2, atol=1e-6)


def test_the_bundle_holds_them_all_in_fewer_bits(place: Path, run: Path, tmp_path: Path) -> None:
    sizes = []
    for bits in (16, 8):
        folder = tmp_path / str(bits)
        export(place / "tiny.toml", run, folder, overrides={**TWO, "bundle.bits": bits})
        sizes.append((folder / MODEL_FILE).stat().st_size)
    plan = plan_of(place)
    kernels = [w.numel() for w in build(plan, LABELS).parameters() if w.ndim == 4 and w.numel() >= 1024]
    assert sizes[1] < sizes[0] - 0.9 * 2 * sum(kernels)
    card = read_bundle(tmp_path / "8").card
    assert "2 networks of seeds 3 to 4 answer together" in card
    assert "Kernels are kept in 8 bits" in card


def test_a_run_that_lacks_a_network_is_not_finished(place: Path, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "seed-3", tmp_path / "seed-3")
    with pytest.raises(NotFound, match="seed-4"):
        export(place / "tiny.toml", tmp_path, tmp_path / "bundle", overrides=TWO)
    shutil.copytree(run / "seed-3", tmp_path / "seed-4")
    with pytest.raises(ModelRefused, match="another recipe"):
        export(place / "tiny.toml", tmp_path, tmp_path / "bundle", overrides=TWO)


@pytest.mark.parametrize("key", ["bundle.members", "bundle.bits"])
def test_only_classifiers_answer_together(recipe: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key} is for classifiers\.$"):
        load_recipe(recipe, {key: 8})
