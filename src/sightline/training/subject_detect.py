"""Detection as a subject: how a grid detector is built, served and described."""

from torch import Tensor, nn

from sightline.manifest import Head
from sightline.training.detect import DetectLesson, build
from sightline.training.lesson import Subject
from sightline.training.models.grid_detector import GridDetector
from sightline.training.pictures import labels_of
from sightline.training.recipe_detect import DetectRecipe


class Rows(nn.Module):
    """What is served of a grid detector: probabilities instead of logits, one output ``rows``."""

    def __init__(self, network: GridDetector) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network.probabilities(pixels)


def _loss(recipe: DetectRecipe) -> str:
    weights = recipe.loss
    return f"marked boxes x {weights.labels:g}, staying close to the start x {weights.teacher:g}"


DETECT: Subject[DetectRecipe] = Subject(
    lesson=DetectLesson,
    labels=labels_of,
    network=lambda recipe, labels: build(recipe, len(labels)),
    start=lambda recipe: recipe.network.start,
    served=lambda _, network: Rows(network),
    outputs=lambda _: ("rows",),
    head=lambda _: Head(kind="yolox", options={"outputs": {"rows": "rows"}}),
    loss=_loss,
)
