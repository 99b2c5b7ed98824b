"""Judging a model by what users get: every picture takes the served road, from bytes to answer.

Nothing here decodes, resizes or reads outputs: ``Road.predict`` does, exactly as for a request.
"""

from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Protocol, TypeAlias

import numpy as np

from sightline.errors import BadOption
from sightline.evaluation import classes as judging
from sightline.evaluation import verdicts
from sightline.evaluation.coco import Judged, Kind, judge, reference
from sightline.evaluation.data import BoxSet, ClassSet, Picture, open_dataset
from sightline.evaluation.report import ClassRow, Figure, Report
from sightline.manifest.pipeline import Pipeline
from sightline.serving.cascade import stages_of
from sightline.serving.road import Road
from sightline.types import Ask, Classification, Detections, Int64, Result, Segments, Staged
from sightline.vision import masks

_Answer: TypeAlias = tuple[Result, dict[int, dict[str, Any]]]
"""What was said of a picture, and the run lengths of its masks by the rows of the detections."""


class Predictor(Protocol):
    """What evaluation needs of a ``Road``."""

    def predict(
        self,
        data: bytes,
        *,
        source: str = "",
        model: str | None = None,
        ask: Ask | None = None,
        deadline_s: float | None = None,
    ) -> Result:
        """One picture's answer."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides the figures besides model and pictures."""

    min_score: float = 0.01
    max_results: int = 300
    """Per picture; COCO then judges at most 100 per label."""
    rounds: int = 200
    """Bootstrap rounds for the intervals; 0: none."""
    seed: int = 0
    first: int = 0
    """Only so many pictures, evenly over the set; 0: all."""
    pictures: str = ""
    """Folder of the pictures of a COCO file, if it is not beside it."""
    strange: bool = False
    """Somebody else sent the data set: no name in it may lead out of it."""
    callers: int = 4
    """Pictures on the road at once."""
    size: int | None = None
    """Side of the square canvas, one of the model's ``input.sizes``; None: its usual one."""


