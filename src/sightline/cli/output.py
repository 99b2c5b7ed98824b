"""Results → standard output in the format that was asked for, and files into ``--save``."""

import json
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TextIO

from sightline.cli.terminal import clean, columns
from sightline.errors import BadOption, SightlineError
from sightline.formats import coco, native, table, text, voc, yolo
from sightline.types import Classification, Detections, Result, Segments, Staged


class Writer(ABC):
    """``add`` each result, note each failure, ``end`` once."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout

    @abstractmethod
    def add(self, result: Result, digest: str = "", /) -> None:
        """Take one answer, in order; ``digest`` is the SHA-256 of the picture's bytes, if it is known."""

    def fail(self, source: str, error: SightlineError) -> None:  # noqa: B027 - most formats have no place for it
        """Take note of a picture without an answer."""

    def end(self) -> None:  # noqa: B027 - most formats write at once
        """Write what had to wait for the last answer."""

    def line(self, words: str) -> None:
        """Write one line (or several) at once."""
        self.stream.write(words + "\n")
        self.stream.flush()


def open_writer(kind: str, *, many: bool, saved: Path | None) -> Writer:
    """The writer for one of the formats that ``sightline predict`` offers.

    Raises:
        BadOption: Formats of one file a picture have nowhere to put several.
    """
    if kind in {"yolo", "voc"} and many and saved is None:
        raise BadOption(
            f"{kind} makes one file for each picture, and there may be several pictures.",
            next_step="Say where they shall go: --save FOLDER.",
        )
    if kind == "json":
        return _JsonList() if many else _JsonOne()
    if kind in {"yolo", "voc"}:
        return _PerPicture(kind, silent=saved is not None)
    kinds: dict[str, type[Writer]] = {"table": _Table, "csv": _Csv, "coco": _Coco}
    return kinds[kind]()


class _Table(Writer):
    def add(self, result: Result, _digest: str = "", /) -> None:
        self.line(for_people(result))


class _JsonOne(Writer):
    def add(self, result: Result, _digest: str = "", /) -> None:
        self.line(json.dumps(native.to_json(result), ensure_ascii=False, indent=2))


class _JsonList(Writer):
    """``{"results": […], "errors": […]}``, written while it grows, one answer a line."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._errors: list[dict[str, str]] = []

    def add(self, result: Result, _digest: str = "", /) -> None:
        head = '{"results": [\n' if self._count == 0 else ",\n"
        self.stream.write(head + json.dumps(native.to_json(result), ensure_ascii=False))
        self.stream.flush()
        self._count += 1

    def fail(self, source: str, error: SightlineError) -> None:
        self._errors.append(
            {"source": source, "code": error.code, "detail": error.message, "next_step": error.next_step}
        )

    def end(self) -> None:
        head = '{"results": [' if self._count == 0 else "\n"
        self.line(f'{head}], "errors": {json.dumps(self._errors, ensure_ascii=False)}}}')


class _Csv(Writer):
    """One header, then rows as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._began = False

    def add(self, result: Result, digest: str = "", /) -> None:
        head, _, rows = table.csv([result], {result.id: digest}).partition("\n")
        self.stream.write(rows if self._began else f"{head}\n{rows}")
        self.stream.flush()
        self._began = True


class _Coco(Writer):
    """One document over all pictures, so it has to wait for the last."""

    def __init__(self) -> None:
        super().__init__()
        self._results: list[Result] = []

    def add(self, result: Result, _digest: str = "", /) -> None:
        self._results.append(result)

    def end(self) -> None:
        if self._results:
            self.line(coco.dumps(self._results).rstrip("\n"))


class _PerPicture(Writer):
    def __init__(self, kind: str, *, silent: bool) -> None:
        super().__init__()
        self._kind, self._silent = kind, silent

    def add(self, result: Result, _digest: str = "", /) -> None:
        if not self._silent:
            self.stream.write(sidecar(self._kind, result)[1])
            self.stream.flush()


def sidecar(kind: str, result: Result) -> tuple[str, str]:
    """Suffix and text of the file that stands beside a saved picture."""
    if kind == "yolo":
        return ".txt", yolo.write(result)
    return ".xml", voc.write(result)


def for_people(result: Result) -> str:
    """The block of one picture: a sentence, then one line for each thing in it."""
    head = f"{clean(result.source)} ({result.width} x {result.height}): {clean(text.describe(result))}"
    rows = _rows(result)
    return f"{head}\n{columns(rows, right=frozenset({0, 2, 3, 4, 5}), indent='  ')}" if rows else head


def _rows(result: Result) -> list[list[str]]:
    found = result.prediction
    if isinstance(found, Classification):
        return [
            [f"{score:.2f}", clean(result.labels[label])]
            for score, label in zip(found.score, found.label, strict=True)
        ]
    if isinstance(found, Staged):
        return _stages(result, found)
    boxes = found.detections if isinstance(found, Segments) else found
    return [
        [f"{score:.2f}", clean(result.labels[label]), *(f"{side:.0f}" for side in box)]
        for box, score, label in zip(boxes.xyxy, boxes.score, boxes.label, strict=True)
    ]


def _stages(result: Result, found: Staged) -> list[list[str]]:
    """Rows of the first stage, and in the last column what the second said of each."""
    first, rows = found.first, []
    for place, (score, label) in enumerate(zip(first.score, first.label, strict=True)):
        sides = first.xyxy[place] if isinstance(first, Detections) else ()
        said, then = found.verdicts[place], found.then[place]
        words = (
            [
                f"{part:.2f} {clean(found.labels[number])}"
                for part, number in zip(then.score[:2], then.label[:2], strict=True)
            ]
            if then is not None
            else []
        )
        told = f"{clean(said)} ({', '.join(words)})" if said else ""
        rows.append([f"{score:.2f}", clean(result.labels[label]), *(f"{side:.0f}" for side in sides), told])
    return rows
