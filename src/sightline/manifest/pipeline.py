"""The part of ``model.json`` that says how a pipeline chains models.

stage one looks at the whole picture -> each row of certain labels goes on -> stage two (a classifier on the
crop, or a rule over what stands around) -> a verdict per row -> one for the picture.
"""

import hashlib
from typing import Literal

from pydantic import Field, model_validator

from sightline.manifest.frozen import FrozenModel

REFERENCE_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}(@[a-z0-9][a-z0-9._-]{0,31})?$"
VERDICT_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"


class FirstStage(FrozenModel):
    """Stage one of a pipeline: a model that looks at the whole picture."""

    model: str = Field(pattern=REFERENCE_PATTERN, description="`name`, or `name@version` to pin it.")
    labels: tuple[str, ...] = Field(
        min_length=1, max_length=100, description="What stage two is asked about."
    )
    min_score: float = Field(default=0.4, gt=0, le=1, description="From this score on it is there.")
    unsure_from: float | None = Field(
        default=None,
        ge=0.05,
        le=1,
        description="Where the strongest lies between this and `min_score`, the picture is `unsure`.",
    )
    most: int = Field(default=16, gt=0, le=64, description="At most so many go on, the strongest.")
    size: int | None = Field(default=None, gt=0, description="One of the model's `input.sizes`.")


class Crop(FrozenModel):
    """What stage two sees of the picture, when it is a classifier."""

    of: Literal["box", "frame"] = Field(
        default="box", description="Each box by itself, or the whole picture."
    )
    margin: float = Field(default=0.1, ge=0, le=2, description="Added on each side, in sizes of the box.")


class Sign(FrozenModel):
    """A kind of thing near a box that speaks for (or against) what a rule looks for."""

    labels: tuple[str, ...] = Field(min_length=1, max_length=100)
    zone: tuple[float, float, float, float] = Field(
        description="x1, y1, x2, y2 around the box, in its width and height: 0, 0, 1, 1 is the box itself."
    )
    weight: float = Field(ge=-100, le=100)
    min_score: float = Field(default=0.05, ge=0.01, le=1, description="Weaker things do not count.")
    least: float = Field(
        default=0.0, ge=0, le=10, description="Least area of the thing, in areas of the box."
    )

    @model_validator(mode="after")
    def _zone_has_a_size(self) -> "Sign":
        x1, y1, x2, y2 = self.zone
        if not (-10 <= x1 < x2 <= 10 and -10 <= y1 < y2 <= 10):
            msg = f"zone must be x1, y1, x2, y2 with x1 < x2 and y1 < y2 within -10 to 10, got {self.zone}."
            raise ValueError(msg)
        return self


class SignRule(FrozenModel):
    """Stage two without a network: ``score = 1 / (1 + exp(-(bias + sum of weight * strength)))``.

    The strength of a sign is the largest product of a thing's score and the share of it inside the zone.
    """

    says: str = Field(min_length=1, max_length=64, description="The label that the score is for.")
    otherwise: str = Field(min_length=1, max_length=64, description="The label that gets the rest.")
    bias: float = Field(ge=-100, le=100)
    signs: tuple[Sign, ...] = Field(min_length=1, max_length=20)


class SecondStage(FrozenModel):
    """Stage two: a classifier by name, or a rule."""

    model: str = Field(default="", pattern=rf"{REFERENCE_PATTERN}|^$")
    rule: SignRule | None = None
    verdicts: dict[str, str] = Field(min_length=1, description="Label of stage two -> verdict.")
    sure: dict[str, float] = Field(default_factory=dict, description="Verdict -> score from which it holds.")

    @model_validator(mode="after")
    def _one_of_two(self) -> "SecondStage":
        if bool(self.model) == (self.rule is not None):
            msg = "second needs either `model` or `rule`, and not both."
            raise ValueError(msg)
        if any(not 0 <= score <= 1 for score in self.sure.values()):
            msg = "second.sure holds scores between 0 and 1."
            raise ValueError(msg)
        if not set(self.sure) <= set(self.verdicts.values()):
            msg = f"second.sure names verdicts: {', '.join(sorted(set(self.verdicts.values())))}."
            raise ValueError(msg)
        return self


class Verdicts(FrozenModel):
    """How the rows' verdicts become the picture's, and what the verdicts are called."""

    none: str = Field(default="none", pattern=VERDICT_PATTERN, description="Stage one found nothing.")
    unsure: str = Field(default="unknown", pattern=VERDICT_PATTERN, description="No verdict is sure enough.")
    order: tuple[str, ...] = Field(
        min_length=1,
        max_length=100,
        description="Of several rows' verdicts, the first of these is the picture's.",
    )
    titles: dict[str, str] = Field(default_factory=dict, description="Verdict -> words for people.")
    folders: dict[str, str] = Field(
        default_factory=dict, description="Verdict -> its name in labelled data, where that is another."
    )


class Pipeline(FrozenModel):
    """Models in a chain: what stage one finds goes to stage two, whose answers become a verdict."""

    first: FirstStage
    crop: Crop = Crop()
    second: SecondStage
    verdicts: Verdicts

    @property
    def sha256(self) -> str:
        """Of the description: two pipelines with the same stages and numbers are one."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        """All verdicts: none first, then those of stage two in their order, unsure last."""
        told = self.verdicts
        return tuple(
            dict.fromkeys((told.none, *(name for name in told.order if name != told.unsure), told.unsure))
        )

    @model_validator(mode="after")
    def _verdicts_agree(self) -> "Pipeline":
        given, order = set(self.second.verdicts.values()), self.verdicts.order
        if self.verdicts.none in order or self.verdicts.none in given or self.verdicts.unsure in given:
            msg = (
                "verdicts.none and verdicts.unsure are not for labels of stage two; none is not in the order."
            )
            raise ValueError(msg)
        if len(set(order)) != len(order) or given != set(order) - {self.verdicts.unsure}:
            wanted = ", ".join(sorted(given))
            msg = f"verdicts.order must hold each verdict of stage two once ({wanted}), got {order}."
            raise ValueError(msg)
        unknown = (set(self.verdicts.titles) | set(self.verdicts.folders)) - set(self.names)
        if unknown:
            msg = f"There is no verdict {min(unknown)!r}; there are {', '.join(self.names)}."
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _rule_agrees(self) -> "Pipeline":
        rule = self.second.rule
        if rule is not None and set(self.second.verdicts) != {rule.says, rule.otherwise}:
            msg = f"second.verdicts must name both labels of the rule, {rule.says!r} and {rule.otherwise!r}."
            raise ValueError(msg)
        least = self.first.unsure_from
        if least is not None and least > self.first.min_score:
            msg = "first.unsure_from must not be above first.min_score."
            raise ValueError(msg)
        return self
