"""Detection as a subject: how a grid detector is built, served and described."""

from typing import Any

import torch
from torch import Tensor, nn

from sightline.manifest import Head
from sightline.training.detect import DetectLesson, build
from sightline.training.lesson import Subject
from sightline.training.models.nano_detector import Answer, NanoDetector, distances
from sightline.training.packing import rounded
from sightline.training.pictures import labels_of
from sightline.training.recipe_detect import DetectRecipe


class Rows(nn.Module):
    """What is served: rows (n, cells, classes + 4 + k) of scores, distances in strides and coefficients.

    With masks also ``prototypes`` (n, k, h / 4, w / 4).
    """

    def __init__(self, network: NanoDetector) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        answer: Answer = self.network(pixels)
        rows = [answer.logits.sigmoid(), distances(answer.spread)]
        if answer.coefficients is None or answer.prototypes is None:
            return torch.cat(rows, 2)
        return torch.cat([*rows, answer.coefficients], 2), answer.prototypes


def _head(recipe: DetectRecipe) -> Head:
    masks = recipe.network.prototypes
    options: dict[str, Any] = {"outputs": {"rows": "rows"}, "bins": 1, "several_labels": True}
    if not masks:
        return Head(kind="nanodet", options=options)
    options["outputs"] = {"rows": "rows", "prototypes": "prototypes"}
    return Head(kind="nanodet_prototypes", options=options | {"coefficients": masks})


def _words(recipe: DetectRecipe) -> str:
    weights = recipe.loss
    parts = [f"marked boxes x {weights.labels:g}", f"staying close to the start x {weights.teacher:g}"]
    if recipe.network.prototypes:
        parts.append(f"masks x {weights.masks:g}")
    return ", ".join(parts)


DETECT: Subject[DetectRecipe] = Subject(
    lesson=DetectLesson,
    labels=labels_of,
    network=build,
    start=lambda recipe: recipe.network.start,
    served=lambda _, network: Rows(rounded(network)),
    outputs=lambda recipe: ("rows", "prototypes") if recipe.network.prototypes else ("rows",),
    head=_head,
    loss=_words,
    task=lambda recipe: "segment" if recipe.network.prototypes else "detect",
)
