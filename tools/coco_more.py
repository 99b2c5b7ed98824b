"""Gather more pictures of COCO train2017 with outlines, from clones that hold a few of them each.

    python tools/coco_more.py OUT ANNOTATIONS PICTURES [ANNOTATIONS PICTURES ...] --not FILE [--not FILE ...]

OUT gets ``images/`` and ``instances.json`` in COCO form: pictures of train2017 whose files exist and whose
ids stand neither in a file named by ``--not`` nor in an earlier source. Categories are those of the first
``--not`` file, by name. Pictures of val2017 are never taken: models are judged there. Which folders the
recipes want is said in docs/how-to/train.md.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TRAIN = "/train2017/"


def main() -> None:
    """Write the folder and say what is in it."""
    words = _arguments()
    known = [json.loads(path.read_text("utf-8")) for path in words.known]
    taken = {image["id"] for table in known for image in table["images"]}
    numbers = {item["name"]: item["id"] for item in known[0]["categories"]}
    out: dict[str, Any] = {"images": [], "annotations": [], "categories": known[0]["categories"]}
    (words.out / "images").mkdir(parents=True, exist_ok=True)
    for annotations, pictures in zip(words.sources[::2], words.sources[1::2], strict=True):
        table = json.loads(annotations.read_text("utf-8"))
        mine = list(_fresh(table, pictures, taken))
        taken.update(image["id"] for image in mine)
        out["images"] += mine
        out["annotations"] += _marks(table, {image["id"] for image in mine}, numbers)
        for image in mine:
            shutil.copyfile(pictures / image["file_name"], words.out / "images" / image["file_name"])
    for number, mark in enumerate(out["annotations"], 1):
        mark["id"] = number
    (words.out / "instances.json").write_text(json.dumps(out), encoding="utf-8")
    print(f"{len(out['images'])} pictures, {len(out['annotations'])} objects in {words.out}")


def _fresh(table: dict[str, Any], pictures: Path, taken: set[int]) -> Iterator[dict[str, Any]]:
    for image in table["images"]:
        if (
            _TRAIN in image["coco_url"]
            and image["id"] not in taken
            and (pictures / image["file_name"]).is_file()
        ):
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
    words = parser.parse_args()
    if len(words.sources) % 2:
        parser.error("Sources are pairs: an annotation file and the folder of its pictures.")
    return words


if __name__ == "__main__":
    main()
