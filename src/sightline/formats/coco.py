"""COCO JSON (cocodataset.org): data sets, and flat result lists.

Conventions: boxes are [x, y, width, height] in pixels, 0-indexed floats from the top left corner;
category ids are 1..K in the order of the labels; masks are compressed run lengths with
``iscrowd`` 0, since polygons cannot say holes and a crowd would not be scored. What a pipeline says is an
extra field `verdict` of image and annotation, which COCO's own tools pass over.
"""

import json
from collections.abc import Sequence
from typing import Any

from sightline.formats.content import boxed, file_name, labels_of, masks_of
from sightline.types import Result, Staged
from sightline.vision import masks


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
