"""Recipes of classification: small pictures of one class each, a network of dense convolutions."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sightline.manifest import InputContract
from sightline.training.recipe_form import Data, Frozen, Recipe


class Pack(Frozen):
    """Pictures of one class each: an ``.npz`` pack, or a folder with one folder a class.

    A pack has ``header``, ``data``, ``offsets`` and ``labels`` (JPEG), or ``x`` and ``y`` (pixels).
    """

    pictures: str
    except_index: str = Field(
        default="", description="Leave out the positions in the array `index` of this .npz."
    )
    first: int = Field(default=0, ge=0, description="Only so many pictures, evenly; 0: all.")


class ClassifyData(Data):
    """Where pictures come from."""

    train: tuple[Pack, ...] = Field(min_length=1)
    watch: tuple[Pack, ...] = Field(default=(), description="Judged after each epoch; never trained on.")


class PlainNetwork(Frozen):
    """Wide 3x3 convolutions; see ``models/plain_classifier.py``."""

    kind: Literal["plain_classifier"]
    plan: tuple[Annotated[str, Field(pattern=r"^(p|[1-9][0-9]{0,3}p?)$")], ...] = Field(
        min_length=1,
        max_length=16,
        description="Layers: '64' a convolution to 64 channels, '64p' halves the picture too, 'p' only that.",
    )
    patch: int = Field(default=4, ge=2, le=8, description="Side of the patches that the first layer sees.")
    stride: int = Field(
        default=2, ge=1, le=4, description="The first layer sees a patch every so many pixels."
    )
    mirror: bool = Field(
        default=False, description="Served: the mean of the logits for the picture and its mirror."
    )
    moved: int = Field(
        default=0, ge=0, le=4, description="Served: the mean over moves by so many pixels both ways, too."
    )


class ClassAugment(Frozen):
    """How pictures are varied."""

    flip: bool = Field(default=True, description="Every other epoch shows a picture mirrored.")
    shift: int = Field(default=2, ge=0, description="Moved by up to so many pixels, edges reflected.")
    colour: float = Field(default=0.0, ge=0, le=1, description="Largest change of brightness and contrast.")
    hidden: int = Field(default=0, ge=0, description="Side of a square that is painted over; 0: none.")
    hidden_after: int = Field(
        default=0, ge=0, description="Epochs before that begins: what sees everything learns faster at first."
    )


class ClassWeights(Frozen):
    """What the loss is made of."""

    smoothing: float = Field(default=0.0, ge=0, lt=1, description="Share of the truth given to all classes.")


class ClassifyRecipe(Recipe):
    """One training run of a classifier."""

    task: Literal["classify"]
    data: ClassifyData
    network: PlainNetwork
    augment: ClassAugment = ClassAugment()
    loss: ClassWeights = ClassWeights()

    @model_validator(mode="after")
    def _input_is_what_training_sees(self) -> "ClassifyRecipe":
        """The network sees square float RGB planes; what else there is belongs to serving."""
        seen = self.input
        fixed = InputContract(
            tensor=seen.tensor,
            width=seen.width,
            height=seen.width,
            resize="crop",
            scale=seen.scale,
            mean=seen.mean,
            std=seen.std,
        )
        if seen != fixed:
            msg = "input must be square, resize = 'crop', RGB, NCHW, float32."
            raise ValueError(msg)
        if self.augment.hidden > seen.width:
            msg = f"augment.hidden is wider than the input: {self.augment.hidden} of {seen.width} pixels."
            raise ValueError(msg)
        network = self.network
        least = max(network.patch, network.stride * 2 ** sum(word.endswith("p") for word in network.plan))
        if seen.width < least:
            msg = f"network.plan halves the picture to nothing: {seen.width} pixels wide, wanted {least}."
            raise ValueError(msg)
        return self
