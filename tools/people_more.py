"""Mark more pictures of the public people set than its clean list does, and keep clear of what is judged.

    python tools/people_more.py SET LIST OUT --judged FOLDER [...] --kin FOLDER [...]

SET is the folder ``train`` of the set (``images/``, ``labels/``), LIST the clean list of some of them
(``person_train_3115.json``). OUT gets both in COCO form, boxes in pixels of the pictures as they are:

- of LIST what is not, or nearly, a picture in a ``--judged`` or ``--kin`` folder: at most 35 of 256 signs
  (see tools/alike.py) differ in any of eight orientations;
- of the rest of SET the pictures that are named as Open Images names its (16 hexadecimal digits) or by a
  SHA-1 (40), the kinds that the validation part is of and of which LIST has a third. They must be clear in
  the same way, and be of no family of a ``--kin`` folder, whose pictures are from the same source: more than
  60 signs differ, and our features of the two have a cosine below 0.72.
"""

import argparse
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from alike import grey, signs
from PIL import Image, ImageOps

from sightline.evaluation.data import PICTURES
from sightline.training.backbone import Backbone

SAME = 35
FAMILY = 60
COSINE = 0.72
MORE = re.compile(r"([0-9a-f]{16}|[0-9a-f]{40})_jpg\.rf\.")
FEATURES = Path(__file__).resolve().parents[1] / "src/sightline/bundled/features/1"
_TURNS = (None, Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
Counts = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]


def main() -> None:
    """Write OUT and say how much was left out."""
    words = _arguments()
    folder = words.set / "images"
    listed = {item["source_file"] for item in json.loads(words.list.read_text("utf-8"))["images"]}
    every = sorted(path.name for path in folder.iterdir() if path.name in listed or MORE.match(path.name))
    names = np.array(every)
    inside = np.isin(names, sorted(listed))
    trained = [folder / name for name in every]
    judged, kin = _pictures(words.judged), _pictures(words.kin)
    to_kin = apart(trained, kin)
    clear = np.minimum(apart(trained, judged), to_kin) > SAME
    family = (to_kin <= FAMILY) | (nearness(trained, kin) >= COSINE)
    kept = clear & (inside | ~family)
    words.out.write_text(json.dumps(as_coco(words.set, names[kept].tolist())), encoding="utf-8")
    print(f"{kept.sum()} pictures: {(kept & inside).sum()} of the list's {inside.sum()}", end=", ")
    print(f"{(kept & ~inside).sum()} of {(~inside).sum()} more; kept clear of {len(judged) + len(kin)}")


def apart(trained: Sequence[Path], judged: Sequence[Path]) -> Counts:
    """(n,) how many of 256 signs differ between each trained picture and the nearest of ``judged``.

    The nearest in any of eight orientations: turned by quarters, straight and mirrored.
    """
    known = np.array([_code(grey(path)) for path in judged]).reshape(-1, 4)
    least = np.full(len(trained), 256, np.int64)
    for at, path in enumerate(trained):
        for look in _orientations(grey(path)):
            least[at] = min(int(least[at]), int(np.bitwise_count(known ^ _code(look)).sum(1).min()))
    return least


def nearness(trained: Sequence[Path], judged: Sequence[Path]) -> Floats:
    """(n,) the cosine between the features of each trained picture and of the nearest of ``judged``."""
    backbone = Backbone(FEATURES, threads=os.cpu_count() or 1)
    ours, theirs = (_unit(backbone.features(_upright(paths))) for paths in (trained, judged))
    backbone.close()
    nearest: Floats = (ours @ theirs.T).max(1)
    return nearest


def as_coco(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """The pictures ``names`` of SET and their boxes; of outlines the boxes around them; all are people."""
    images: list[dict[str, Any]] = []
    marks: list[dict[str, Any]] = []
    for number, name in enumerate(names, 1):
        with Image.open(folder / "images" / name) as opened:
            width, height = ImageOps.exif_transpose(opened).size
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        text = (folder / "labels" / name).with_suffix(".txt").read_text("utf-8")
        for x, y, right, bottom in _boxes(text):
            box = [x * width, y * height, (right - x) * width, (bottom - y) * height]
            entry = {"id": len(marks) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
            marks.append(
                entry | {"bbox": [round(value, 2) for value in box], "area": round(box[2] * box[3], 2)}
            )
    return {"images": images, "annotations": marks, "categories": [{"id": 1, "name": "person"}]}


def _boxes(text: str) -> Iterator[tuple[float, float, float, float]]:
    """Left, top, right, bottom in shares of the picture, of boxes around their centre and of polygons."""
    for line in text.splitlines():
        values = [float(word) for word in line.split()[1:]]
        if len(values) == 4:
            x, y, wide, high = values
            edges = [x - wide / 2, y - high / 2, x + wide / 2, y + high / 2]
        elif values:
            edges = [min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])]
        else:
            continue
        left, top, right, bottom = (min(1.0, max(0.0, edge)) for edge in edges)
        if right > left and bottom > top:
            yield left, top, right, bottom


def _orientations(picture: Image.Image) -> Iterator[Image.Image]:
    for turn in _TURNS:
        turned = picture if turn is None else picture.transpose(turn)
        yield turned
        yield ImageOps.mirror(turned)


def _code(picture: Image.Image) -> Codes:
    """The 256 signs of a grey picture as (4,) uint64."""
    return np.packbits(signs(picture)).view(np.uint64)


def _unit(rows: Floats) -> Floats:
    units: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return units


def _upright(paths: Sequence[Path]) -> Iterator[Image.Image]:
    for path in paths:
        with Image.open(path) as opened:
            yield ImageOps.exif_transpose(opened).convert("RGB")


def _pictures(folders: Sequence[Path]) -> list[Path]:
    """All pictures of the folders.

    Raises:
        SystemExit: One of them holds none, so nothing would be kept clear of it.
    """
    found = []
    for folder in folders:
        own = [path for path in folder.rglob("*") if path.suffix.lower() in PICTURES]
        if not own:
            raise SystemExit(f"{folder} holds no pictures.")
        found += own
    return sorted(found)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("list", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--judged", type=Path, nargs="+", required=True)
    parser.add_argument("--kin", type=Path, nargs="+", required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
