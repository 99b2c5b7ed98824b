"""What every recipe has, whatever its task: a name, an input, an optimiser, words for its bundle."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sightline.manifest import NAME_PATTERN, VERSION_PATTERN, InputContract, Thresholds


class Frozen(BaseModel):
    """A table of a recipe: it knows its keys, and does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Data(Frozen):
    """Where pictures come from; each task has its own kinds of sources."""

    root: str = "../shared"


class Optimiser(Frozen):
    """How weights move."""

    kind: Literal["adamw", "muon"] = Field(
        default="adamw", description="muon: orthogonal steps for kernels, plain ones for all else."
    )
    epochs: int = Field(gt=0)
    stop: int = Field(
        default=0, ge=0, description="End after so many epochs of the schedule; 0: after all of them."
    )
    batch: int = Field(default=16, gt=0)
    rate: float = Field(gt=0, description="Peak learning rate.")
    plain_rate: float = Field(default=0.0, ge=0, description="muon: of what is no kernel; 0: the same rate.")
    matrix_rate: float = Field(default=0.0, ge=0, description="muon: of matrices; 0: the plain rate.")
    momentum: float = Field(default=0.6, ge=0, lt=1, description="muon: of kernels.")
    plain_momentum: float = Field(default=0.85, ge=0, lt=1, description="muon: of what is no kernel.")
    fresh_epochs: int = Field(
        default=0, ge=0, description="First epochs in which only the parts that the start lacks learn."
    )
    fresh: float = Field(default=1.0, gt=0, description="Factor of the rate for parts that the start lacks.")
    relative: bool = Field(default=False, description="The rate is a share of each tensor's size.")
    last_rate: float = Field(
        default=0.05, ge=0, le=1, description="Share of the rate that is left at the end."
    )
    warmup_epochs: float = Field(default=1.0, ge=0)
    cycles: tuple[int, ...] = Field(
        default=(), description="Epochs of each rise and fall of the rate; empty: one over all epochs."
    )
    again: float = Field(default=1.0, gt=0, le=1, description="Peak of a cycle as a share of the one before.")
    weight_decay: float = Field(default=0.01, ge=0)
    clip: float = Field(default=10.0, gt=0, description="Longest gradient.")
    average: float = Field(default=0.999, ge=0, lt=1, description="Share of the old average kept per step.")
    threads: int = Field(default=2, gt=0, description="Of each process.")
    processes: int = Field(
        default=1,
        gt=0,
        le=64,
        description="That learn together, each a part of every batch, with one thread each. Detectors only, "
        "without batch norm but in their masks.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Of what is multiplied in training; bfloat16 only where the processor can do it itself.",
    )

    @model_validator(mode="after")
    def _batches_can_be_shared(self) -> "Optimiser":
        if self.processes > 1 and (self.threads > 1 or self.batch % self.processes):
            msg = f"processes = {self.processes} wants threads = 1 and a batch that it divides."
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _cycles_are_all_epochs(self) -> "Optimiser":
        if self.cycles and (sum(self.cycles) != self.epochs or min(self.cycles) < 1):
            msg = f"cycles must be epochs that add up to epochs = {self.epochs}, got {list(self.cycles)}."
            raise ValueError(msg)
        return self


class Bundle(Frozen):
    """What becomes of a run, and what manifest and card say; the rest is measured."""

    title: str
    description: str = ""
    licence: str = "Apache-2.0"
    origin: str = ""
    initialisation: str = "random"
    thresholds: Thresholds = Thresholds()
    blend: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of what was learned; the rest is the start, where it has the part.",
    )
    members: int = Field(
        default=1,
        gt=0,
        le=9,
        description="So many networks answer together, of seeds from the recipe's on. Classifiers only.",
    )
    bits: Literal[8, 16] = Field(
        default=16, description="Of each weight of a kernel in the file; 8: classifiers only."
    )
    data: tuple[str, ...] = Field(default=(), description="One sentence per data set, with its licence.")
    notes: tuple[str, ...] = Field(
        default=(), description="One sentence per thing that the measurements do not say by themselves."
    )
    limits: tuple[str, ...] = Field(default=(), description="One sentence per known weakness.")


class Recipe(Frozen):
    """One training run. A task narrows ``data``, ``network``, ``augment`` and ``loss`` to its own."""

    name: str = Field(pattern=NAME_PATTERN)
    version: str = Field(default="1", pattern=VERSION_PATTERN)
    task: Literal["detect", "classify", "features"]
    seed: int = Field(default=1, ge=0)
    labels: tuple[str, ...] = Field(default=(), description="Empty: as the first source names them.")
    input: InputContract
    data: Data
    network: Frozen
    optimiser: Optimiser
    augment: Frozen
    loss: Frozen
    bundle: Bundle

    @model_validator(mode="after")
    def _only_detectors_are_shared(self) -> "Recipe":
        if self.optimiser.processes > 1 and (
            self.task != "detect" or getattr(self.network, "norm", "") == "all"
        ):
            msg = "optimiser.processes is for detectors with network.norm = none or masks"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _only_classes_are_averaged(self) -> "Recipe":
        for key, usual in (("members", 1), ("bits", 16)):
            if self.task != "classify" and getattr(self.bundle, key) != usual:
                msg = f"bundle.{key} is for classifiers"
                raise ValueError(msg)
        return self

    def path(self, relative: str) -> Path:
        """A path of the recipe, from the working directory."""
        return Path(self.data.root) / relative
