"""The JSON of jobs over HTTP as types; OpenAPI is made from them, and requests are read with them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sightline.manifest import SIDE_MAX
from sightline.types import RESULTS_MAX
from sightline.web.schemas import Body

State = Literal["queued", "running", "done", "failed", "cancelled", "dead"]


class ProgressBody(Body):
    """How far a job is."""

    done: int = Field(ge=0)
    total: int = Field(ge=0, description="0: not known yet.")


class ErrorBody(Body):
    """Why a job or a picture failed."""

    code: str
    message: str
    next_step: str


class JobBody(Body):
    """A job as it is now. Times are Unix seconds."""

    id: str
    kind: str
    name: str | None = Field(
        description="What it is about: a file, folder, zip, address or recipe; the first two of several."
    )
    state: State = Field(description="`failed`: the work said no. `dead`: every attempt broke; see `error`.")
    priority: int
    progress: ProgressBody
    failed: int = Field(ge=0, description="Pictures that failed.")
    attempt: int = Field(ge=0, description="Attempts that have begun.")
    created: float
    started: float | None
    finished: float | None
    expires: float | None = Field(description="When the job and its results will be forgotten.")
    rate: float | None = Field(description="Pictures (or steps) a second since it started.")
    left_s: float | None = Field(description="Seconds left at that rate, while it runs.")
    model: str | None
    error: ErrorBody | None
    result: dict[str, Any] | None = Field(
        description="What the kind answered at the end; pictures are items."
    )


class JobListBody(Body):
    """A stretch of the jobs, newest first."""

    jobs: list[JobBody]
    next: str | None = Field(description="Give it back as `before`; null: this was the last.")
    total: int = Field(description="How many match altogether.")


class BestBody(Body):
    """The strongest prediction."""

    label: str
    score: float


class ItemBody(Body):
    """What became of one picture of a job."""

    index: int = Field(ge=0, description="Place in the job, from 0.")
    source: str = Field(description="The file's name or address.")
    state: Literal["done", "failed"]
    task: str | None = Field(description="Of the model; null for pictures that failed.")
    verdict: str | None = Field(description="Of pipelines: about the picture.")
    counts: dict[str, int] = Field(description="How many of each label.")
    best: BestBody | None
    error: ErrorBody | None
    thumbnail: str | None = Field(description="Address of a small picture; null: none is kept.")
    image: str | None = Field(description="Address of the picture; null: it is not kept.")
    result: dict[str, Any] | None = Field(
        default=None, description="The whole result, as `predict` answers it; not with `brief`."
    )


class ItemListBody(Body):
    """A stretch of a job's pictures by index."""

    results: list[ItemBody]
    next: int | None = Field(description="Give it back as `after`; null: this was the last so far.")
    total: int = Field(description="How many there are so far.")


class UploadBody(Body):
    """A file that lies ready for a job."""

    id: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256.")
    name: str
    bytes: int


class UploadListBody(Body):
    """Files that lie ready, for an hour at least."""

    uploads: list[UploadBody]
    archive: UploadBody | None
    bundle: UploadBody | None = Field(default=None, description="A model.")


class Wish(BaseModel):
    """A JSON object of a request; what it does not know is an error and not silence."""

    model_config = ConfigDict(extra="forbid", strict=True)


class UploadWish(Wish):
    """A file that `POST /api/v1/uploads` took."""

    id: str = Field(pattern="^[0-9a-f]{64}$")
    name: str = Field(default="", max_length=1000)


Address = Annotated[str, Field(min_length=9, max_length=2048, pattern="^https?://[^\\s/]+")]


class InputsWish(Wish):
    """Where the pictures are; exactly one of these."""

    uploads: list[UploadWish] | None = Field(default=None, min_length=1)
    archive: UploadWish | None = None
    urls: list[Address] | None = Field(default=None, min_length=1)
    prefix: str | None = Field(
        default=None,
        max_length=1024,
        pattern="^(s3|gs|abfs)://.+$",
        description="Pictures of an object store, under one of the server's `job_prefixes`.",
    )


