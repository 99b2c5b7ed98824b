"""The lesson of detection: the teacher is asked about those pictures only in which it has a say."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sightline.training.detect import Batch, DetectLesson
from sightline.training.recipe import load_recipe
from sightline.training.recipe_detect import DetectRecipe

pytestmark = pytest.mark.train


@pytest.fixture
def lesson(recipe: Path) -> DetectLesson:
    plan = load_recipe(recipe)
    assert isinstance(plan, DetectRecipe)
    return DetectLesson(plan)


def of(lesson: DetectLesson, says: list[bool], *, complete: bool = True) -> Batch:
    """The first batch; ``says`` of each picture whether the teacher has a say."""
    batch = next(iter(lesson.batches(0)))
    kept = zip(batch.truths, says, strict=True)
    return Batch(batch.pixels, [replace(t, teacher=say, complete=complete) for t, say in kept])


@pytest.mark.parametrize(
    ("says", "complete", "asked"),
    [
        ([True] * 4, True, [4]),
        ([True, False, False, True], True, [2]),
        ([False] * 4, True, []),
        ([False] * 4, False, [4]),  # what is not marked there, it must say
    ],
)
def test_nobody_is_asked_in_vain(
    lesson: DetectLesson, says: list[bool], complete: bool, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = of(lesson, says, complete=complete)
    with torch.no_grad():
        lesson.model.heads[0].answer.bias += 0.5
    counts: list[int] = []
    teacher = lesson.teacher

    def counted(seen: torch.Tensor) -> object:
        counts.append(len(seen))
        return teacher(seen)

    monkeypatch.setattr(lesson, "teacher", counted)
    few = lesson.loss(batch)
    assert counts == asked

    monkeypatch.setattr(lesson, "_taught", lambda seen, _: teacher(seen))  # about all of them
    for name, value in lesson.loss(batch).items():
        torch.testing.assert_close(few[name], value, rtol=1e-4, atol=1e-5, msg=name)
    assert (float(few["taught_label"].detach()) > 0) == any(says)
