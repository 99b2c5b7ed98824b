"""Pipelines: what stage one finds goes to stage two, and their answers become a verdict.

The road stays one road: it runs the networks of both stages like any other, on one decoded picture.
Here are the order and the arithmetic of the verdict, on plain values.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.errors import BadOption
from sightline.manifest import Manifest
from sightline.manifest.pipeline import Pipeline
from sightline.registry import Bundle
from sightline.serving.keeping import FLOOR
from sightline.types import Ask, Classification, Detections, Fit, Float32, Frame, ModelRef, Segments, Staged
from sightline.vision import heads, signs
from sightline.vision.heads.reading import Outputs

KEEP_SIDE = 2048
"""Longest side of the decoded picture that crops are cut from; larger ones are scaled down."""
_ROWS_MAX = 1000
_EVERYTHING = Ask(min_score=0.0, max_results=_ROWS_MAX)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What stage two says: one answer per row that went on."""

    rows: list[int]
    said: Sequence[Classification]
    labels: tuple[str, ...]
    """All labels of stage two, by label id."""
    model: ModelRef
    """Who said it; a rule is called ``rule:signs`` and bears the pipeline's version and digest."""


def stages_of(manifest: Manifest) -> Pipeline:
    """The stages of a manifest that is known to be a pipeline's."""
    assert manifest.pipeline is not None
    return manifest.pipeline


def boxes_or_classes(
    manifest: Manifest, looks: Sequence[tuple[Outputs, Fit]], ask: Ask
) -> Classification | Detections:
    """Stage one's outputs, read without masks where its model has them: a verdict needs none."""
    plain = manifest if manifest.task == "classify" else manifest.model_copy(update={"task": "detect"})
    found = heads.read_looks(plain, looks, ask)
    return found.detections if isinstance(found, Segments) else found


def classes(manifest: Manifest, outputs: Outputs, fit: Fit) -> Classification:
    """Stage two's outputs about one crop.

    Raises:
        BadOption: The model is no classifier (it was one when the pipeline was taken in).
    """
    said = heads.read(manifest, outputs, fit, _EVERYTHING)
    if not isinstance(said, Classification):
        raise BadOption(
            f"Stage two must be a classifier, but {manifest.name} is for the task {manifest.task!r}.",
            next_step="Name another with `sightline pipelines set`, or pin a version: name@version.",
        )
    return said


def first_ask(pipeline: Pipeline, wanted: Ask, min_score: float) -> Ask:
    """What stage one is asked for: all that stage two and the verdict need, whatever the caller wants to see.

    Down to what is stored at least, so that a verdict says the same whether the picture is kept or not.
    """
    stage, rule = pipeline.first, pipeline.second.rule
    least = [min_score, FLOOR, stage.min_score, stage.unsure_from or 1.0]
    least += [sign.min_score for sign in rule.signs] if rule else []
    return Ask(min_score=min(least), max_results=_ROWS_MAX, size=wanted.size or stage.size)


def going_on(pipeline: Pipeline, first: Classification | Detections, labels: tuple[str, ...]) -> list[int]:
    """The rows of stage one that stage two is asked about, strongest first."""
    stage = pipeline.first
    fits = np.isin(first.label, _ids(stage.labels, labels)) & (first.score >= stage.min_score)
    return [int(row) for row in np.flatnonzero(fits)[: stage.most]]


def crops(
    pipeline: Pipeline, frame: Frame | None, first: Classification | Detections, rows: list[int]
) -> list[Frame]:
    """What stage two sees: a crop per row, or the whole picture once."""
    assert frame is not None  # it was asked for
    if isinstance(first, Classification) or pipeline.crop.of == "frame":
        return [frame]
    return [cut(frame, first.xyxy[row], pipeline.crop.margin) for row in rows]


def cut(frame: Frame, xyxy: Float32, margin: float) -> Frame:
    """The part of a picture inside a box, with a margin in sizes of the box; at least a pixel."""
    height, width = frame.pixels.shape[:2]
    seen = np.array(frame.seen or (0, 0, width, height), np.float64)
    corner, room = seen[:2], seen[2:] - seen[:2]
    scale, size = room / (frame.width, frame.height), xyxy[2:] - xyxy[:2]
    low = np.add(corner, np.clip((xyxy[:2] - margin * size) * scale, 0, room))
    high = np.add(corner, np.clip((xyxy[2:] + margin * size) * scale, 0, room))
    x1, y1 = min(int(low[0]), width - 1), min(int(low[1]), height - 1)
    x2, y2 = max(x1 + 1, int(np.ceil(high[0]))), max(y1 + 1, int(np.ceil(high[1])))
    pixels = np.ascontiguousarray(frame.pixels[y1:y2, x1:x2])
    return Frame(pixels, pixels.shape[1], pixels.shape[0])


