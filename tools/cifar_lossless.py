"""CIFAR-10's pictures without loss, packed in the order of their JPEG copies.

    python tools/cifar_lossless.py FOLDERS COPIES OUT

FOLDERS has ``train`` and ``test`` with a folder of files for each class; COPIES has ``cifar10_train.npz``,
``cifar10_test.npz`` and the few that are known, ``cifar10_train_lossless_first1017.npz``. Each file is put
where the copy that is most like it stands, so that a position names the same picture in both packs.

Writes ``cifar10_train_lossless.npz`` and ``cifar10_test_lossless.npz``, each with ``x`` (n, 32, 32, 3)
uint8 RGB, ``y`` (n,) labels 0..9 and ``index`` (n,) positions, and ``classes.json``.
``cifar10_test_alone.npz`` is the test part less those pictures that look like one of train: their pixels,
or their mirror's, correlate by more than 0.9.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sightline.errors import BadOption, SightlineError
from sightline.evaluation.data import ClassSet, open_dataset
from sightline.vision import codec

ALIKE = 0.9
"""Most pairs above it are one photograph, cut or coloured otherwise, or one series; the others sea or sky."""
_AT_ONCE = 500
Pixels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]


class Part(NamedTuple):
    """Pictures (n, height, width, 3) RGB of one size, the class of each (n,), the names of the classes."""

    x: Pixels
    y: Numbers
    classes: tuple[str, ...]


def opened(path: Path) -> Part:
    """A folder or pack."""
    dataset = open_dataset(path)
    if not isinstance(dataset, ClassSet):
        raise BadOption(f"{path} holds no pictures of one class each.")
    pixels = [codec.decode(picture.read(), codec.Limits()).pixels for picture in dataset.pictures]
    truth = [picture.truth for picture in dataset.pictures]
    return Part(np.stack(pixels), np.array(truth, np.int64), dataset.classes)


def places(pictures: Part, copies: Part) -> Numbers:
    """For each picture, where the copy of the same class stands whose pixels are nearest (n,).

    Raises:
        ValueError: Two pictures are nearest to one copy, or a copy is nobody's.
    """
    found = np.full(len(pictures.y), -1, np.int64)
    for label in np.unique(pictures.y):
        mine, theirs = np.flatnonzero(pictures.y == label), np.flatnonzero(copies.y == label)
        if not len(theirs):
            continue
        a = pictures.x[mine].reshape(len(mine), -1).astype(np.float32)
        b = copies.x[theirs].reshape(len(theirs), -1).astype(np.float32)
        apart = (b * b).sum(1)[None] - 2 * a @ b.T  # the squared distance, but for what a row has in common
        found[mine] = theirs[apart.argmin(1)]
    if sorted(found.tolist()) != list(range(len(copies.y))):
        named = len(set(found.tolist()) - {-1})
        raise ValueError(
            f"{named} of {len(copies.y)} copies found for {len(found)} pictures; are these their pictures?"
        )
    return found


def likeness(pictures: Pixels, known: Pixels) -> npt.NDArray[np.float32]:
    """Largest correlation of each picture's pixels, straight or mirrored, with those of a known one (n,)."""
    known_values = _standard(known).T
    best = np.full(len(pictures), -1, np.float32)
    for values in (_standard(pictures), _standard(pictures[:, :, ::-1])):
        for start in range(0, len(values), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            best[part] = np.maximum(best[part], (values[part] @ known_values).max(1))
    return best


def _standard(pictures: Pixels) -> npt.NDArray[np.float32]:
    """(n, values) of mean 0 and length 1; a picture of one grey is like no other."""
    values = pictures.reshape(len(pictures), -1).astype(np.float32)
    values -= values.mean(1, keepdims=True)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    values /= np.where(length > 0, length, 1)
    return values


def ordered(folders: Path, copies: Part) -> Part:
    """Pictures in the order of their copies; says how far they are from these."""
    pictures = opened(folders)
    if pictures.classes != copies.classes:
        raise ValueError(
            f"{folders} has the classes {', '.join(pictures.classes)}; wanted {', '.join(copies.classes)}"
        )
    order = np.argsort(places(pictures, copies))
    found = Part(pictures.x[order], pictures.y[order], copies.classes)
    apart = np.abs(found.x.astype(np.int16) - copies.x).mean()
    print(f"{folders.name}: {len(order)} pictures, {apart:.1f} of 255 from their copies on average")
    return found


def compare(train: Pixels, known: Path) -> None:
    """Say that the pictures that came with the copies without loss are those found.

    Raises:
        ValueError: One is another; who leaves out these positions would leave out the wrong pictures.
    """
    with np.load(known, allow_pickle=False) as pictures:
        same = (train[pictures["index"]] == pictures["x"]).all((1, 2, 3))
    found = f"{same.sum()} of {len(same)} pictures of {known.name} are equal"
    if not same.all():
        raise ValueError(found)
    print(found)


def write(out: Path, train: Part, test: Part) -> None:
    """Write both parts, and those of test that look like none of train."""
    alone = np.flatnonzero(likeness(test.x, train.x) <= ALIKE)
    print(f"{len(alone)} of {len(test.y)} pictures of test look like none of train")
    out.mkdir(parents=True, exist_ok=True)
    for name, part in (("train_lossless", train), ("test_lossless", test)):
        np.savez(out / f"cifar10_{name}.npz", x=part.x, y=part.y, index=np.arange(len(part.y)))
    np.savez(out / "cifar10_test_alone.npz", x=test.x[alone], y=test.y[alone], index=alone)
    (out / "classes.json").write_text(json.dumps(test.classes), encoding="utf-8")


def main() -> None:
    """Write both parts, and what is alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("folders", "copies", "out"):
        parser.add_argument(name, type=Path)
    words = parser.parse_args()
    try:
        train = ordered(words.folders / "train", opened(words.copies / "cifar10_train.npz"))
        compare(train.x, words.copies / "cifar10_train_lossless_first1017.npz")
        test = ordered(words.folders / "test", opened(words.copies / "cifar10_test.npz"))
        write(words.out, train, test)
    except (OSError, ValueError, LookupError, SightlineError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
