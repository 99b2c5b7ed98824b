"""The JSON of the HTTP interface as types; the OpenAPI document is made from them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Body(BaseModel):
    """A JSON object of an answer."""

    model_config = ConfigDict(extra="forbid")


class ProblemBody(Body):
    """A refusal, RFC 9457."""

    type: str = Field(description="Address of the code's explanation.")
    title: str = Field(description="What kind of refusal this is.")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What was wrong, what was wanted, what came.")
    code: str = Field(description="Stable name of the refusal; programs may rely on it.")
    next_step: str = Field(description="What to do about it.")
    request_id: str = Field(description="The same as in the X-Request-ID header and in the log.")
    field: str | None = Field(default=None, description="Which field of the body is off, where one is.")


class Box(Body):
    """Corners in pixels of the upright picture."""

    x1: float
    y1: float
    x2: float
    y2: float


class MaskBody(Body):
    """COCO run-length encoding, compressed counts, column-major."""

    format: Literal["coco_rle"]
    size: tuple[int, int] = Field(description="Height, width.")
    counts: str


class NamedBody(Body):
    """What stage two of a pipeline says of a row: a label and its score."""

    label: str
    label_id: int = Field(ge=0)
    score: float = Field(ge=0, le=1)


class Found(Body):
    """One class, object or segment, strongest first. Only objects have a box, only segments a mask."""

    label: str
    label_id: int = Field(ge=0)
    score: float = Field(ge=0, le=1)
    box: Box | None = None
    mask: MaskBody | None = None
    polygons: list[list[float]] | None = Field(
        default=None, description="Outlines, [x, y, x, y, …] in pixels."
    )
    verdict: str | None = Field(
        default=None, description="Of pipelines, on rows that stage two was asked about."
    )
    then: list[NamedBody] | None = Field(default=None, description="What stage two said, strongest first.")


class ScoresBody(Body):
    """The scores of the row that decided about the picture; null where there is none."""

    first: float | None = Field(default=None, ge=0, le=1, description="Of stage one.")
    second: float | None = Field(default=None, ge=0, le=1, description="Of stage two, for the verdict.")


class ModelBody(Body):
    """Which model answered."""

    name: str
    version: str
    digest: str = Field(description="sha256:<64 hex> of the weights.")


class ImageBody(Body):
    """The upright picture."""

    width: int = Field(gt=0)
    height: int = Field(gt=0)


class TimingBody(Body):
    """Milliseconds."""

    decode: float
    queue: float
    preprocess: float
    infer: float
    postprocess: float
    total: float


class AlertBody(Body):
    """A rule that fired just now."""

    rule: str = Field(description="Its id.")
    name: str
    what: str
    score: float
    source: str
    time: float = Field(description="Unix seconds.")
    browser: bool = Field(description="Whether the page is to show a notification.")


class ResultBody(Body):
    """One answer about one picture."""

    id: str
    source: str = Field(description="The file's name or address, as far as it is known.")
    model: ModelBody
    task: Literal["classify", "detect", "segment", "pipeline"]
    image: ImageBody
    predictions: list[Found]
    timing_ms: TimingBody
    engine: str = Field(default="", description="Engine and precision that computed it.")
    size: int | None = Field(
        default=None, gt=0, description="Side of the square it was seen on; of models with several sizes."
    )
    decision: Literal["accepted", "uncertain", "unknown"] | None = None
    verdict: str | None = Field(default=None, description="Of pipelines: about the picture.")
    verdict_title: str | None = Field(default=None, description="The verdict in words.")
    scores: ScoresBody | None = Field(default=None, description="Both scores of the row that decided.")
    stages: list[ModelBody] | None = Field(default=None, description="Who answered; a rule is `rule:signs`.")
    stage_labels: list[str] | None = Field(default=None, description="All labels of stage two, by label id.")
    alerts: list[AlertBody] | None = Field(
        default=None, description="With `capture`: the rules that it fired."
    )


class ManyBody(Body):
    """Answers to several pictures, in their order; a picture that failed has a problem in its place."""

    results: list[ResultBody | ProblemBody]


class StoredBody(ResultBody):
    """A stored answer. Its predictions reach down to the floor; ``min_score`` is the asked threshold."""

    min_score: float
    created: str = Field(description="ISO 8601, UTC.")
    expires: str | None = Field(description="When the retention ends; null: never.")
    input_sha256: str = Field(description="Of the bytes that were sent.")


class SummaryBody(Body):
    """One line of the history."""

    id: str
    source: str
    created: str
    expires: str | None
    task: str
    model: dict[str, str] = Field(description="name, version")
    image: ImageBody
    min_score: float
    counts: dict[str, int] = Field(description="How many of each label at min_score.")


class HistoryBody(Body):
    """A stretch of the history, newest first."""

    results: list[SummaryBody]
    next: str | None = Field(
        description="Give it back as `before` for the next stretch; null: this was the last."
    )
    total: int = Field(description="How many match altogether.")


class VariantBody(Body):
    """Another file of a model, faster on some machines."""

    precision: Literal["int8"]
    file: str
    sha256: str
    bytes: int
    loses: float | None = Field(
        description="Points (hundredths) below the float file, judged on labelled pictures; null: not judged."
    )
    metrics: dict[str, object]
    engines: list[Literal["onnxruntime", "openvino"]] = Field(description="That compute it rightly.")
    calibration: str
    judged_on: str


class ModelSummary(Body):
    """A model in the list."""

    name: str
    version: str
    title: str
    description: str
    task: Literal["classify", "detect", "segment", "pipeline"]
    labels: int = Field(description="How many.")
    sizes: list[int] = Field(description="What `size` may be, ascending; empty: the model has one size.")
    default_size: int | None = Field(description="The one unless asked; null where there is but one.")
    licence: str
    origin: str
    bytes: int = Field(description="Size of all its weights, variants too.")
    variants: list[VariantBody] = Field(
        description="Other files of the same network, as int8. Which one runs is in `engine.precision`."
    )
    digest: str
    bundled: bool
    default: bool = Field(description="Answers when a request names no model.")
    loaded: bool
    precision: str | None = Field(description="What it computes with now; null while it is not loaded.")
    metrics: dict[str, object]
    min_score: float = Field(description="The model's own threshold.")


class TrialBody(Body):
    """What one way to run the model achieved here."""

    plan: dict[str, object]
    images_per_s: float
    latency_ms: float
    difference: float
    fault: str


class EngineBody(Body):
    """How the model runs on this machine."""

    engine: str
    version: str
    precision: str
    threads: int
    reason: str
    lanes: int
    trial: list[TrialBody] = Field(description="What was measured before this engine was chosen.")


class SpeedBody(Body):
    """Measured on this server since it started, at the size that is used unless asked."""

    pictures: int
    infer_ms: float = Field(description="Mean time of the engine per picture.")
    total_ms: float = Field(description="Mean time per picture.")


class ModelDetail(ModelSummary):
    """A model, whole."""

    versions: list[str]
    label_names: list[str]
    created: str
    initialisation: str
    card: str = Field(description="Markdown.")
    input: dict[str, object]
    head: str
    engine: EngineBody | None = Field(description="Null while the model is not loaded.")
    speed: SpeedBody | None


class ModelList(Body):
    """Every model that can be asked."""

    models: list[ModelSummary]


class Sample(Body):
    """A picture that ships with Sightline."""

    name: str
    url: str
    title: str
    alt: str
    width: int
    height: int
    licence: str
    licence_url: str
    author: str
    page: str
    changes: str = Field(description="What was done to the picture, as licences ask to say.")


class SampleList(Body):
    """The bundled pictures."""

    samples: list[Sample]


class PaletteBody(Body):
    """Colour of a label is ``colors[label_id % len(colors)]``."""

    colors: list[str] = Field(description="#rrggbb")
    halo: str


class HealthBody(Body):
    """How the server is."""

    status: str


class UrlWish(Body):
    """Fetch the picture from an address."""

    url: str = Field(min_length=1, max_length=2048)


class ImageWish(Body):
    """The picture itself."""

    image: str = Field(min_length=4, description="Base64, or a data: URL of an image.")
