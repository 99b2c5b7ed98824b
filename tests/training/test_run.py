"""The loop: it learns, it can be stopped and go on, and it says no."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sightline.errors import ConfigError, ModelFailed
from sightline.runtime.features import Features
from sightline.training.checkpoint import fingerprint, read_log
from sightline.training.export import finished
from sightline.training.recipe import load_recipe
from sightline.training.run import Epoch, train, weight_groups
from sightline.training.subjects import subject_of

pytestmark = pytest.mark.train


def weights(out: Path) -> dict[str, torch.Tensor]:
    state = torch.load(out / "weights.pt", weights_only=True)["model"]
    assert isinstance(state, dict)
    return state


def test_a_run_learns_and_leaves_a_log(recipe: Path, tmp_path: Path) -> None:
    overrides = {"optimiser.epochs": 20, "optimiser.rate": 1e-2, "loss.teacher": 0.0, "augment.mosaic": 0.0}
    epochs = list(train(recipe, tmp_path, overrides=overrides))
    assert [epoch.number for epoch in epochs] == list(range(1, 21))
    assert epochs[-1].loss["box"] < 0.85 * epochs[0].loss["box"]
    assert set(epochs[-1].metrics) == {"AP", "AP50", "AR100"}
    assert epochs[-1].metrics["AR100"] > epochs[0].metrics["AR100"]
    assert epochs[1].rate > epochs[-1].rate > 0
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(1, 21))


def test_an_interrupted_run_goes_on_as_it_would_have_gone(recipe: Path, tmp_path: Path) -> None:
    whole = list(train(recipe, tmp_path / "whole"))
    first = next(train(recipe, tmp_path / "parts"))
    assert not (tmp_path / "parts" / "weights.pt").exists()
    rest = list(train(recipe, tmp_path / "parts"))
    assert [first.number, *(e.number for e in rest)] == [1, 2]
    assert [first.loss, rest[0].loss] == [e.loss for e in whole]
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert list(train(recipe, tmp_path / "parts")) == []  # finished: nothing left to do


def test_a_run_may_end_before_its_schedule_and_go_on_later(recipe: Path, tmp_path: Path) -> None:
    whole = list(train(recipe, tmp_path / "whole"))
    (first,) = train(recipe, tmp_path / "parts", overrides={"optimiser.stop": 1})
    assert (first.number, first.epochs, first.loss) == (1, 2, whole[0].loss)
    assert (tmp_path / "parts" / "weights.pt").is_file()  # finished, as far as anybody can tell
    (second,) = train(recipe, tmp_path / "parts")
    assert (second.number, second.loss) == (2, whole[1].loss)


def test_another_recipe_may_not_go_on_with_a_run(recipe: Path, tmp_path: Path) -> None:
    next(train(recipe, tmp_path))
    with pytest.raises(ConfigError, match="another recipe"):
        next(train(recipe, tmp_path, overrides={"seed": 4}))
    assert isinstance(next(train(recipe, tmp_path, resume=False, overrides={"seed": 4})), Epoch)


@pytest.mark.parametrize(
    "state",
    [b"no checkpoint", b"", {"epoch": 1}, [1]],
    ids=["text", "empty", "part", "list"],
)
@pytest.mark.parametrize("file", ["last.pt", "weights.pt"])
def test_a_checkpoint_that_is_none_is_said(recipe: Path, tmp_path: Path, file: str, state: Any) -> None:
    path = tmp_path / file
    path.write_bytes(state) if isinstance(state, bytes) else torch.save(state, path)
    plan = load_recipe(recipe)

    def use() -> object:
        if file == "last.pt":
            return next(train(recipe, tmp_path))
        return finished(plan, tmp_path, subject_of(plan).labels(plan))

    with pytest.raises(ConfigError, match=rf"{file} is no checkpoint"):
        use()


def test_a_fresh_run_has_a_log_of_its_own(recipe: Path, tmp_path: Path) -> None:
    """The card adds up the hours of the log: those of a run before are none of this one's."""
    list(train(recipe, tmp_path))
    fresh = list(train(recipe, tmp_path, resume=False))
    assert [one["number"] for one in read_log(tmp_path)] == [1, 2]
    assert [one["seconds"] for one in read_log(tmp_path)] == [epoch.seconds for epoch in fresh]


def test_a_line_that_was_lost_comes_back(recipe: Path, tmp_path: Path) -> None:
    """As where a run is killed between its checkpoint and its log."""
    list(train(recipe, tmp_path))
    log = tmp_path / "log.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole[: whole.index(b"\n") + 5])
    assert list(train(recipe, tmp_path)) == []
    assert log.read_bytes() == whole
    assert all(" cores, Python 3." in one["machine"] for one in read_log(tmp_path))


def test_words_and_places_do_not_make_another_recipe(recipe: Path) -> None:
    one = load_recipe(recipe)
    assert fingerprint(one) == fingerprint(
        load_recipe(recipe, {"bundle.title": "Other", "version": "9", "data.root": "/x"})
    )
    assert fingerprint(one) != fingerprint(load_recipe(recipe, {"optimiser.rate": 1e-3}))


def test_a_loss_that_is_no_number_ends_the_run(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="no number"):
        list(train(recipe, tmp_path, overrides={"optimiser.rate": 1e30, "optimiser.epochs": 5}))


def test_relative_steps_are_in_proportion_to_the_weights(recipe: Path, tmp_path: Path) -> None:
    overrides = {"optimiser.relative": True, "optimiser.epochs": 1, "optimiser.weight_decay": 0.0}
    plan = load_recipe(recipe, overrides)
    groups = weight_groups(subject_of(plan).lesson(plan).model, plan)
    for group in groups:
        (tensor,) = group["params"]
        assert group["scale"] == pytest.approx(max(1e-3, float(tensor.detach().square().mean().sqrt())))
    assert len({round(group["scale"], 6) for group in groups}) > 5


COCO_MINI = {
    "pictures": "data/coco_mini/images/train",
    "annotations": "data/coco_mini/annotations/instances_train.json",
    "except_url": ["/val2017/"],
    "first": 4,
}
PEOPLE = {
    "pictures": "data/people/images/train",
    "annotations": "data/people/annotations/person_train.json",
    "teacher": False,
    "first": 4,
}


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "sources", "precision"),
    [("everyday", [COCO_MINI], "bfloat16"), ("people", [PEOPLE, COCO_MINI], "float32")],
    ids=lambda v: str(v)[:8],
)
def test_a_short_version_of_a_detector(
    name: str,
    sources: list[dict[str, object]],
    precision: str,
    shared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The shipped recipe on a handful of pictures, in its own processes, from the start that is at hand."""
    processor = Features("", frozenset({"avx512_bf16"}))
    monkeypatch.setattr("sightline.training.lesson.this_machine", lambda: processor)
    short = {
        "data.root": str(shared),
        "data.train": sources,
        "data.watch": [],
        "network.start": "weights/nanodet-plus-m_416.param",
        "network.width": "1.0",
        "optimiser.epochs": 1,
        "optimiser.stop": 0,
        "optimiser.batch": 4,
        "optimiser.threads": 1,
        "optimiser.precision": precision,
        "augment.sizes": [320],
    }
    (epoch,) = train(Path(name), tmp_path, overrides=short)
    assert sum(epoch.loss.values()) < 20
    assert epoch.metrics == {}
