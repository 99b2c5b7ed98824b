"""Gather more pictures of COCO with outlines, from clones that hold a few of them each.

    python tools/coco_more.py OUT ANNOTATIONS PICTURES [ANNOTATIONS PICTURES ...] --not FILE [--not FILE ...]

OUT gets ``images/`` and an annotation file in COCO form: pictures of train2017 whose files exist and whose
ids stand neither in a file named by ``--not`` nor in an earlier source. Categories are those of the first
``--not`` file, by name. With ``--judged`` pictures of val2017 are taken instead, and none of train2017:
models are judged on those, so no set has both. ANNOTATIONS may be of the panoptic task, with its masks in a
folder of the same name beside the file; of its segments those whose categories are known become objects.
Which folders are wanted is said in docs/how-to/train.md and docs/reference/datasets.md.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as runs


def main() -> None:
    """Write the folder and say what is in it."""
    words = _arguments()
    known = [json.loads(path.read_text("utf-8")) for path in words.known]
    taken = {image["id"] for table in known for image in table["images"]}
    numbers = {item["name"]: item["id"] for item in known[0]["categories"]}
    out: dict[str, Any] = {"images": [], "annotations": [], "categories": known[0]["categories"]}
    (words.out / "images").mkdir(parents=True, exist_ok=True)
    part = "/val2017/" if words.judged else "/train2017/"
    for annotations, pictures in zip(words.sources[::2], words.sources[1::2], strict=True):
        table = _read(annotations, numbers)
        mine = [image for image in _fresh(table, pictures, taken) if part in image["coco_url"]]
        taken.update(image["id"] for image in mine)
        out["images"] += mine
        out["annotations"] += _marks(table, {image["id"] for image in mine}, numbers)
        for image in mine:
            shutil.copyfile(pictures / image["file_name"], words.out / "images" / image["file_name"])
    for number, mark in enumerate(out["annotations"], 1):
        mark["id"] = number
    (words.out / words.name).write_text(json.dumps(out), encoding="utf-8")
    print(f"{len(out['images'])} pictures, {len(out['annotations'])} objects in {words.out}")


def _read(annotations: Path, numbers: dict[str, int]) -> dict[str, Any]:
    """An annotation file; one of the panoptic task as if it were of instances."""
    table: dict[str, Any] = json.loads(annotations.read_text("utf-8"))
    if not any("segments_info" in mark for mark in table["annotations"]):
        return table
    known = {item["id"] for item in table["categories"] if item["name"] in numbers}
    marks = (
        mark
        for picture in table["annotations"]
        for mark in _segments(picture, annotations.with_suffix("") / picture["file_name"], known)
    )
    return table | {"annotations": list(marks)}


def _segments(picture: dict[str, Any], masks: Path, known: set[int]) -> Iterator[dict[str, Any]]:
    """A segment's number is R + 256 G + 65536 B of its pixels (the panoptic format of COCO)."""
    with Image.open(masks) as picture_of_numbers:
        colours = np.asarray(picture_of_numbers.convert("RGB"), dtype=np.int64)
    numbers = colours @ np.array([1, 256, 65536])
    for segment in picture["segments_info"]:
        if segment["category_id"] in known:
            code = runs.encode(np.asfortranarray(numbers == segment["id"], dtype=np.uint8))
            outline = {"size": code["size"], "counts": code["counts"].decode("ascii")}
            yield segment | {"image_id": picture["image_id"], "segmentation": outline}


def _fresh(table: dict[str, Any], pictures: Path, taken: set[int]) -> Iterator[dict[str, Any]]:
    for image in table["images"]:
        if image["id"] not in taken and (pictures / image["file_name"]).is_file():
            yield image


def _marks(table: dict[str, Any], images: set[int], numbers: dict[str, int]) -> Iterator[dict[str, Any]]:
    called = {item["id"]: item["name"] for item in table["categories"]}
    for mark in table["annotations"]:
        if mark["image_id"] in images:
            yield mark | {"category_id": numbers[called[mark["category_id"]]]}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "sources", type=Path, nargs="+", help="annotation file and its pictures' folder, in pairs"
    )
    parser.add_argument("--not", dest="known", type=Path, action="append", required=True)
    parser.add_argument("--judged", action="store_true", help="of val2017, to judge on")
    parser.add_argument("--name", default="instances.json", help="of the annotation file")
    words = parser.parse_args()
    if len(words.sources) % 2:
        parser.error("Sources are pairs: an annotation file and the folder of its pictures.")
    return words


if __name__ == "__main__":
    main()
