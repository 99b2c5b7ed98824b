"""COCO average precision by the reference implementation (pycocotools), with intervals.

Lin et al., "Microsoft COCO" (arXiv 1405.0312) and the evaluation code that its authors publish.
Intervals are percentile bootstrap over pictures (Efron 1979): the pictures are drawn with
replacement and the reference code adds up again. Such intervals of AP lean upwards, because a
class that is drawn with fewer pictures is easier: compare two models on the same pictures.

pycocotools is part of the extra ``train``: the server does not need it.
"""

import contextlib
import importlib
import io
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from sightline.errors import BadOption, ConfigError
from sightline.evaluation.report import Figure

Kind: TypeAlias = Literal["bbox", "segm"]
STATS = (
    ("AP", 0), ("AP50", 1), ("AP75", 2), ("AP_small", 3), ("AP_medium", 4), ("AP_large", 5), ("AR100", 8),
)  # fmt: skip
"""Name and position in ``COCOeval.stats``."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What the reference implementation found; all values in 0..1."""

    figures: dict[str, Figure]
    per_class: dict[int, tuple[float, float]]
    """Category id -> AP, AP50; only categories that occur."""


def judge(
    dataset: dict[str, Any],
    found: list[dict[str, Any]],
    *,
    kind: Kind = "bbox",
    rounds: int = 0,
    seed: int = 0,
) -> Judged:
    """Judge predictions in COCO's result form against a COCO data set.

    Args:
        dataset: ``images``, ``annotations`` (with ``area`` and ``iscrowd``; their ``id`` does not matter) and
            ``categories``. For masks, images say their ``width`` and ``height`` in pixels.
        found: ``image_id``, ``category_id``, ``score`` and ``bbox`` (x, y, w, h) or ``segmentation`` (RLE).
        kind: Overlap of boxes or of masks.
        rounds: Bootstrap rounds for the intervals of AP, AP50 and AR100; 0: none.
        seed: Of the bootstrap.

    Raises:
        ConfigError: pycocotools is not installed.
        BadOption: It does not take the annotations.
    """
    run = _run(dataset, found, kind)
    if run is None:
        return Judged({name: Figure(0.0) for name, _ in STATS}, {})
    intervals = _intervals(run, rounds, seed) if rounds else {}
    figures = {}
    for name, position in STATS:
        value = float(run.stats[position])
        if value >= 0:  # -1: nothing of this size occurs
            low, high = intervals.get(name, (None, None))
            figures[name] = Figure(value, low, high)
    return Judged(figures, _per_class(run))


def _run(dataset: dict[str, Any], found: list[dict[str, Any]], kind: Kind) -> Any:
    coco, evaluator = reference()
    # The reference code takes a mark of number 0 for none, and marks of one number for one.
    marks = [mark | {"id": number} for number, mark in enumerate(dataset["annotations"], 1)]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            truth = coco()
            truth.dataset = {"info": {}, **dataset, "annotations": marks}
            truth.createIndex()
            if not found:
                return None
            run = evaluator(truth, truth.loadRes(found), kind)
            run.evaluate()
            run.accumulate()
            run.summarize()
    except Exception as error:  # whatever Python and C raise at sizes, boxes and outlines that are none
        raise BadOption(
            f"The annotations cannot be judged ({kind}): {type(error).__name__}: {str(error)[:200]}.",
            next_step="Give every image its width and height in pixels, every mark a bbox [x, y, w, h] of "
            "numbers, and a segmentation in COCO's form or none.",
        ) from error
    return run


def _per_class(run: Any) -> dict[int, tuple[float, float]]:
    precision = run.eval["precision"][:, :, :, 0, -1]  # IoU, recall, category; all sizes, 100 boxes
    result = {}
    for place, category in enumerate(run.params.catIds):
        values = precision[:, :, place]
        if (values > -1).any():
            result[int(category)] = (float(values.mean()), float(values[0].mean()))
    return result


def _intervals(run: Any, rounds: int, seed: int) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals. The reference code adds up drawn pictures; matching is not repeated."""
    draw = np.random.default_rng(seed)
    pictures, sizes = len(run.params.imgIds), len(run.params.areaRng)
    classes = len(run.params.catIds)
    # evalImgs runs over categories, then sizes, then pictures; only "all sizes", the first, is drawn.
    table = [run.evalImgs[k * sizes * pictures : k * sizes * pictures + pictures] for k in range(classes)]
    kept = run.evalImgs, run.params.areaRng, run.params.maxDets, run._paramsEval, run.eval  # noqa: SLF001
    run.params.areaRng, run.params.maxDets = run.params.areaRng[:1], run.params.maxDets[-1:]
    run._paramsEval = run.params  # noqa: SLF001 - accumulate() looks sizes up in it
    values: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        drawn = draw.integers(0, pictures, pictures)
        run.evalImgs = [row[i] for row in table for i in drawn]
        with contextlib.redirect_stdout(io.StringIO()):
            run.accumulate()
        precision, recall = run.eval["precision"], run.eval["recall"]
        values.append((_mean(precision), _mean(precision[0]), _mean(recall)))
    run.evalImgs, run.params.areaRng, run.params.maxDets, run._paramsEval, run.eval = kept  # noqa: SLF001
    low, high = np.percentile(np.array(values), [2.5, 97.5], axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(("AP", "AP50", "AR100"))}


def _mean(values: Any) -> float:
    good = values[values > -1]
    return float(good.mean()) if good.size else 0.0


def reference() -> tuple[Any, Any]:
    """(COCO, COCOeval) of the reference implementation.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        return (
            importlib.import_module("pycocotools.coco").COCO,
            importlib.import_module("pycocotools.cocoeval").COCOeval,
        )
    except ImportError as error:
        raise ConfigError(
            "Judging boxes needs pycocotools, which is not installed.",
            next_step="Install the extra `train`; in a clone, `make test` makes .venv-dev, which has it.",
        ) from error
