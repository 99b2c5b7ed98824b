"""The tasks that can be trained. A new one is a line here, a module beside, and a kind of recipe."""

from collections.abc import Mapping
from typing import Any

from sightline.training.lesson import Subject
from sightline.training.recipe_form import Recipe
from sightline.training.subject_classify import CLASSIFY
from sightline.training.subject_detect import DETECT
from sightline.training.subject_features import FEATURES

SUBJECTS: Mapping[str, Subject[Any]] = {"detect": DETECT, "classify": CLASSIFY, "features": FEATURES}


def subject_of(recipe: Recipe) -> Subject[Any]:
    """The task of a recipe."""
    return SUBJECTS[recipe.task]
