"""The loss of masks: right masks cost nothing, boxes alone are enough to be told apart."""

import pytest
import torch
from torch import Tensor

from sightline.training.grid_loss import Match, Truth
from sightline.training.mask_loss import BOXED, inside, mask_loss, neighbours
from sightline.training.models.nano_detector import Answer

pytestmark = pytest.mark.train

BOX = torch.tensor([[8.0, 8.0, 40.0, 24.0]])
PAIR = [Match(torch.tensor([0]), torch.tensor([0]), torch.tensor([0.9]))]


def answer(mask: Tensor) -> Answer:
    """One cell with one coefficient of 1, so that the only prototype is the mask's logit."""
    bank = (mask * 20 - 10)[None, None]
    return Answer(torch.zeros(1, 1, 1), torch.zeros(1, 1, 4, 8), torch.ones(1, 1, 1), bank)


def truth(*, masked: bool, score: float = 1.0) -> Truth:
    mask = torch.zeros(1, 16, 16)
    mask[0, 2:6, 2:6] = 1  # the left half of the box
    return Truth(
        BOX,
        torch.zeros(1, dtype=torch.long),
        torch.zeros(0, 4),
        complete=True,
        score=torch.tensor([score]),
        masks=mask,
        masked=torch.tensor([masked]),
    )


def test_cells_that_a_box_touches() -> None:
    window = inside(BOX, 16, 16)[0]
    assert window.sum() == 8 * 4
    assert window[2:6, 2:10].all()


def test_the_marked_mask_costs_nothing_and_outside_the_box_does_not_count() -> None:
    drawn = truth(masked=True)
    assert drawn.masks is not None
    wrong_outside = drawn.masks[0].clone()
    wrong_outside[10:] = 1
    right = mask_loss(answer(wrong_outside), [drawn], PAIR, None)
    assert float(right["mask"]) < 1e-3
    assert float(right["mask_dice"]) < 1e-3
    wrong = mask_loss(answer(1 - drawn.masks[0]), [drawn], PAIR, None)
    assert float(wrong["mask"]) > 5
    assert float(wrong["mask_dice"]) > 0.9


def test_with_a_box_only_the_shadow_must_fit() -> None:
    alike = torch.ones(1, 2, 16, 16)
    alike[0, 0, :, 8:10] = 0  # behind the box's right and lower edge lies another colour
    alike[0, 1, 4:6] = 0
    filled = torch.zeros(16, 16)
    filled[2:6, 2:10] = 1
    cross = torch.zeros(16, 16)
    cross[2:6, 5] = 1
    cross[3, 2:10] = 1
    half = torch.zeros(16, 16)
    half[2:6, 2:6] = 1
    costs = [mask_loss(answer(m), [truth(masked=False)], PAIR, alike) for m in (filled, cross, half)]
    assert float(costs[0]["mask_box"]) < 1e-3
    assert float(costs[1]["mask_box"]) < 1e-3  # thin, but its shadow is the box
    assert float(costs[2]["mask_box"]) > 0.2 * BOXED
    # Like neighbours want to be on one side: filled is better than the cross.
    assert costs[0]["mask_alike"] < costs[1]["mask_alike"]
    assert costs[0]["mask"] == 0


def test_unsure_marks_of_the_teacher_are_not_asked_for_masks() -> None:
    unsure = truth(masked=False, score=0.3)
    parts = mask_loss(answer(torch.zeros(16, 16)), [unsure], PAIR, torch.ones(1, 2, 16, 16))
    assert all(value == 0 for value in parts.values())


def test_likeness_is_of_colours() -> None:
    pixels = torch.zeros(1, 3, 32, 32)
    pixels[..., 16:] = 200
    alike = neighbours(pixels)[0]
    assert alike[0, 0, 0] == pytest.approx(1.0)
    assert alike[0, 0, 3] < 0.01  # two to the right lies the other colour
    assert alike[1, 0, 3] == pytest.approx(1.0)
    assert alike[0, 0, 7] < 0.01  # beyond the edge nothing is alike
