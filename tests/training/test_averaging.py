"""The learning rate over time, and the average of weights."""

import pytest
import torch
from torch import nn

from sightline.training.averaging import Average, blend, rate_at, rate_share
from sightline.training.recipe_form import Optimiser

pytestmark = pytest.mark.train


@pytest.mark.parametrize(
    ("step", "share"),
    [(0, 0.2), (3, 0.8), (4, 1.0), (52, 0.55), (100, 0.1), (500, 0.1)],
    ids=["first", "rising", "peak", "half way", "end", "after the end"],
)
def test_rate_rises_then_follows_a_cosine(step: int, share: float) -> None:
    assert rate_at(step, 100, 4, 0.1) == pytest.approx(share)


def test_a_cycle_is_the_whole_schedule_again_from_a_lower_peak() -> None:
    one = Optimiser(epochs=3, rate=1, last_rate=0.1, warmup_epochs=0.5)
    two = Optimiser(epochs=5, rate=1, last_rate=0.1, warmup_epochs=0.5, cycles=(3, 2), again=0.5)
    once = [rate_share(one, done, 10) for done in range(30)]
    assert once == [rate_at(done, 30, 5, 0.1) for done in range(30)]
    twice = [rate_share(two, done, 10) for done in range(50)]
    assert twice == once + [rate_at(done, 20, 5, 0.1) / 2 for done in range(20)]
    with pytest.raises(ValueError, match="add up to epochs = 5"):
        Optimiser(epochs=5, rate=1, cycles=(3, 3))


def test_average_follows_quickly_at_first_and_slowly_later() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = Average(model, 0.99)
    nn.init.ones_(model.weight)
    average.update(model)
    assert average.model.weight.item() == pytest.approx(0.9)  # the first step keeps one tenth
    for _ in range(2000):
        average.update(model)
    assert average.model.weight.item() == pytest.approx(1.0)
    nn.init.zeros_(model.weight)
    average.update(model)
    assert average.model.weight.item() == pytest.approx(0.99)
    assert not average.model.weight.requires_grad


def test_average_copies_what_is_not_a_weight() -> None:
    model = nn.BatchNorm1d(2)
    average = Average(model, 0.99)
    model(torch.ones(4, 2))
    average.update(model)
    assert average.model.num_batches_tracked.item() == 1


def test_a_blend_lies_between_start_and_learned_but_for_what_the_start_lacked() -> None:
    learned, start = (nn.ModuleDict({"old": nn.Linear(1, 1), "new": nn.Linear(1, 1)}) for _ in range(2))
    for network, value in ((learned, 1.0), (start, 0.0)):
        for weights in network.parameters():
            nn.init.constant_(weights, value)
    blend(learned, start, 0.25)
    assert all(weights.item() == pytest.approx(0.25) for weights in learned.parameters())
    for weights in learned.parameters():
        nn.init.ones_(weights)
    start.fresh = ("new.",)
    blend(learned, start, 0.25)
    assert {name: weights.item() for name, weights in learned.named_parameters()} == {
        "old.weight": 0.25, "old.bias": 0.25, "new.weight": 1.0, "new.bias": 1.0,
    }  # fmt: skip
