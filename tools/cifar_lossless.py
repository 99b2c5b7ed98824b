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

import numpy as np
import numpy.typing as npt

from sightline.errors import BadOption, SightlineError
from sightline.evaluation.data import ClassSet, open_dataset
from sightline.vision import codec

ALIKE = 0.9
"""Nearly all pairs above it are the same photograph, cut or coloured otherwise, or of one series."""
_AT_ONCE = 500
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


def likeness(pictures: Pixels, known: Pixels) -> npt.NDArray[np.float32]:
    """Largest correlation of each picture's pixels, straight or mirrored, with those of a known one (n,)."""
    wall = _standard(known).T
    best = np.full(len(pictures), -1, np.float32)
    for looks in (_standard(pictures), _standard(pictures[:, :, ::-1])):
        for start in range(0, len(looks), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            best[part] = np.maximum(best[part], (looks[part] @ wall).max(1))
    return best


def _standard(pictures: Pixels) -> npt.NDArray[np.float32]:
    """(n, values) of mean 0 and length 1; a picture of one colour is like no other."""
    values = pictures.reshape(len(pictures), -1).astype(np.float32)
    values -= values.mean(1, keepdims=True)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    values /= np.where(length > 0, length, 1)
    return values


def pack(folders: Path, copies: Path, out: Path, part: str) -> tuple[Pixels, Numbers]:
    """Write one part, and say how far its pictures are from their copies; pictures and classes in order."""
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
    print(f"{part}: {len(y)} pictures, {apart:.1f} of 255 from their copies on average")
    return x, y


def compare(train: Pixels, known: Path) -> None:
    """Say how many of the pictures that came with the copies without loss are equal to those found."""
    with np.load(known, allow_pickle=False) as pictures:
        same = (train[pictures["index"]] == pictures["x"]).all((1, 2, 3))
    print(f"{same.sum()} of {len(same)} pictures of {known.name} are equal")


def leave_out_lookalikes(out: Path, test: tuple[Pixels, Numbers], train: Pixels) -> None:
    """Write the pictures of test that are like none of train, and say how many there are."""
    x, y = test
    index = np.flatnonzero(likeness(x, train) <= ALIKE)
    np.savez(out / "cifar10_test_alone.npz", x=x[index], y=y[index], index=index)
    print(f"{len(index)} of {len(x)} pictures of test look like none of train")


def main() -> None:
    """Write both parts, and what is alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("folders", "copies", "out"):
        parser.add_argument(name, type=Path)
    words = parser.parse_args()
    try:
        train, _ = pack(words.folders, words.copies, words.out, "train")
        compare(train, words.copies / "cifar10_train_lossless_first1017.npz")
        test = pack(words.folders, words.copies, words.out, "test")
        leave_out_lookalikes(words.out, test, train)
    except (OSError, ValueError, SightlineError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
