"""Pictures of CIFAR-10 without loss, from a batch of its Python version, whole or cut short.

    python tools/cifar_lossless.py BATCH PICTURES.npz

Writes ``x`` (n, 32, 32, 3) uint8 RGB, ``y`` (n,) labels 0..9 and ``index`` (n,) positions in the batch, and
``classes.json`` beside it. The batch is a pickle, and pickles may run code: this one is read as bytes, opcode
by opcode, and nothing is built from it (format: A. Krizhevsky, cs.toronto.edu/~kriz/cifar.html).
"""

import argparse
import json
import pickletools
import struct
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SIDE = 32
_PICTURES = 10_000
_BYTES = 3 * SIDE * SIDE
_LONG = b"T" + struct.pack("<I", _PICTURES * _BYTES)
"""The opcode of a long string, and how long that of the pictures is."""


def pictures(batch: bytes) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The whole pictures in a batch, and their labels.

    Raises:
        ValueError: This is no batch, or it ends before its pictures.
    """
    start = batch.find(_LONG)
    if start < 0:
        raise ValueError("no pictures in it; wanted: a batch of CIFAR-10's Python version")
    count = min(_PICTURES, (len(batch) - start - len(_LONG)) // _BYTES)
    values = np.frombuffer(batch, np.uint8, count * _BYTES, start + len(_LONG))
    return values.reshape(count, 3, SIDE, SIDE).transpose(0, 2, 3, 1), _labels(batch[:start], count)


def _labels(head: bytes, count: int) -> npt.NDArray[np.int64]:
    """The first ``count`` small numbers before the pictures; ``head`` ends in the middle of the pickle."""
    found: list[int] = []
    try:
        for code, value, _ in pickletools.genops(head):
            if code.name == "BININT1":
                found.append(int(value or 0))
    except ValueError:
        pass  # the end of the head
    if len(found) < count:
        raise ValueError(f"{len(found)} labels for {count} pictures")
    return np.array(found[:count], np.int64)


def main() -> None:
    """Write the pictures and say how many there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("batch", type=Path)
    parser.add_argument("out", type=Path)
    words = parser.parse_args()
    try:
        x, y = pictures(words.batch.read_bytes())
    except (OSError, ValueError) as error:
        sys.exit(f"{words.batch}: {error}")
    words.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(words.out, x=x, y=y, index=np.arange(len(y)))
    words.out.with_name("classes.json").write_text(json.dumps(CLASSES), encoding="utf-8")
    print(f"{len(y)} pictures")


if __name__ == "__main__":
    main()
