"""Which pictures of a judged folder are, or nearly are, among those that a recipe trains on.

    python tools/alike.py ANNOTATIONS PICTURES JUDGED [--key file_name] [--without /val2017/] [--most 35]

ANNOTATIONS (COCO) and PICTURES are what is trained on, JUDGED any folder of pictures. Of each picture the
signs of 256 differences between neighbours in 17 x 16 grey values are compared, straight and mirrored; it
prints how many differ, the judged picture and the one that it is like. The same photograph in another size or
packing differs in up to about 35; flat backgrounds are alike too, so look at what it finds.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.evaluation.data import PICTURES

_SIDE = 16
_AT_ONCE = 100
Signs = npt.NDArray[np.bool_]


def grey(path: Path) -> Image.Image:
    """A picture in grey, small where its format lets it be read small."""
    with Image.open(path) as opened:
        opened.draft("L", (4 * _SIDE, 4 * _SIDE))
        return opened.convert("L")


def signs(picture: Image.Image) -> Signs:
    """(16, 16) whether each grey value of a grey picture is larger than its left neighbour."""
    values = np.asarray(picture.resize((_SIDE + 1, _SIDE), Image.Resampling.BOX), np.int16)
    return values[:, 1:] > values[:, :-1]


def alike(trained: Sequence[Path], judged: Sequence[Path], most: int) -> list[tuple[int, Path, Path]]:
    """(signs that differ, judged, trained) of each judged picture that is like a trained one, nearest first.

    Like: at most ``most`` of 256 signs differ, straight or mirrored.
    """
    known = np.array([signs(grey(path)).ravel() for path in trained])
    found = []
    for path in judged:
        straight = signs(grey(path))
        looks = (straight.ravel(), ~straight[:, ::-1].ravel())
        apart = np.concatenate(
            [
                np.minimum(*((known[start : start + _AT_ONCE] != look).sum(1) for look in looks))
                for start in range(0, len(known), _AT_ONCE)
            ]
        )
        nearest = int(apart.argmin())
        if apart[nearest] <= most:
            found.append((int(apart[nearest]), path, trained[nearest]))
    return sorted(found)


def main() -> None:
    """Print the pairs and how many there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("judged", type=Path)
    parser.add_argument("--key", default="file_name", help="Which entry of an image names its file.")
    parser.add_argument("--without", default="", help="Leave out pictures whose coco_url holds this text.")
    parser.add_argument("--most", type=int, default=35, help="Signs that may differ, of 256.")
    words = parser.parse_args()
    trained = [
        words.pictures / image[words.key]
        for image in json.loads(words.annotations.read_text("utf-8"))["images"]
        if not (words.without and words.without in image.get("coco_url", ""))
        and (words.pictures / image[words.key]).is_file()
    ]
    judged = sorted(path for path in words.judged.rglob("*") if path.suffix.lower() in PICTURES)
    found = alike(trained, judged, words.most)
    for apart, one, other in found:
        print(f"{apart:3d}  {one.relative_to(words.judged)}  {other.name}")
    print(f"{len(found)} of {len(judged)} judged pictures are like one of {len(trained)}")


if __name__ == "__main__":
    main()
