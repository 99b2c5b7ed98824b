"""``model.json``: the contract that travels with a model (format 1).

A bundle is a folder with ``model.onnx``, ``model.json`` and, by custom, ``CARD.md``. A pipeline has no
``model.onnx`` of its own: its manifest names the models that it chains.
Everything that turns a picture into numbers and numbers into an answer is here, so the same
bundle gives the same answer on the command line, over HTTP and in evaluation.
"""

from itertools import pairwise
from typing import Any, Literal, TypeAlias

from pydantic import Field, model_validator

from sightline.errors import BadOption
from sightline.manifest.frozen import FrozenModel
from sightline.manifest.pipeline import Pipeline
from sightline.types import RESULTS_MAX

Task: TypeAlias = Literal["classify", "detect", "segment", "pipeline"]
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
VERSION_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,31}$"
SIDE_MAX = 4096
LOSS_MAX = 0.5
"""Points of the main figure that a variant may lose and still be chosen without being asked for."""


class InputContract(FrozenModel):
    """How a picture becomes the input tensor.

    ``x = (pixel * scale - mean) / std`` per channel in the order of ``color``, pixel in 0..255.
    """

    tensor: str = Field(default="", description="Name of the graph input; empty: the first one.")
    layout: Literal["NCHW", "NHWC", "CHW"] = "NCHW"
    dtype: Literal["float32", "uint8"] = "float32"
    color: Literal["RGB", "BGR"] = "RGB"
    width: int = Field(gt=0, le=SIDE_MAX, description="Canvas width; for `short_side` the largest one.")
    height: int = Field(gt=0, le=SIDE_MAX)
    sizes: tuple[int, ...] = Field(
        default=(),
        max_length=8,
        description="Sides of the square canvases that a request may choose from, ascending, with `width` "
        "(= `height`) among them; empty: only `width` x `height`.",
    )
    half_looks: tuple[int, ...] = Field(
        default=(),
        max_length=8,
        description="Those of `sizes` at which the picture is looked at once more at half the side, and what "
        "both looks find competes: large things are found better so, small ones are left to the first look. "
        "Detectors only.",
    )
    resize: Literal["letterbox", "stretch", "crop", "short_side"] = Field(
        default="letterbox",
        description="letterbox keeps the aspect and pads; stretch does not keep it; crop fills the canvas "
        "and cuts the overhang at the centre; short_side keeps the aspect, makes the short side "
        "`short_side` and never exceeds the canvas, and pads right and bottom to `multiple_of`.",
    )
    anchor: Literal["top_left", "center"] = Field(
        default="top_left", description="Where a letterboxed picture lies."
    )
    pad_value: int = Field(default=114, ge=0, le=255)
    short_side: int = Field(default=800, gt=0, le=4096)
    multiple_of: int = Field(default=1, gt=0, le=256)
    crop_fraction: float = Field(
        default=1.0, gt=0, le=1, description="crop: visible share of the resized picture."
    )
    scale: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _std_is_not_zero(self) -> "InputContract":
        if any(value == 0 for value in self.std):
            msg = "input.std must not hold a zero: pixels are divided by it."
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _sizes_hold_the_usual_one(self) -> "InputContract":
        """Checks ``sizes`` where there are any; manifests without them are as they always were."""
        sizes = self.sizes
        if not sizes:
            return self
        if self.resize == "short_side":
            msg = "input.sizes is for square canvases: letterbox, stretch or crop, not short_side."
            raise ValueError(msg)
        if sizes[0] < 1 or sizes[-1] > SIDE_MAX or any(before >= after for before, after in pairwise(sizes)):
            msg = f"input.sizes must ascend within 1 to {SIDE_MAX}, each once, got {list(sizes)}."
            raise ValueError(msg)
        if self.width != self.height or self.width not in sizes:
            msg = f"input.sizes must hold width = height, got {list(sizes)} and {self.width} x {self.height}."
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _half_looks_are_sizes(self) -> "InputContract":
        wrong = [side for side in self.half_looks if side % 2 or not {side, side // 2} <= {*self.sizes}]
        if wrong:
            msg = f"input.half_looks: {wrong[0]} and its half must both be in input.sizes {list(self.sizes)}."
            raise ValueError(msg)
        return self

    @property
    def half(self) -> "InputContract | None":
        """The contract of the second look at this size, if there is one."""
        if self.width not in self.half_looks:
            return None
        return self.model_copy(update={"width": self.width // 2, "height": self.height // 2})

    @property
    def size(self) -> int | None:
        """Side of the square canvas, of models that may be asked for several; ``None`` of all others."""
        return self.width if self.sizes else None


class Head(FrozenModel):
    """Which reader turns the raw outputs into a prediction, and its options (documented per head)."""

    kind: str
    options: dict[str, Any] = Field(default_factory=dict)


class Thresholds(FrozenModel):
    """Defaults that a request may override."""

    min_score: float = Field(default=0.35, ge=0, le=1)
    max_results: int = Field(default=100, gt=0, le=RESULTS_MAX)
    iou: float = Field(
        default=0.65, gt=0, le=1, description="Boxes of one label that overlap more are one object."
    )


class Variant(FrozenModel):
    """Another file of the same network in the bundle, faster on some machines, and what it costs."""

    precision: Literal["int8"] = "int8"
    file: Literal["model.int8.onnx"] = "model.int8.onnx"
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the file, lower-case hex.")
    bytes: int = Field(gt=0, description="Size of the file.")
    loses: float | None = Field(
        default=None,
        description="Points (hundredths) that the worst main figure lies below that of model.onnx, judged in "
        "one run; negative: above. None: not judged.",
    )
    metrics: dict[str, Any] = Field(
        default_factory=dict,
        description="Figures of this file with ONNX Runtime, under `float` those of model.onnx, and under "
        "`openvino` those of this file there, if it was judged there.",
    )
    engines: tuple[Literal["onnxruntime", "openvino"], ...] = Field(
        default=("onnxruntime",),
        description="Engines that may run this file: they compute it alike and lose as little.",
    )
    calibration: str = Field(default="", description="How it was made, in words.")
    judged_on: str = Field(default="", description="Data set and number of pictures behind `loses`.")

    @property
    def trusted(self) -> bool:
        """Whether it may be taken without being asked for: judged, and close enough."""
        return self.loses is not None and self.loses <= LOSS_MAX


class Manifest(FrozenModel):
    """``model.json``."""

    format: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN)
    version: str = Field(default="1", pattern=VERSION_PATTERN)
    title: str = ""
    description: str = ""
    task: Task
    labels: tuple[str, ...] = Field(min_length=1, max_length=100_000)
    input: InputContract
    head: Head
    thresholds: Thresholds = Thresholds()
    sha256: str = Field(
        default="", pattern=r"^([0-9a-f]{64})?$", description="Of model.onnx, lower-case hex."
    )
    bytes: int = Field(default=0, ge=0, description="Size of model.onnx.")
    variants: tuple[Variant, ...] = Field(
        default=(), max_length=1, description="Other files of the same network in the bundle."
    )
    pipeline: Pipeline | None = Field(default=None, description="The stages; only of the task `pipeline`.")
    licence: str = Field(default="unknown", description="SPDX id, or 'unknown'.")
    origin: str = ""
    initialisation: str = ""
    metrics: dict[str, Any] = Field(default_factory=dict)
    created: str = ""

    @model_validator(mode="before")
    @classmethod
    def _pipelines_have_no_network(cls, given: Any) -> Any:
        """Labels of a pipeline are its verdicts; how a picture is fitted is said by the models it names."""
        if not isinstance(given, dict) or given.get("task") != "pipeline":
            return given
        stages = given.get("pipeline")
        names = Pipeline.model_validate(stages).names if stages is not None else ("none",)
        own = {"labels": names, "input": {"width": 1, "height": 1}, "head": {"kind": "pipeline"}}
        return {**given, **own}

    @model_validator(mode="after")
    def _stages_belong_to_pipelines(self) -> "Manifest":
        if (self.task == "pipeline") != (self.pipeline is not None):
            msg = "The task `pipeline` and the field `pipeline` belong together."
            raise ValueError(msg)
        if self.pipeline is not None and (self.sha256 or self.bytes or self.variants):
            msg = "A pipeline has no weights of its own: no sha256, bytes or variants."
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _only_objects_compete(self) -> "Manifest":
        if self.input.half_looks and self.task not in {"detect", "segment"}:
            msg = f"input.half_looks is for the tasks detect and segment, not {self.task}."
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _labels_are_unique_enough(self) -> "Manifest":
        if any(not label.strip() for label in self.labels):
            msg = "labels must not be empty strings."
            raise ValueError(msg)
        return self

    def at(self, size: int | None) -> "Manifest":
        """The same model with a canvas of ``size`` x ``size``; ``None`` is the usual one.

        Raises:
            BadOption: The model does not offer this size; the message lists those that it offers.
        """
        contract = self.input
        if self.pipeline is not None:
            return self  # its first stage says which sizes there are
        if size is None or (size == contract.width == contract.height and contract.resize != "short_side"):
            return self
        if size in contract.sizes:
            return self.model_copy(
                update={"input": contract.model_copy(update={"width": size, "height": size})}
            )
        if not contract.sizes:
            raise BadOption(
                f"The model {self.name} runs at one size only, {contract.width} x {contract.height}, "
                f"not at {size}.",
                next_step="Leave the size out.",
            )
        offered = ", ".join(map(str, contract.sizes))
        raise BadOption(
            f"The model {self.name} does not run at the size {size}. Its sizes are: {offered}.",
            next_step=f"Ask for one of them; without a size it is {contract.width}.",
        )

    def variant(self, precision: str) -> Variant | None:
        """The variant of that precision, if the bundle has one."""
        return next((item for item in self.variants if item.precision == precision), None)

    @property
    def digest(self) -> str:
        """``sha256:<hex>``, the identity of the weights; of a pipeline, that of its stages' description."""
        return f"sha256:{self.pipeline.sha256 if self.pipeline else self.sha256}"
