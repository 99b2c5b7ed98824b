"""Orthogonal steps for kernels, plain ones for the rest."""

import pytest
import torch
from torch import nn

from sightline.training.muon import Muon, muon_of, orthogonal
from sightline.training.recipe_form import Optimiser

pytestmark = pytest.mark.train


@pytest.mark.parametrize("shape", [(8, 30), (30, 8)], ids=["wide", "tall"])
def test_every_direction_moves_alike(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    stretched = torch.randn(shape) * torch.linspace(0.2, 5, shape[1])
    values = torch.linalg.svdvals(orthogonal(stretched))
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_the_kernels_of_a_step_are_turned_by_the_rate() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 8, 3, bias=False)
    muon = Muon([{"params": [conv.weight], "orthogonal": True, "lr": 0.1}], momentum=0.6, plain_momentum=0.8)
    conv.weight.grad = torch.randn_like(conv.weight) * 100
    muon.step()
    # Rows of length one, moved by about 0.1 each, whatever the size of the gradient.
    assert float(conv.weight.detach().norm()) == pytest.approx(8**0.5, rel=0.05)
    before = conv.weight.detach().clone()
    muon.step()
    moved = conv.weight.detach() - before * (8**0.5 / before.norm())
    assert float(moved.norm()) == pytest.approx(0.1 * 8**0.5, rel=0.3)


def test_plain_steps_follow_nesterov_by_hand() -> None:
    weights = nn.Parameter(torch.tensor([1.0]))
    muon = Muon([{"params": [weights], "orthogonal": False, "lr": 0.1}], momentum=0.0, plain_momentum=0.5)
    for wanted in (1 - 0.1 * 1.5, 0.85 - 0.1 * 1.75):  # momentum 1, then 1.5; step = gradient + half of it
        weights.grad = torch.tensor([1.0])
        muon.step()
        assert weights.item() == pytest.approx(wanted)


def test_a_recipe_says_the_rates_and_what_is_frozen_stays() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))
    model[0].bias.requires_grad_(requires_grad=False)
    options = Optimiser(kind="muon", epochs=1, rate=0.1, plain_rate=0.02, matrix_rate=0.4)
    groups = muon_of(model, options).param_groups
    assert [(group["orthogonal"], round(group["scale"], 6)) for group in groups] == [
        (True, 1.0),
        (False, 4.0),
        (False, 0.2),
    ]
