"""Describe the Penn-Fudan pedestrians in COCO form: ``python tools/penn_fudan.py FOLDER``.

FOLDER holds ``PNGImages`` and ``PedMasks``; ``instances.json`` is written beside them. In a mask picture 0 is
the ground and each person has a number of their own.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sightline.types import Mask
from sightline.vision import masks


def describe(folder: Path) -> dict[str, Any]:
    """All pictures of the folder as a COCO data set of one label, ``person``."""
    images: list[dict[str, Any]] = []
    marks: list[dict[str, Any]] = []
    for picture in sorted((folder / "PNGImages").glob("*.png")):
        drawn = np.asarray(Image.open(folder / "PedMasks" / f"{picture.stem}_mask.png"))
        height, width = drawn.shape
        images.append({"id": len(images) + 1, "file_name": picture.name, "width": width, "height": height})
        for number in range(1, int(drawn.max()) + 1):
            mask = masks.trim(Mask(drawn == number, 0, 0))
            rows, columns = mask.bits.shape
            if not rows:
                continue
            marks.append(
                {
                    "id": len(marks) + 1,
                    "image_id": len(images),
                    "category_id": 1,
                    "bbox": [mask.left, mask.top, columns, rows],
                    "area": int(mask.bits.sum()),
                    "iscrowd": 0,
                    "segmentation": masks.to_rle(mask, width, height),
                }
            )
    return {"images": images, "annotations": marks, "categories": [{"id": 1, "name": "person"}]}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    table = describe(place)
    (place / "instances.json").write_text(json.dumps(table), encoding="utf-8")
    print(f"{len(table['images'])} pictures, {len(table['annotations'])} people: {place / 'instances.json'}")