class OptionsWish(Wish):
    """As the options of `predict`."""

    model: str | None = Field(default=None, max_length=200)
    min_score: float | None = Field(default=None, ge=0, le=1)
    max_results: int | None = Field(default=None, ge=1, le=RESULTS_MAX)
    labels: list[str] | None = Field(default=None, min_length=1, max_length=1000)
    size: int | None = Field(default=None, ge=1, le=SIDE_MAX)


Priority = Annotated[int, Field(ge=-100, le=100, description="Higher goes first.")]


class SetWish(Wish):
    """A labelled data set."""

    archive: UploadWish = Field(description="A zip: one COCO `.json` with its pictures, or a folder a class.")


class EvaluateOptions(Wish):
    """What decides the figures."""

    model: str = Field(min_length=1, max_length=200, description="`name` or `name@version`.")
    min_score: float = Field(default=0.01, ge=0, le=1, description="Weaker answers do not count.")
    rounds: int = Field(default=200, ge=0, le=10_000, description="Bootstrap rounds for the intervals.")
    first: int = Field(default=0, ge=0, description="Only so many pictures, evenly over the set; 0: all.")
    size: int | None = Field(default=None, ge=1, le=SIDE_MAX)


class EvaluateWish(Wish):
    """Judge a model on a labelled data set."""

    kind: Literal["evaluate"]
    inputs: SetWish
    options: EvaluateOptions
    priority: Priority = 0


class BundleWish(Wish):
    """A model, as a file."""

    bundle: UploadWish = Field(description="An ONNX file, the zip of a bundle, or a pipeline's `.toml`.")


_Word = Annotated[str, Field(min_length=1, max_length=200)]
_Three = Annotated[list[float], Field(min_length=3, max_length=3)]


class ImportOptions(Wish):
    """What is not said is proposed from the file; names follow `model.json`."""

    name: str | None = Field(default=None, pattern="^[a-z0-9][a-z0-9._-]{0,63}$")
    version: str | None = Field(default=None, pattern="^[a-z0-9][a-z0-9._-]{0,31}$")
    title: _Word | None = None
    description: str | None = Field(default=None, max_length=500)
    task: Literal["classify", "detect", "segment"] | None = None
    labels: list[_Word] | None = Field(default=None, min_length=1, max_length=100_000)
    licence: _Word | None = None
    origin: _Word | None = None
    head: _Word | None = None
    width: int | None = Field(default=None, ge=1, le=SIDE_MAX)
    height: int | None = Field(default=None, ge=1, le=SIDE_MAX)
    sizes: list[Annotated[int, Field(ge=1, le=SIDE_MAX)]] | None = Field(default=None, max_length=8)
    layout: Literal["NCHW", "NHWC", "CHW"] | None = None
    color: Literal["RGB", "BGR"] | None = None
    resize: Literal["letterbox", "stretch", "crop", "short_side"] | None = None
    scale: float | None = None
    mean: _Three | None = None
    std: _Three | None = None
    min_score: float | None = Field(default=None, ge=0, le=1)
    sha256: str | None = Field(default=None, pattern="^(sha256:)?[0-9A-Fa-f]{64}$")


class ImportWish(Wish):
    """Take a model in."""

    kind: Literal["import"]
    inputs: BundleWish
    options: ImportOptions = Field(default_factory=ImportOptions)
    priority: Priority = 0


class TrainOptions(Wish):
    """A recipe that ships, and what is changed of it."""

    recipe: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,63}$", description="The name of a recipe that ships.")
    changes: dict[str, int | float | str] = Field(
        default={}, max_length=20, description="Key of the recipe -> value; only keys that name no place."
    )
    add: bool = Field(default=True, description="Import the finished model.")


class TrainWish(Wish):
    """Train by a recipe, on the data that lies where the worker runs."""

    kind: Literal["train"]
    options: TrainOptions
    priority: Priority = 0


class JobWish(Wish):
    """Pictures to look at."""

    kind: Literal["predict"] = "predict"
    inputs: InputsWish
    options: OptionsWish = Field(default_factory=OptionsWish)
    priority: int = Field(default=0, ge=-100, le=100, description="Higher goes first.")
