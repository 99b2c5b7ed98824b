"""A backbone as a subject: how it is built, served and described."""

import torch

from sightline.errors import BadOption
from sightline.manifest import Head
from sightline.training.distil import FeatureLesson, build
from sightline.training.halving import rounded
from sightline.training.lesson import Subject
from sightline.training.models.mobilenet_v2 import CLASSES, MobileNetV2
from sightline.training.recipe_features import FeatureRecipe
from sightline.training.teacher import OUTPUTS, Answers


@torch.no_grad()
def blended(recipe: FeatureRecipe, network: MobileNetV2) -> MobileNetV2:
    """Between the start and ``network``, weight by weight: what was learned, and hardly anything forgotten.

    Wortsman et al., "Robust fine-tuning of zero-shot models" (arXiv 2109.01903).
    """
    between = build(recipe)
    for weights, learned in zip(between.parameters(), network.parameters(), strict=True):
        weights.lerp_(learned, recipe.bundle.blend)
    return between.to(memory_format=torch.contiguous_format).eval()


def labels_of(recipe: FeatureRecipe) -> tuple[str, ...]:
    """The recipe's own, or the lines of ``data.labels`` after "background"."""
    labels = recipe.labels
    if recipe.data.labels:
        path = recipe.path(recipe.data.labels)
        if not path.is_file():
            raise BadOption(f"{path} does not exist.", next_step="Set data.root to the folder of the data.")
        labels = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())[1:]
    if len(labels) != CLASSES - 1:
        raise BadOption(f"{recipe.name} has {len(labels)} labels, wanted {CLASSES - 1}: those of the start.")
    return labels


FEATURES: Subject[FeatureRecipe] = Subject(
    lesson=FeatureLesson,
    labels=labels_of,
    network=lambda recipe, _: build(recipe),
    start=lambda recipe: recipe.network.start,
    served=lambda recipe, network: Answers(rounded(blended(recipe, network))),
    outputs=lambda _: OUTPUTS,
    head=lambda _: Head(kind="logits", options={"outputs": {"scores": "logits"}, "first_label": 1}),
    loss=lambda recipe: (
        f"standardised features as the start's x {recipe.loss.features:g}, softened classes as the start's "
        f"x {recipe.loss.logits:g}; the bundle is {recipe.bundle.blend:.0%} of the way from the start"
    ),
    task=lambda _: "classify",
)