def by_rule(
    bundle: Bundle, first: Classification | Detections, labels: tuple[str, ...], rows: list[int]
) -> Answers:
    """Stage two as a rule over the boxes of stage one."""
    rule = stages_of(bundle.manifest).second.rule
    assert rule is not None  # the manifest has one of the two
    if isinstance(first, Classification):
        raise BadOption(
            f"The rule of {bundle.reference} needs boxes, but its first stage is a classifier now.",
            next_step="Pin the version of the first stage: name@version.",
        )
    said = signs.judge(first, rows, labels, rule)
    ref = ModelRef("rule:signs", bundle.version, bundle.digest)
    return Answers(rows, said, (rule.says, rule.otherwise), ref)


def conclude(
    manifest: Manifest,
    first: Classification | Detections,
    labels: tuple[str, ...],
    answers: Answers,
    model: ModelRef,
    ask: Ask,
) -> Staged:
    """Answers of both stages -> the verdict of each row and of the picture, and the rows that are wanted.

    ``labels`` and ``model`` are those of stage one.

    Raises:
        BadOption: The ask is off.
    """
    pipeline = stages_of(manifest)
    shares = [_shares(pipeline, said, answers.labels) for said in answers.said]
    told = [_verdict(pipeline, share) for share in shares]
    verdict, scores = _of_picture(pipeline, first, labels, answers.rows, list(zip(told, shares, strict=True)))
    then: list[Classification | None] = [None] * len(first.score)
    verdicts = [""] * len(first.score)
    for row, said, name in zip(answers.rows, answers.said, told, strict=True):
        then[row], verdicts[row] = said, name
    kept = _wanted(manifest, first, labels, verdicts, ask)
    return Staged(
        first=first.take(np.array(kept, np.intp)),
        then=tuple(then[row] for row in kept),
        verdicts=tuple(verdicts[row] for row in kept),
        labels=answers.labels,
        verdict=verdict,
        title=pipeline.verdicts.titles.get(verdict, verdict),
        scores=scores,
        stages=(model, answers.model),
    )


def _shares(pipeline: Pipeline, said: Classification, labels: tuple[str, ...]) -> dict[str, float]:
    """Verdict -> the scores of its labels added up."""
    shares = dict.fromkeys(pipeline.second.verdicts.values(), 0.0)
    if said.decision == "unknown":
        return shares
    for label, score in zip(said.label.tolist(), said.score.tolist(), strict=True):
        verdict = pipeline.second.verdicts.get(labels[label])
        if verdict is not None:
            shares[verdict] = min(1.0, shares[verdict] + score)
    return shares


def _verdict(pipeline: Pipeline, shares: dict[str, float]) -> str:
    """The strongest verdict that is sure enough by its own threshold."""
    sure = pipeline.second.sure
    holding = {name: share for name, share in shares.items() if share >= sure.get(name, 0.5)}
    return max(holding, key=lambda name: holding[name]) if holding else pipeline.verdicts.unsure


def _of_picture(
    pipeline: Pipeline,
    first: Classification | Detections,
    labels: tuple[str, ...],
    rows: list[int],
    told: list[tuple[str, dict[str, float]]],
) -> tuple[str, tuple[float | None, float | None]]:
    """The picture's verdict, with both scores of the row that decided."""
    if not rows:
        fitting = first.score[np.isin(first.label, _ids(pipeline.first.labels, labels))]
        strongest = float(fitting.max()) if len(fitting) else None
        least = pipeline.first.unsure_from
        doubtful = least is not None and strongest is not None and strongest >= least
        return (pipeline.verdicts.unsure if doubtful else pipeline.verdicts.none), (strongest, None)
    names = {name for name, _ in told}
    order = (*pipeline.verdicts.order, pipeline.verdicts.unsure)
    verdict = next(name for name in order if name in names)

    def strength(place: int) -> float:
        shares = told[place][1]
        return shares.get(verdict, max(shares.values()))

    place = max((i for i, (name, _) in enumerate(told) if name == verdict), key=strength)
    return verdict, (float(first.score[rows[place]]), strength(place))


def _wanted(
    manifest: Manifest,
    first: Classification | Detections,
    labels: tuple[str, ...],
    verdicts: list[str],
    ask: Ask,
) -> list[int]:
    """Rows to show: strong enough, and of a label or a verdict that was asked for."""
    wanted = heads.need(manifest, ask)
    kept = [
        row
        for row, (score, label) in enumerate(zip(first.score.tolist(), first.label.tolist(), strict=True))
        if score >= wanted.min_score
        and (ask.labels is None or labels[label] in ask.labels or verdicts[row] in ask.labels)
    ]
    return kept[: wanted.max_results]


def _ids(names: tuple[str, ...], labels: tuple[str, ...]) -> list[int]:
    return [number for number, label in enumerate(labels) if label in names]
