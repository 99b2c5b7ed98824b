"""CIFAR-10's pictures without loss, packed in the order of their JPEG copies.

    python tools/cifar_lossless.py FOLDERS COPIES OUT

FOLDERS has ``train`` and ``test`` with a folder of files for each class, COPIES has ``cifar10_train.npz`` and
``cifar10_test.npz``. Each file is put where the copy that is most like it stands, so that a position names
the same picture in both packs. Writes ``cifar10_train_lossless.npz`` and ``cifar10_test_lossless.npz``, each
with ``x`` (n, 32, 32, 3) uint8 RGB, ``y`` (n,) labels 0..9 and ``index`` (n,) positions, and
``classes.json``.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sightline.errors import BadOption, SightlineError
from sightline.evaluation.data import ClassSet, open_dataset
from sightline.vision import codec

PARTS = ("train", "test")
Pixels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]


def opened(path: Path) -> tuple[Pixels, Numbers, tuple[str, ...]]:
    """Pictures (n, height, width, 3) RGB of one size, class of each (n,), and the names of the classes."""
    dataset = open_dataset(path)
    if not isinstance(dataset, ClassSet):
        raise BadOption(f"{path} holds no pictures of one class each.")
    pixels = [codec.decode(picture.read(), codec.Limits()).pixels for picture in dataset.pictures]
    truth = [picture.truth for picture in dataset.pictures]
    return np.stack(pixels), np.array(truth, np.int64), dataset.classes


def places(pictures: Pixels, truth: Numbers, copies: Pixels, copied: Numbers) -> Numbers:
    """For each picture, where the copy of the same class stands whose pixels are nearest (n,).

    Raises:
        ValueError: Two pictures are nearest to one copy, or a copy is nobody's.
    """
    found = np.full(len(pictures), -1, np.int64)
    for label in np.unique(truth):
        mine, theirs = np.flatnonzero(truth == label), np.flatnonzero(copied == label)
        if not len(theirs):
            break
        a = pictures[mine].reshape(len(mine), -1).astype(np.float32)
        b = copies[theirs].reshape(len(theirs), -1).astype(np.float32)
        apart = (b * b).sum(1)[None] - 2 * a @ b.T  # the squared distance, but for what a row has in common
        found[mine] = theirs[apart.argmin(1)]
    if sorted(found.tolist()) != list(range(len(copies))):
        named = len(set(found.tolist()) - {-1})
        raise ValueError(
            f"{named} of {len(copies)} copies found for {len(pictures)}; are these their pictures?"
        )
    return found


def pack(folders: Path, copies: Path, out: Path, part: str) -> str:
    """Write one part, and say how far its pictures are from their copies."""
    pictures, truth, classes = opened(folders / part)
    copied, labels, names = opened(copies / f"cifar10_{part}.npz")
    if classes != names:
        raise ValueError(f"{folders / part} has the classes {', '.join(classes)}; wanted {', '.join(names)}")
    order = np.argsort(places(pictures, truth, copied, labels))
    x, y = pictures[order], truth[order]
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / f"cifar10_{part}_lossless.npz", x=x, y=y, index=np.arange(len(y)))
    (out / "classes.json").write_text(json.dumps(names), encoding="utf-8")
    apart = np.abs(x.astype(np.int16) - copied).mean()
    return f"{part}: {len(y)} pictures, {apart:.1f} of 255 from their copies on average"


def main() -> None:
    """Write both parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("folders", "copies", "out"):
        parser.add_argument(name, type=Path)
    words = parser.parse_args()
    try:
        for part in PARTS:
            print(pack(words.folders, words.copies, words.out, part))
    except (OSError, ValueError, SightlineError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
