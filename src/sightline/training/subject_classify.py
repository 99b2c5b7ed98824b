"""Classification as a subject: how a plain classifier is built, served and described."""

from sightline.manifest import Head
from sightline.training.classify import ClassifyLesson, build, served
from sightline.training.lesson import Subject
from sightline.training.models.plain_classifier import folded
from sightline.training.packing import rounded
from sightline.training.packs import labels_of
from sightline.training.recipe_classify import ClassifyRecipe


def _loss(recipe: ClassifyRecipe) -> str:
    return f"cross entropy, {recipe.loss.smoothing:g} of the truth spread over all classes"


CLASSIFY: Subject[ClassifyRecipe] = Subject(
    lesson=ClassifyLesson,
    labels=labels_of,
    network=build,
    start=lambda _: "",
    served=lambda recipe, network: served(recipe, rounded(folded(network), recipe.bundle.bits)),
    outputs=lambda _: ("scores",),
    head=lambda _: Head(kind="softmax", options={"outputs": {"scores": "scores"}}),
    loss=_loss,
    task=lambda _: "classify",
)