def evaluate(
    road: Predictor,
    model: str | None,
    path: Path,
    *,
    rules: Rules | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Judge ``model`` (``name`` or ``name@version``; None: the default) on a data set.

    Args:
        road: Answers, as it does for requests.
        model: Which model.
        path: COCO ``.json``, folder of class folders, or ``.npz`` (see ``open_dataset``).
        rules: Thresholds, intervals, how many pictures.
        progress: Called with (done, all) after each picture.

    Raises:
        BadOption: The data set cannot be read, or is of another kind than the model's task.
        SightlineError: What the road raises; a picture that fails ends the evaluation.
    """
    rules = rules or Rules()
    pictures = Path(rules.pictures) if rules.pictures else None
    dataset = open_dataset(path, pictures=pictures, first=rules.first, strange=rules.strange)
    if not isinstance(dataset, ClassSet):
        reference()  # says what is missing before hours of looking, not after
    answers = list(_answers(road, model, dataset, rules, progress))
    results = [result for result, _ in answers]
    task = results[0].task
    if isinstance(dataset, ClassSet) and task == "pipeline":
        return _judge_verdicts(dataset, results, rules, _stages(road, model))
    if isinstance(dataset, ClassSet) != (task == "classify"):
        kind = "classes" if isinstance(dataset, ClassSet) else "boxes"
        raise BadOption(
            f"{results[0].model.name} is for the task {task!r}, but {path.name} is a data set of {kind}.",
            next_step="Choose another data set or another model.",
        )
    if isinstance(dataset, ClassSet):
        return _judge_classes(dataset, results, rules)
    return _judge_boxes(dataset, answers, rules)


def _answers(
    road: Predictor,
    model: str | None,
    dataset: BoxSet | ClassSet,
    rules: Rules,
    progress: Callable[[int, int], None] | None,
) -> Iterator[_Answer]:
    pictures = dataset.pictures
    known = () if isinstance(dataset, ClassSet) else dataset.dataset["categories"]
    names = {item["name"] for item in known}
    ask = Ask(min_score=rules.min_score, max_results=rules.max_results, size=rules.size)

    def answer(picture: Picture) -> _Answer:
        result = road.predict(picture.read(), source=picture.name, model=model, ask=ask, deadline_s=300.0)
        return _lean(result, names)

    with ThreadPoolExecutor(rules.callers, thread_name_prefix="evaluate") as callers:
        try:
            for done, found in enumerate(callers.map(answer, pictures), 1):
                if progress:
                    progress(done, len(pictures))
                yield found
        except BaseException:
            callers.shutdown(
                wait=False, cancel_futures=True
            )  # else all that is left would be looked at first
            raise


def _lean(result: Result, names: Container[str]) -> _Answer:
    """The answer without its masks, and those of these labels as run lengths by their rows.

    Drawn masks are megabytes a picture: those of a large data set must never be held together.
    """
    match result.prediction:
        case Segments(detections=rows, masks=cut):
            runs = {
                row: masks.to_rle(cut[row], result.width, result.height)
                for row, label in enumerate(rows.label.tolist())
                if result.labels[label] in names
            }
            return replace(result, prediction=rows), runs
        case _:
            return result, {}


def _judge_boxes(dataset: BoxSet, answers: Sequence[_Answer], rules: Rules) -> Report:
    results = [result for result, _ in answers]
    names = {item["name"]: item["id"] for item in dataset.dataset["categories"]}
    category = {i: names[label] for i, label in enumerate(results[0].labels) if label in names}
    if not category:
        raise BadOption(
            f"{results[0].model.name} knows no label of {dataset.name}: {', '.join(sorted(names)[:10])}.",
            next_step="Rename the categories of the data set as the model names its labels.",
        )
    kept = dataset.dataset | {
        "categories": [item for item in dataset.dataset["categories"] if item["id"] in category.values()],
        "annotations": [m for m in dataset.dataset["annotations"] if m["category_id"] in category.values()],
    }
    drawn = all(mark.get("segmentation") for mark in kept["annotations"])  # some sets have boxes only
    kinds: list[Kind] = ["bbox", "segm"] if drawn and results[0].task == "segment" else ["bbox"]
    found = [
        entry
        for picture, answer in zip(dataset.pictures, answers, strict=True)
        for entry in _entries(picture, answer, category)
    ]
    judged = {kind: _judge(kept, found, kind, rules) for kind in kinds}
    figures = dict(judged["bbox"].figures)
    if "segm" in judged:
        figures |= {f"mask_{name}": figure for name, figure in judged["segm"].figures.items()}
    return _report(dataset.name, results, figures, rules, classes=_box_rows(kept, judged))


def _judge(dataset: dict[str, Any], found: list[dict[str, Any]], kind: Kind, rules: Rules) -> Judged:
    drop = "segmentation" if kind == "bbox" else "bbox"
    entries = [{key: value for key, value in entry.items() if key != drop} for entry in found]
    return judge(dataset, entries, kind=kind, rounds=rules.rounds, seed=rules.seed)


def _entries(picture: Picture, answer: _Answer, category: dict[int, int]) -> Iterator[dict[str, Any]]:
    """Predictions in COCO's result form."""
    result, runs = answer
    match result.prediction:
        case (Detections() as rows) | Staged(first=Detections() as rows):
            pass
        case _:
            return
    for place, (xyxy, score, label) in enumerate(
        zip(rows.xyxy.tolist(), rows.score.tolist(), rows.label.tolist(), strict=True)
    ):
        if label in category:
            x1, y1, x2, y2 = xyxy
            entry = {"image_id": picture.truth, "category_id": category[label], "score": score}
            entry["bbox"] = [x1, y1, x2 - x1, y2 - y1]
            if place in runs:
                entry["segmentation"] = runs[place]
            yield entry


def _box_rows(dataset: dict[str, Any], judged: dict[Kind, Judged]) -> tuple[ClassRow, ...]:
    marks = [mark["category_id"] for mark in dataset["annotations"] if not mark.get("iscrowd")]
    rows = []
    for item in dataset["categories"]:
        if item["id"] in judged["bbox"].per_class:
            ap, ap50 = judged["bbox"].per_class[item["id"]]
            figures = {"AP": ap, "AP50": ap50}
            if "segm" in judged:
                figures["mask_AP"] = judged["segm"].per_class.get(item["id"], (0.0, 0.0))[0]
            rows.append(ClassRow(item["name"], marks.count(item["id"]), figures))
    return tuple(rows)


def _judge_classes(dataset: ClassSet, results: Sequence[Result], rules: Rules) -> Report:
    position = {name: i for i, name in enumerate(dataset.classes)}
    if not position.keys() & set(results[0].labels):
        raise BadOption(
            f"{results[0].model.name} knows no class of {dataset.name}: {', '.join(dataset.classes[:10])}.",
            next_step="Name the folders as the model names its labels.",
        )
    label_to_class = np.array([position.get(name, -1) for name in results[0].labels], np.int64)
    truth = np.array([picture.truth for picture in dataset.pictures], np.int64)
    ranked = [label_to_class[_ranked(result)] for result in results]
    first = np.array([row[0] if len(row) else -1 for row in ranked], np.int64)
    table = judging.confusion(truth, first, len(dataset.classes))
    figures = judging.accuracy(truth, ranked, rounds=rules.rounds, seed=rules.seed)
    return _report(
        dataset.name, results, figures, rules, classes=judging.rows(dataset.classes, table), confusion=table
    )


def _stages(road: Predictor, model: str | None) -> Pipeline:
    """The pipeline that answered: it knows what its verdicts are called in labelled data."""
    assert isinstance(road, Road)  # nobody else answers with verdicts
    return stages_of(road.registry.resolve(model).manifest)


def _judge_verdicts(dataset: ClassSet, results: Sequence[Result], rules: Rules, pipeline: Pipeline) -> Report:
    answers = [result.prediction for result in results if isinstance(result.prediction, Staged)]
    heads = verdicts.columns(dataset.classes, pipeline.names, pipeline.verdicts.folders)
    truth = np.array([picture.truth for picture in dataset.pictures], np.int64)
    table = verdicts.confusion(truth, answers, heads, len(dataset.classes))
    figures = verdicts.figures(truth, answers, heads, pipeline.verdicts.none, dataset.classes)
    classes = verdicts.rows(dataset.classes, truth, answers, table)
    report = _report(dataset.name, results, figures, rules, classes=classes, confusion=table)
    return replace(report, columns=heads)


def _ranked(result: Result) -> Int64:
    return result.prediction.label if isinstance(result.prediction, Classification) else np.zeros(0, np.int64)


def _report(
    name: str,
    results: Sequence[Result],
    figures: dict[str, Figure],
    rules: Rules,
    *,
    classes: tuple[ClassRow, ...],
    confusion: Int64 | None = None,
) -> Report:
    parts = [asdict(result.timing) for result in results]
    return Report(
        model=results[0].model,
        task=results[0].task,
        dataset=name,
        pictures=len(results),
        figures=figures,
        classes=classes,
        confusion=() if confusion is None else tuple(tuple(int(v) for v in row) for row in confusion),
        timing_ms={key: round(median(part[key] for part in parts), 2) for key in parts[0]},
        engine=results[0].engine,
        size=results[0].size,
        protocol=asdict(rules),
    )
