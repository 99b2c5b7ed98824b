"""Recipes of backbones: clean pieces of pictures for a teacher, spoilt ones for its pupil."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sightline.manifest import InputContract
from sightline.training.recipe_form import Data, Frozen, Recipe


class Pieces(Frozen):
    """Pictures with boxes in COCO form, of which pieces are cut."""

    pictures: str
    annotations: str
    only_url: str = Field(default="", description="Keep pictures whose coco_url holds this text.")
    except_url: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="Leave out pictures whose coco_url holds one of these texts."
    )
    file_key: str = Field(default="file_name", description="Which entry of an image names its file.")
    whole: bool = Field(default=True, description="The whole picture is a piece.")
    windows: int = Field(default=2, ge=0, description="Square windows anywhere, from each picture.")
    objects: int = Field(default=8, ge=0, description="At most so many of its objects, the largest ones.")
    margin: float = Field(default=0.1, ge=0, le=1, description="Surroundings of an object, in its sides.")
    smallest: float = Field(default=32, ge=1, description="Shortest side of an object, in pixels.")
    first: int = Field(default=0, ge=0, description="Only so many pictures; 0: all.")


class FeatureData(Data):
    """Where pictures come from."""

    labels: str = Field(
        default="", description="File with the start's classes, one a line; the first is no label."
    )
    train: tuple[Pieces, ...] = Field(min_length=1)
    watch: tuple[Pieces, ...] = Field(default=(), description="Judged after each epoch; never trained on.")
    views: int = Field(default=2048, gt=0, description="Pieces that an epoch shows, drawn anew for each.")


class Backbone(Frozen):
    """Which network, and what it starts from."""

    kind: Literal["mobilenet_v2"]
    start: str = Field(default="", description="Weights file; empty: random weights.")
    frozen: int = Field(
        default=0, ge=0, le=17, description="Leading blocks that stay as they are, with the stem; 0: none."
    )
    teacher_size: int = Field(default=288, gt=0, description="Canvas of the teacher; it may see more.")


class ViewAugment(Frozen):
    """How the pupil's view is spoilt; every number is the worst case."""

    clean: float = Field(default=0.25, ge=0, le=1, description="Share of views that are only mirrored.")
    smallest: int = Field(default=24, ge=8, description="Pixels a side to which a view is scaled and back.")
    quality: int = Field(default=30, ge=1, le=95, description="Of JPEG.")
    blur: float = Field(default=1.0, ge=0, description="Radius, in pixels of the scaled view.")
    crop: float = Field(default=0.9, gt=0, le=1, description="Share of each side that stays.")
    colour: float = Field(default=0.3, ge=0, le=1, description="Change of brightness, contrast, saturation.")


class DistilWeights(Frozen):
    """What the loss is made of."""

    features: float = Field(default=1.0, ge=0, description="Standardised features as the teacher's.")
    logits: float = Field(default=0.25, ge=0, description="Softened classes as the teacher's.")
    temperature: float = Field(default=2.0, gt=0, description="Of the softened classes.")


_STRIDE = 32


class FeatureRecipe(Recipe):
    """One training run of a backbone."""

    task: Literal["features"]
    data: FeatureData
    network: Backbone
    augment: ViewAugment = ViewAugment()
    loss: DistilWeights = DistilWeights()

    @model_validator(mode="after")
    def _input_is_what_training_sees(self) -> "FeatureRecipe":
        """The network sees stretched squares from -1 to 1; it cannot be served otherwise."""
        side = self.input.width
        seen = InputContract(
            tensor=self.input.tensor, width=side, height=side, resize="stretch",
            mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5),
        )  # fmt: skip
        if self.input != seen or side % _STRIDE or self.network.teacher_size % _STRIDE:
            msg = (
                f"input must be square, in steps of {_STRIDE}, stretched, with mean and std of 127.5, and "
                f"network.teacher_size a multiple of {_STRIDE}."
            )
            raise ValueError(msg)
        return self
