"""A recipe: everything that decides what a training run computes, in one TOML file.

The same recipe, inputs and versions give the same weights on the same machine. Paths in a recipe
are relative to ``data.root``, which is relative to the working directory.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sightline.errors import ConfigError
from sightline.manifest import NAME_PATTERN, VERSION_PATTERN, InputContract, Thresholds

RECIPES = Path(__file__).parent / "recipes"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Source(_Frozen):
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


class Data(_Frozen):
    """Where pictures come from."""

    root: str = "../shared"
    train: tuple[Source, ...] = Field(min_length=1)
    watch: tuple[Source, ...] = Field(default=(), description="Judged after each epoch; never trained on.")


class Network(_Frozen):
    """Which network, and what it starts from."""

    kind: Literal["grid_detector"]
    width: int = Field(default=16, gt=0, le=128)
    start: str = Field(default="", description="Weights file; empty: random weights.")


class Optimiser(_Frozen):
    """How weights move."""

    epochs: int = Field(gt=0)
    batch: int = Field(default=16, gt=0)
    rate: float = Field(gt=0, description="Peak learning rate.")
    relative: bool = Field(default=False, description="The rate is a share of each tensor's size.")
    last_rate: float = Field(
        default=0.05, ge=0, le=1, description="Share of the rate that is left at the end."
    )
    warmup_epochs: float = Field(default=1.0, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    clip: float = Field(default=10.0, gt=0, description="Longest gradient.")
    average: float = Field(default=0.999, ge=0, lt=1, description="Share of the old average kept per step.")
    threads: int = Field(default=2, gt=0)


class Augment(_Frozen):
    """How pictures are varied."""

    mosaic: float = Field(default=0.5, ge=0, le=1, description="Share of training pictures made of four.")
    plain_epochs: int = Field(default=0, ge=0, description="Last epochs without mosaics.")
    scale: tuple[float, float] = (0.6, 1.4)
    flip: float = Field(default=0.5, ge=0, le=1)
    colour: float = Field(
        default=0.15, ge=0, le=1, description="Largest change of brightness, contrast, saturation."
    )


class Weights(_Frozen):
    """What the loss is made of."""

    labels: float = Field(default=1.0, ge=0)
    teacher: float = Field(default=0.0, ge=0, description="Staying close to the starting network's answers.")


class Bundle(_Frozen):
    """What the exported manifest and card say; the rest is measured."""

    title: str
    description: str = ""
    licence: str = "Apache-2.0"
    origin: str = ""
    initialisation: str = "random"
    thresholds: Thresholds = Thresholds()
    data: tuple[str, ...] = Field(default=(), description="One sentence per data set, with its licence.")
    limits: tuple[str, ...] = Field(default=(), description="One sentence per known weakness.")


_STRIDE = 32
"""Pixels of the coarsest cell."""


class Recipe(_Frozen):
    """One training run."""

    name: str = Field(pattern=NAME_PATTERN)
    version: str = Field(default="1", pattern=VERSION_PATTERN)
    task: Literal["detect"]
    seed: int = 1
    labels: tuple[str, ...] = Field(
        default=(), description="Empty: the categories of the first source, by id."
    )
    input: InputContract
    data: Data
    network: Network
    optimiser: Optimiser
    augment: Augment = Augment()
    loss: Weights = Weights()
    bundle: Bundle

    @model_validator(mode="after")
    def _input_is_what_training_sees(self) -> "Recipe":
        """The network sees letterboxed squares, RGB from 0 to 255; it cannot be served otherwise."""
        seen = InputContract(tensor=self.input.tensor, width=self.input.width, height=self.input.width)
        if self.input != seen or self.input.width % _STRIDE:
            msg = f"input must be square, in steps of {_STRIDE}, and otherwise the default (RGB, letterbox)."
            raise ValueError(msg)
        return self

    def path(self, relative: str) -> Path:
        """A path of the recipe, from the working directory."""
        return Path(self.data.root) / relative


def load_recipe(path: Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe; ``overrides`` maps dotted keys to values: ``{"optimiser.epochs": 2}``.

    A bare name such as ``everyday`` means the recipe of that name that ships with Sightline.

    Raises:
        ConfigError: No such file, no TOML, or a key or value that a recipe does not have.
    """
    if not path.is_file() and path.suffix == "" and (RECIPES / f"{path}.toml").is_file():
        path = RECIPES / f"{path}.toml"
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        shipped = ", ".join(sorted(item.stem for item in RECIPES.glob("*.toml")))
        raise ConfigError(
            f"The recipe {path} cannot be read: {error}.",
            next_step=f"Give a TOML file, or one of: {shipped}.",
        ) from error
    for key, value in (overrides or {}).items():
        _put(table, key, value)
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"])
        raise ConfigError(f"{path.name}: {where}: {wrong['msg']}.") from error


def _put(table: dict[str, Any], key: str, value: Any) -> None:
    *folders, last = key.split(".")
    for folder in folders:
        table = table.setdefault(folder, {})
        if not isinstance(table, dict):
            raise ConfigError(
                f"The override {key!r} goes through {folder!r}, which is no table of the recipe."
            )
    table[last] = value
