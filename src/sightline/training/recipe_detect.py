"""Recipes of detection: pictures with boxes, a grid of cells, mosaics, a teacher."""

from typing import Literal

from pydantic import Field, model_validator

from sightline.manifest import InputContract
from sightline.training.recipe_form import Data, Frozen, Recipe


class Source(Frozen):
    """Pictures with boxes in COCO form."""

    pictures: str
    annotations: str
    only_url: str = Field(default="", description="Keep pictures whose coco_url holds this text.")
    except_url: str = Field(default="", description="Leave out pictures whose coco_url holds this text.")
    complete: bool = Field(
        default=True,
        description="Every object of every label is marked. If not, an unmarked object is no proof that "
        "nothing is there: then the teacher is asked about the other labels.",
    )
    repeat: int = Field(default=1, ge=1, description="How often an epoch shows each picture.")
    first: int = Field(default=0, ge=0, description="Only so many pictures; 0: all.")


class DetectData(Data):
    """Where pictures come from."""

    train: tuple[Source, ...] = Field(min_length=1)
    watch: tuple[Source, ...] = Field(default=(), description="Judged after each epoch; never trained on.")


class Network(Frozen):
    """Which network, and what it starts from."""

    kind: Literal["grid_detector"]
    width: int = Field(default=16, gt=0, le=128)
    start: str = Field(default="", description="Weights file; empty: random weights.")


class Augment(Frozen):
    """How pictures are varied."""

    mosaic: float = Field(default=0.5, ge=0, le=1, description="Share of training pictures made of four.")
    plain_epochs: int = Field(default=0, ge=0, description="Last epochs without mosaics.")
    scale: tuple[float, float] = (0.6, 1.4)
    flip: float = Field(default=0.5, ge=0, le=1)
    colour: float = Field(
        default=0.15, ge=0, le=1, description="Largest change of brightness, contrast, saturation."
    )


class Weights(Frozen):
    """What the loss is made of."""

    labels: float = Field(default=1.0, ge=0)
    teacher: float = Field(default=0.0, ge=0, description="Staying close to the starting network's answers.")


_STRIDE = 32
"""Pixels of the coarsest cell."""


class DetectRecipe(Recipe):
    """One training run of a detector."""

    task: Literal["detect"]
    data: DetectData
    network: Network
    augment: Augment = Augment()
    loss: Weights = Weights()

    @model_validator(mode="after")
    def _input_is_what_training_sees(self) -> "DetectRecipe":
        """The network sees letterboxed squares, RGB from 0 to 255; it cannot be served otherwise."""
        seen = InputContract(tensor=self.input.tensor, width=self.input.width, height=self.input.width)
        if self.input != seen or self.input.width % _STRIDE:
            msg = f"input must be square, in steps of {_STRIDE}, and otherwise the default (RGB, letterbox)."
            raise ValueError(msg)
        return self
