"""The JSON of pipelines over HTTP as types; OpenAPI is made from them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sightline.web.schemas import Body


class _Wish(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PipelineWish(_Wish):
    """A pipeline as in `pipeline.toml`; exactly one of the two."""

    pipeline: dict[str, Any] | None = Field(default=None, description="Its fields as JSON.")
    toml: str | None = Field(default=None, description="The text of the file.")


class SecondWish(_Wish):
    """Another second stage."""

    model: str = Field(min_length=1, max_length=100, description="A classifier, `name` or `name@version`.")
    verdicts: dict[str, str] = Field(
        default={}, description="Its label -> verdict, for labels that are not called like one."
    )
    sure: dict[str, float] = Field(default={}, description="Verdict -> score from which it holds.")


class FaultBody(Body):
    """One thing that is off."""

    field: str = Field(description="As in the file, `first.labels`; empty: the pipeline as a whole.")
    message: str
    next_step: str


class CheckBody(Body):
    """What was found."""

    ok: bool
    faults: list[FaultBody]
    toml: str | None = Field(description="The text of `pipeline.toml`; null: it cannot be written down.")
    pipeline: dict[str, Any] | None = Field(description="Every field; null: the description is off.")


class VerdictBody(Body):
    """One thing that a pipeline may say."""

    name: str
    title: str


class PipelineBody(Body):
    """A pipeline: which models it chains, and what it says."""

    name: str
    version: str
    title: str
    description: str
    licence: str
    digest: str
    bundled: bool = Field(description="Ships with Sightline, and cannot be removed.")
    removable: bool = Field(description="Whether a version of it can be removed.")
    versions: list[str]
    first: str = Field(description="The model of stage one.")
    first_labels: list[str] = Field(description="What stage two is asked about.")
    second: str | None = Field(description="The classifier of stage two; null: a rule.")
    verdicts: list[VerdictBody]
    faults: list[FaultBody] = Field(description="What keeps it from working now: a model was removed.")


class PipelineDetail(PipelineBody):
    """A pipeline whole."""

    toml: str
    pipeline: dict[str, Any] = Field(description="Every field, as JSON.")
    card: str = Field(description="Markdown.")


class PipelineListBody(Body):
    """The active version of every pipeline."""

    pipelines: list[PipelineBody]
