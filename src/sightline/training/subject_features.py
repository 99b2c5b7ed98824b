"""A backbone as a subject: how it is built, served and described."""

from sightline.errors import BadOption
from sightline.manifest import Head
from sightline.training.distil import FeatureLesson, build
from sightline.training.lesson import Subject
from sightline.training.missing import missing
from sightline.training.models.mobilenet_v2 import CLASSES
from sightline.training.packing import rounded
from sightline.training.recipe_features import FeatureRecipe
from sightline.training.teacher import OUTPUTS, Answers


def labels_of(recipe: FeatureRecipe) -> tuple[str, ...]:
    """The recipe's own, or the lines of ``data.labels`` after "background"."""
    labels = recipe.labels
    if recipe.data.labels:
        path = recipe.path(recipe.data.labels)
        if not path.is_file():
            raise missing(path)
        labels = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())[1:]
    if len(labels) != CLASSES - 1:
        raise BadOption(f"{recipe.name} has {len(labels)} labels, wanted {CLASSES - 1}: those of the start.")
    return labels


FEATURES: Subject[FeatureRecipe] = Subject(
    lesson=FeatureLesson,
    labels=labels_of,
    network=lambda recipe, _: build(recipe),
    start=lambda recipe: recipe.network.start,
    served=lambda _, network: Answers(rounded(network)),
    outputs=lambda _: OUTPUTS,
    head=lambda _: Head(kind="logits", options={"outputs": {"scores": "logits"}, "first_label": 1}),
    loss=lambda recipe: (
        f"standardised features as the start's x {recipe.loss.features:g}, softened classes as the start's "
        f"x {recipe.loss.logits:g}"
    ),
    task=lambda _: "classify",
)
