"""Recipes of detection: pictures with boxes, a grid of cells, mosaics, a teacher."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from sightline.manifest import InputContract
from sightline.training.recipe_form import Data, Frozen, Recipe


class Source(Frozen):
    """Pictures with boxes, and masks where there are any, in COCO form."""

    pictures: str
    annotations: str
    only_url: str = Field(default="", description="Keep pictures whose coco_url holds this text.")
    except_url: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), description="Leave out pictures whose coco_url holds one of these texts."
    )
    complete: bool = Field(
        default=True,
        description="Every object of every label is marked. If not, an unmarked object is no proof that "
        "nothing is there: then the teacher is asked about the other labels.",
    )
    teacher: bool = Field(
        default=True,
        description="The teacher is asked about these pictures. Not, where their marks follow other habits.",
    )
    marks: Literal["people", "teacher"] = Field(
        default="people", description="Whose marks are learned: those of the file, or what the start finds."
    )
    file_key: str = Field(default="file_name", description="Which entry of an image names its file.")
    rename: dict[str, str] = Field(default_factory=dict, description="Categories called otherwise here.")
    skip_missing: bool = Field(default=False, description="The folder holds only some of the pictures.")
    repeat: int = Field(default=1, ge=1, description="How often an epoch shows each picture.")
    first: int = Field(default=0, ge=0, description="Only so many pictures; 0: all.")


class DetectData(Data):
    """Where pictures come from."""

    train: tuple[Source, ...] = Field(min_length=1)
    cache: str = Field(default="runs/teacher", description="Folder for what the teacher found.")
    watch: tuple[Source, ...] = Field(default=(), description="Judged after each epoch; never trained on.")


class Network(Frozen):
    """Which network, and what it starts from."""

    kind: Literal["nano_detector"]
    start: str = Field(default="", description="Weights file; empty: random weights.")
    norm: Literal["none", "masks", "all"] = Field(
        default="none",
        description="Which parts are trained with batch norm, put back where the start came without it.",
    )
    width: Literal["1.0", "1.5"] = Field(
        default="1.0", description="Which NanoDet-Plus-m's channels it has: -m's, or -m-1.5x's."
    )
    prototypes: int = Field(default=0, ge=0, le=64, description="Prototypes of masks; 0: boxes only.")
    teacher_size: int = Field(
        default=4096, gt=0, description="Largest canvas about which the teacher is asked."
    )


class Augment(Frozen):
    """How pictures are varied."""

    mosaic: float = Field(default=0.5, ge=0, le=1, description="Share of training pictures made of four.")
    plain_epochs: int = Field(default=0, ge=0, description="Last epochs without mosaics.")
    sizes: tuple[PositiveInt, ...] = Field(
        default=(), description="Canvas sizes of batches, drawn evenly; empty: the input's only."
    )
    scale: tuple[float, float] = (0.6, 1.4)
    aspect: float = Field(default=1.0, ge=1, description="Largest change of width against height.")
    flip: float = Field(default=0.5, ge=0, le=1)
    colour: float = Field(
        default=0.15, ge=0, le=1, description="Largest change of brightness, contrast, saturation."
    )

    @model_validator(mode="after")
    def _scale_can_be_drawn(self) -> "Augment":
        low, high = self.scale
        if not 0 < low <= high:
            msg = f"scale must rise from above 0, got {list(self.scale)}."
            raise ValueError(msg)
        if self.mosaic and low > 1:
            msg = f"with mosaics, whose parts are never enlarged, scale must begin at most 1, got {low}."
            raise ValueError(msg)
        return self


class Weights(Frozen):
    """What the loss is made of."""

    labels: float = Field(default=1.0, ge=0)
    teacher: float = Field(default=0.0, ge=0, description="Staying close to the starting network's answers.")
    masks: float = Field(default=1.0, ge=0, description="Masks, where the network has prototypes.")


_STRIDE = 32
"""Canvases are multiples of it."""
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
"""Of ImageNet, as the start was trained."""


class DetectRecipe(Recipe):
    """One training run of a detector."""

    task: Literal["detect"]
    data: DetectData
    network: Network
    augment: Augment = Augment()
    loss: Weights = Weights()

    @model_validator(mode="after")
    def _input_is_what_training_sees(self) -> "DetectRecipe":
        """The network sees squares, normalised in one way; it cannot be served otherwise."""
        side = self.input.width
        seen = InputContract(
            tensor=self.input.tensor, width=side, height=side, mean=MEAN, std=STD,
            resize=self.input.resize, sizes=self.input.sizes, half_looks=self.input.half_looks,
        )  # fmt: skip
        if self.input != seen or side % _STRIDE or self.input.resize not in ("letterbox", "stretch"):
            msg = (
                f"input must be square, in steps of {_STRIDE}, letterbox or stretch, with mean {list(MEAN)} "
                f"and std {list(STD)}, and otherwise the default."
            )
            raise ValueError(msg)
        if any(size % _STRIDE for size in (*self.augment.sizes, *self.input.sizes)):
            msg = f"sizes must be multiples of {_STRIDE}."
            raise ValueError(msg)
        return self
