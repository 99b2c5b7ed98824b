"""COCO JSON (cocodataset.org): data sets, flat result lists, and a reader.

Conventions: boxes are [x, y, width, height] in pixels, 0-indexed floats from the top left corner;
category ids are 1..K in the order of the labels; masks are compressed run lengths with
``iscrowd`` 0, since polygons cannot say holes and a crowd would not be scored. What a pipeline says is an
extra field `verdict` of image and annotation, which COCO's own tools pass over.
"""

import json
from collections.abc import Sequence
from typing import Any

from sightline.errors import BadOption
from sightline.formats.dataset import Dataset, Picture, Row, boxed, file_name, labels_of, masks_of, picture
from sightline.types import Result, Staged
from sightline.vision import masks, polygons


def dumps(results: Sequence[Result]) -> str:
    """A data set: images, annotations (each with its score) and categories."""
    labels = labels_of(results)
    number = {label: place + 1 for place, label in enumerate(labels)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, result in enumerate(results, 1):
        size = {"width": result.width, "height": result.height}
        told = {"verdict": result.prediction.verdict} if isinstance(result.prediction, Staged) else {}
        images.append({"id": image_id, "file_name": file_name(result)} | size | told)
        for row in rows(result, image_id, number):
            area = row["bbox"][2] * row["bbox"][3] if "area" not in row else row["area"]
            annotations.append({"id": len(annotations) + 1, **row, "area": area, "iscrowd": 0})
    body = {
        "info": {"description": "Made by Sightline. Category ids are 1..K in the order of the labels."},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": place, "name": label, "supercategory": ""} for label, place in number.items()],
    }
    return json.dumps(body, ensure_ascii=False, allow_nan=False)


def rows(result: Result, image_id: int, category: dict[str, int]) -> list[dict[str, Any]]:
    """The flat rows that COCO's evaluation reads: image, category, bbox, score (and the mask)."""
    found = boxed(result, "COCO")
    parts = []
    for place, (xyxy, score, label, mask) in enumerate(
        zip(found.xyxy.tolist(), found.score.tolist(), found.label.tolist(), masks_of(result), strict=True)
    ):
        x1, y1, x2, y2 = xyxy
        box = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
        row = {"image_id": image_id, "category_id": category[result.labels[label]], "bbox": box}
        row["score"] = round(score, 4)
        if isinstance(result.prediction, Staged) and result.prediction.verdicts[place]:
            row["verdict"] = result.prediction.verdicts[place]
        if mask is not None:
            row["segmentation"] = masks.to_rle(mask, result.width, result.height)
            row["area"] = masks.pixels(mask)
        parts.append(row)
    return parts


def load(text: str | bytes) -> Dataset:
    """Read a data set (instances file). Labels are the categories in the order of their ids.

    Raises BadOption when it is not one, naming the annotation that is off.
    """
    try:
        body = json.loads(text)
        categories = sorted(body["categories"], key=lambda category: int(category["id"]))
        place = {int(category["id"]): number for number, category in enumerate(categories)}
        found: dict[int, list[Row]] = {int(image["id"]): [] for image in body["images"]}
        sizes = {int(image["id"]): (int(image["width"]), int(image["height"])) for image in body["images"]}
        for annotation in body["annotations"]:
            image_id = int(annotation["image_id"])
            found[image_id].append(_annotation(annotation, place, sizes[image_id]))
        pictures = [_picture(image, found) for image in body["images"]]
        return Dataset(tuple(str(category["name"]) for category in categories), tuple(pictures))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        msg = f"This is not a COCO data set: {type(error).__name__} at {error}."
        raise BadOption(msg, next_step="It needs images, annotations and categories.") from error


def _picture(image: dict[str, Any], found: dict[int, list[Row]]) -> Picture:
    size = (int(image["width"]), int(image["height"]))
    return picture(str(image["file_name"]), size, found[int(image["id"])])


def _annotation(annotation: dict[str, Any], place: dict[int, int], size: tuple[int, int]) -> Row:
    x, y, width, height = (float(value) for value in annotation["bbox"])
    shape = annotation.get("segmentation")
    mask = None
    if isinstance(shape, dict):
        mask = masks.from_rle(shape)
    elif shape:
        mask = polygons.to_mask(shape, *size)
    crowd = bool(annotation.get("iscrowd", 0))
    score = float(annotation.get("score", 1))
    return [x, y, x + width, y + height], score, place[int(annotation["category_id"])], crowd, mask
