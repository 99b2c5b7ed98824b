"""Processes that learn together: the same step in all, and none that is left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from sightline.errors import BadOption, ConfigError, ModelFailed
from sightline.training.detect import DetectLesson
from sightline.training.lesson import parted
from sightline.training.recipe import load_recipe
from sightline.training.recipe_detect import DetectRecipe
from sightline.training.run import train
from sightline.training.sharing import Share, together

pytestmark = pytest.mark.train

PIXELS = torch.arange(24.0).reshape(8, 3) / 10
TWO = {"optimiser.processes": 2, "optimiser.threads": 1}


def backward(model: torch.nn.Linear, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss = model(pixels).square().mean()
    loss.backward()
    return {"square": loss}


@pytest.mark.parametrize("count", [1, 2, 4])
def test_gradients_are_those_of_the_whole_batch(count: int) -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    whole = float(backward(model, PIXELS)["square"].detach())
    wanted = [weights.grad.clone() for weights in model.parameters() if weights.grad is not None]

    def learn(share: Share) -> dict[str, float]:
        return share.agree(model, backward(model, PIXELS[share.place :: share.count]))

    def work(share: Share) -> None:
        for _ in range(3):
            learn(share)

    with together(count, model, work) as share:
        for _ in range(3):
            assert learn(share) == {"square": pytest.approx(whole, rel=1e-5)}
            for weights, grad in zip(model.parameters(), wanted, strict=True):
                assert weights.grad is not None
                assert torch.allclose(weights.grad, grad, rtol=1e-5)
    assert multiprocessing.active_children() == []


class Two(torch.nn.Module):
    """Two weights, of which a process may use one only, and one that nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.idle = (torch.nn.Parameter(torch.ones(1)) for _ in range(3))


@pytest.mark.parametrize("lacks", [0, 1])
def test_all_take_the_same_step_where_one_lacks_a_gradient(lacks: int) -> None:
    model = Two()
    here, there = multiprocessing.Pipe()

    def learn(share: Share) -> list[float]:
        optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
        for _ in range(3):
            optimiser.zero_grad()
            loss = (
                2 * model.one.sum() if share.place == lacks else 3 * model.one.sum() + 4 * model.other.sum()
            )
            loss.backward()
            share.agree(model, {"loss": loss})
            optimiser.step()
        assert model.idle.grad is None
        return [float(weights.detach()) for weights in (model.one, model.other, model.idle)]

    with together(2, model, lambda share: there.send(learn(share))) as share:
        assert learn(share) == [1 - 3 * 2.5, 1 - 3 * 2.0, 1]
        assert here.poll(20)
        assert here.recv() == [1 - 3 * 2.5, 1 - 3 * 2.0, 1]


def test_parts_of_a_batch_are_the_whole(recipe: Path) -> None:
    plan = load_recipe(recipe)
    assert isinstance(plan, DetectRecipe)
    lesson = DetectLesson(plan)
    whole = list(lesson.batches(0))
    parts = [list(parted(lesson, Share(place, 2)).batches(0)) for place in range(2)]
    assert len(whole) == len(parts[0]) == len(parts[1]) == lesson.steps
    for batch, even, odd in zip(whole, *parts, strict=True):
        assert torch.equal(batch.pixels[::2], even.pixels)
        assert torch.equal(batch.pixels[1::2], odd.pixels)
        assert torch.equal(batch.truths[1].xyxy, odd.truths[0].xyxy)


def test_a_run_of_two_goes_on_as_it_would_have_gone(recipe: Path, tmp_path: Path) -> None:
    whole = list(train(recipe, tmp_path / "whole", overrides=TWO))
    begun = train(recipe, tmp_path / "parts", overrides=TWO)
    first = next(begun)
    del begun
    assert multiprocessing.active_children() == []
    rest = list(train(recipe, tmp_path / "parts", overrides=TWO))
    assert [first.loss, *(epoch.loss for epoch in rest)] == [epoch.loss for epoch in whole]


def test_a_process_that_is_killed_is_said(recipe: Path, tmp_path: Path) -> None:
    run = train(recipe, tmp_path, overrides=TWO | {"optimiser.epochs": 50})
    next(run)
    (mate,) = multiprocessing.active_children()
    mate.kill()
    with pytest.raises(ModelFailed, match="One of the processes"):
        for _ in run:
            pass
    assert multiprocessing.active_children() == []


def test_what_goes_wrong_in_another_process_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    model = torch.nn.Linear(1, 1)

    def work(_: Share) -> None:
        raise OSError(28, "No space left on device")

    with (
        pytest.raises(ModelFailed, match=r"has failed: OSError: .*No space left"),
        together(2, model, work) as share,
    ):
        share.agree(model, {"one": torch.ones(())})
    assert "Traceback" not in capfd.readouterr().err


def test_a_loss_that_is_no_number_is_said(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="no number"):
        list(train(recipe, tmp_path, overrides=TWO | {"optimiser.rate": 1e30}))
    assert multiprocessing.active_children() == []


def test_a_batch_that_is_not_full_cannot_be_shared(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="too few to fill one batch"):
        list(train(recipe, tmp_path, overrides=TWO | {"optimiser.batch": 12}))


ORPHAN = """
import os, sys, time, torch
from sightline.training.sharing import together
model = torch.nn.Linear(1, 1)
def work(share):
    print(os.getpid(), flush=True)
    while True:
        model(torch.ones(1, 1)).sum().backward()
        share.agree(model, {"one": torch.ones(())})
with together(3, model, work):
    time.sleep(60)
"""


def test_nobody_is_left_when_the_first_is_killed() -> None:
    words = [sys.executable, "-c", ORPHAN]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        mates = [int(first.stdout.readline()) for _ in range(2)]
        first.send_signal(signal.SIGKILL)
    for _ in range(200):
        if not any(_lives(mate) for mate in mates):
            break
        time.sleep(0.05)
    assert not any(_lives(mate) for mate in mates)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"optimiser.threads": 2}, "wants threads = 1"),
        ({"optimiser.batch": 5}, "a batch that it divides"),
        ({"network.norm": "all"}, "detectors with network.norm = none or masks"),
    ],
)
def test_what_cannot_be_shared_is_said(recipe: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_recipe(recipe, TWO | change)
