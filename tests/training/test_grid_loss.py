"""The loss, on cases small enough to work out by hand."""

import pytest
import torch
from torch import Tensor

from sightline.training.grid_loss import (
    Grid,
    Match,
    Truth,
    label_loss,
    match,
    matches,
    paired_giou,
    teacher_loss,
)
from sightline.training.models.nano_detector import Answer, boxes, cells, distances

pytestmark = pytest.mark.train

GRID = Grid(*cells(64, 64))
CELLS = len(GRID.strides)
EMPTY = torch.zeros(0, 4)
BOX = [8.0, 8.0, 40.0, 40.0]


def answer_for(box: list[float], label: int, logit: float = 6.0) -> Answer:
    """An answer in which every cell that can says exactly ``box`` with ``label``."""
    xyxy = torch.tensor(box)
    reach = torch.cat([GRID.points - xyxy[:2], xyxy[2:] - GRID.points], 1) / GRID.strides[:, None]
    reach = reach.clamp(0, 6.999)
    low = reach.floor()
    bins = torch.arange(8.0)
    share = torch.where(bins == low[..., None], 1 - (reach - low)[..., None], torch.zeros(8))
    share = torch.where(bins == low[..., None] + 1, (reach - low)[..., None], share)
    kinds = torch.full((CELLS, 3), -6.0)
    kinds[:, label] = logit
    return Answer(kinds[None], share.clamp(min=1e-9).log()[None])


def truth(
    *found: list[float], label: int = 1, crowd: Tensor = EMPTY, complete: bool = True, score: float = 1.0
) -> Truth:
    xyxy = torch.tensor(found) if found else EMPTY
    count = len(found)
    return Truth(xyxy, torch.full((count,), label), crowd, complete, torch.full((count,), score))


def cost(answer: Answer, wanted: Truth, taught: Tensor | None = None) -> dict[str, Tensor]:
    found, xyxy = matches(answer, [wanted], GRID)
    return label_loss(answer, [wanted], GRID, found, xyxy, taught)


def found_by(answer: Answer, wanted: Truth) -> Match:
    xyxy = boxes(distances(answer.spread), GRID.points, GRID.strides)
    return match(answer.logits[0], xyxy[0], wanted, GRID)


def test_a_box_takes_cells_near_its_centre() -> None:
    found = found_by(answer_for(BOX, 1), truth(BOX))
    assert len(found.cell) == 10  # ten perfect overlaps sum to ten cells
    points = GRID.points[found.cell]
    assert ((points >= 8) & (points < 40)).all()  # a point outside could not reach all four sides
    assert found.iou.min() > 0.99


def test_a_cell_answers_for_one_box_only() -> None:
    two = truth([8.0, 8.0, 40.0, 40.0], [10.0, 10.0, 42.0, 42.0])
    found = found_by(answer_for([9.0, 9.0, 41.0, 41.0], 1), two)
    assert len(set(found.cell.tolist())) == len(found.cell)
    assert set(found.target.tolist()) == {0, 1}


def test_an_empty_picture_matches_nothing_and_asks_for_silence() -> None:
    parts = cost(answer_for(BOX, 1), truth())
    assert parts["box"] == 0
    assert parts["spread"] == 0
    assert parts["label"] > CELLS  # every cell shouts


def test_the_right_answer_costs_less_than_a_wrong_one() -> None:
    right = cost(answer_for(BOX, 1), truth(BOX))
    shifted = cost(answer_for([14.0, 8.0, 46.0, 40.0], 1), truth(BOX))
    assert right["box"] < 0.01 < shifted["box"]
    assert right["spread"] < shifted["spread"]
    other = cost(answer_for(BOX, 2), truth(BOX))
    assert right["label"] < other["label"]


def test_a_score_learns_the_overlap() -> None:
    """The gradient of a matched cell's score vanishes where the score is the overlap."""
    answer = answer_for([8.0, 8.0, 40.0, 40.0], 1)
    logits = answer.logits.clone().requires_grad_()
    wanted = truth([8.0, 8.0, 24.0, 40.0])  # half of it
    free = Answer(logits, answer.spread)
    found, xyxy = matches(free, [wanted], GRID)
    overlap = float(found[0].iou[0])
    assert 0.4 < overlap < 0.6
    with torch.no_grad():
        logits[0, found[0].cell, 1] = torch.logit(found[0].iou)
    label_loss(free, [wanted], GRID, found, xyxy, None)["label"].backward()
    assert logits.grad is not None
    assert logits.grad[0, found[0].cell, 1].abs().max() < 1e-6


def test_a_teachers_mark_asks_for_its_score() -> None:
    answer = answer_for(BOX, 1)
    logits = answer.logits.clone().requires_grad_()
    wanted = truth(BOX, score=0.4)
    free = Answer(logits, answer.spread)
    found, xyxy = matches(free, [wanted], GRID)
    with torch.no_grad():
        logits[0, found[0].cell, 1] = torch.logit(torch.tensor(0.4))
    label_loss(free, [wanted], GRID, found, xyxy, None)["label"].backward()
    assert logits.grad is not None
    assert logits.grad[0, found[0].cell, 1].abs().max() < 1e-3


def test_cells_inside_a_crowd_are_not_told_that_nothing_is_there() -> None:
    everywhere = torch.tensor([[0.0, 0.0, 64.0, 64.0]])
    assert cost(answer_for(BOX, 1), truth(crowd=everywhere))["label"] == 0


def test_where_marks_are_incomplete_the_teacher_decides() -> None:
    answer = answer_for(BOX, 1)
    taught = answer.logits.sigmoid()
    strict = cost(answer, truth(), taught)["label"]
    open_ = cost(answer, truth(complete=False), taught)["label"]
    assert open_ < strict / 10


def test_the_teacher_is_pleased_by_its_own_answer_only() -> None:
    taught = answer_for(BOX, 1, logit=2.0)
    same = Answer(taught.logits.clone().requires_grad_(), taught.spread.clone().requires_grad_())
    parts = teacher_loss(same, taught, [truth(BOX)])
    assert all(abs(float(value.detach())) < 1e-4 for value in parts.values())
    sum(parts.values(), torch.zeros(())).backward()
    assert same.logits.grad is not None
    assert same.spread.grad is not None
    assert same.logits.grad.abs().max() < 1e-5
    assert same.spread.grad.abs().max() < 1e-5
    moved = Answer(taught.logits + 0.5, taught.spread.roll(1, -1))
    assert all(value > 0.01 for value in teacher_loss(moved, taught, [truth(BOX)]).values())


def test_the_teacher_is_not_heard_where_it_has_no_say() -> None:
    taught = answer_for(BOX, 1, logit=2.0)
    moved = Answer(taught.logits + 0.5, taught.spread.roll(1, -1))
    deaf = Truth(EMPTY, torch.zeros(0, dtype=torch.long), EMPTY, complete=True, teacher=False)
    assert all(value == 0 for value in teacher_loss(moved, taught, [deaf]).values())


def test_overlap_by_hand() -> None:
    one = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1]])
    other = torch.tensor([[1.0, 0, 3, 2], [2, 2, 3, 3]])
    # 2 of 6 shared, no room between; nothing shared, 7 of 9 of the hull empty
    assert paired_giou(one, other).tolist() == pytest.approx([1 / 3, -7 / 9])
