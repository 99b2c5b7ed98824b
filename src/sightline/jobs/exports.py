"""The results of a job as one file that is written while it is read: JSON lines, CSV, COCO, or a zip.

Whoever reads decides the pace, and nothing is held but a page of items: a job of 100,000 pictures takes no
more memory than one of ten.
"""

import csv
import io
import json
import time
import zipfile
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Literal, TypeVar

from sightline.errors import BadOption, SightlineError
from sightline.formats import coco, native, table
from sightline.formats.content import file_name
from sightline.jobs.inputs import PREDICT, PredictOrder
from sightline.jobs.ledger import Ledger
from sightline.jobs.pictures import Pictures, Words, words_of
from sightline.jobs.video import VIDEO
from sightline.storage.blobs import Stored
from sightline.storage.job_kept import Item, Job
from sightline.storage.kept import ME
from sightline.types import Classification, Result, Staged

Format = Literal["jsonl", "csv", "coco", "zip"]
MEDIA_TYPES: Final[dict[Format, str]] = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "coco": "application/json",
    "zip": "application/zip",
}
_SUFFIXES: Final[dict[Format, str]] = {"jsonl": ".jsonl", "csv": ".csv", "coco": "-coco.json", "zip": ".zip"}
FORMATS: Final[dict[str, tuple[Format, ...]]] = {
    PREDICT: ("jsonl", "csv", "coco", "zip"),
    VIDEO: ("jsonl", "csv", "zip"),
}
"""What each kind of job may be asked for; the other kinds are told by the job itself."""
_PAGE: Final = 50
_DRAWN: Final = 4
"""Pictures that are drawn at once."""

T = TypeVar("T")
Draw = Callable[[bytes, Result, str], bytes]
"""Picture, result and media type → the annotated picture: ``Decoder.draw``."""


@dataclass(frozen=True, slots=True)
class Export:
    """A file to be; ``chunks`` writes it. Close the iterator when nobody reads any more."""

    name: str
    media_type: str
    chunks: Generator[bytes, None, None]


def export(
    kind: Format, ledger: Ledger, job_id: str, *, owner: str = ME, pictures: Pictures, draw: Draw
) -> Export:
    """What became of a job's pictures so far.

    Args:
        kind: ``zip`` holds the annotated pictures, a JSON file for each, and ``errors.csv``.
        ledger: Of the job.
        job_id: Which job.
        owner: Whose job.
        pictures: Reads the pictures that are to be drawn on.
        draw: Draws.

    Raises:
        NotFound: As ``Ledger.get``.
        BadOption: The job does not have this format, or the format cannot say what its pictures hold. The
            message says which formats the job has.
    """
    job = ledger.get(job_id, owner=owner)
    if kind not in FORMATS.get(job.kind, ()):
        raise _refused(f"A job of the kind {job.kind!r} has no results as `{kind}`.", job)
    if job.kind == VIDEO:
        return _of_video(kind, ledger, job, owner)
    source = _Items(ledger, job, owner)
    if kind == "coco":
        source.check_boxes()
    chunks = {
        "jsonl": lambda: _jsonl(source),
        "csv": lambda: _csv(source),
        "coco": lambda: _coco(source),
        "zip": lambda: _zip(source, pictures, draw),
    }[kind]()
    return Export(f"job-{job.id[:8]}{_SUFFIXES[kind]}", MEDIA_TYPES[kind], chunks)


def _refused(why: str, job: Job, *but: Format) -> BadOption:
    """Why not, and which formats this job has, all `but` those."""
    rest = [f"`{one}`" for one in FORMATS.get(job.kind, ()) if one not in but]
    if not rest:
        place = f"GET /api/v1/jobs/{job.id}, or `sightline jobs show {job.id[:8]} --json`"
        return BadOption(why, next_step=f"It has no files: its result is part of the job itself: {place}.")
    return BadOption(why, next_step=f"This job has {', '.join(rest[:-1])} and {rest[-1]}.")


def _of_video(kind: Format, ledger: Ledger, job: Job, owner: str) -> Export:
    """The table, the lines, or all that was made of a video as it lies there; a film is not packed again."""
    files = {PurePosixPath(item.source).suffix: item for item in ledger.items(job.id, owner=owner).items}
    if not files:
        raise BadOption(
            f"The job of a video is {job.state} and has made no files{'' if job.ended else ' yet'}.",
            next_step="Retry it, and ask again once it is done."
            if job.ended
            else "Ask again once it is done.",
        )

    def file_of(item: Item) -> Stored:
        assert item.image is not None  # each of its files is a blob
        return ledger.file(job.id, item.image, owner=owner)

    def plain() -> Generator[bytes, None, None]:
        yield from file_of(files[f".{kind}"]).pieces()

    def packed() -> Generator[bytes, None, None]:
        pipe = _Pipe()
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
            for item in files.values():
                file = file_of(item)
                about = zipfile.ZipInfo(item.source, time.localtime()[:6])
                about.external_attr, about.file_size = 0o600 << 16, file.size()
                with archive.open(about, "w") as member:
                    for piece in file.pieces():
                        member.write(piece)
                        yield pipe.taken()
        yield pipe.taken()

    made = packed() if kind == "zip" else plain()
    return Export(f"job-{job.id[:8]}{_SUFFIXES[kind]}", MEDIA_TYPES[kind], made)


class _Items:
    """The items of a job, a page at a time, as often as wanted."""

    def __init__(self, ledger: Ledger, job: Job, owner: str) -> None:
        self.ledger, self.job, self.owner = ledger, job, owner

    def pages(self) -> Iterator[tuple[Item, ...]]:
        after: int | None = -1
        while after is not None:
            page = self.ledger.items(self.job.id, owner=self.owner, after=after, limit=_PAGE)
            yield page.items
            after = page.next

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            yield from page

    def results(self) -> Iterator[tuple[Item, Result]]:
        for item in self:
            if item.result is not None:
                yield item, native.from_json(dict(item.result))

    def check_boxes(self) -> None:
        """Say before the first byte that the format does not fit."""
        for _, result in self.results():
            match result.prediction:
                case Classification() | Staged(first=Classification()):
                    why = f"COCO describes boxes, but {result.model.name!r} classifies whole pictures."
                    raise _refused(why, self.job, "coco")
            return


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _jsonl(items: _Items) -> Generator[bytes, None, None]:
    for page in items.pages():
        yield b"".join(
            _line(
                {
                    "index": item.index,
                    "source": item.source,
                    "state": item.state,
                    "result": item.result,
                    "error": item.error,
                }
            )
            for item in page
        )


def _csv(items: _Items) -> Generator[bytes, None, None]:
    head, _, _ = table.csv([], {}).partition("\r\n")
    yield f"{head}\r\n".encode()
    for item, result in items.results():
        yield table.csv([result], {result.id: item.image or ""}).partition("\r\n")[2].encode()


def _coco(items: _Items) -> Generator[bytes, None, None]:
    """Three walks over the items: which labels there are, the images, then what is in them."""
    names = {int(row["label_id"]): str(row["label"]) for item in items for row in _rows(item)}
    category = {
        label: place for place, label in enumerate(dict.fromkeys(names[it] for it in sorted(names)), 1)
    }
    yield b'{"info":{"description":"Made by Sightline. Category ids are 1..K in the order of the labels."},'
    kinds = [{"id": place, "name": label, "supercategory": ""} for label, place in category.items()]
    yield b'"licenses":[],"categories":' + _line(kinds).rstrip() + b',\n"images":[\n'
    yield from _joined(_image(item, result) for item, result in items.results())
    yield b'\n],"annotations":[\n'
    yield from _joined(_annotations(items, category))
    yield b"\n]}\n"


def _rows(item: Item) -> list[dict[str, Any]]:
    return [] if item.result is None else item.result["predictions"]


def _joined(values: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    for number, value in enumerate(values):
        yield (b",\n" if number else b"") + _line(value).rstrip(b"\n")


def _image(item: Item, result: Result) -> dict[str, Any]:
    told = {"verdict": result.prediction.verdict} if isinstance(result.prediction, Staged) else {}
    size = {"width": result.width, "height": result.height}
    return {"id": item.index + 1, "file_name": file_name(result)} | size | told


def _annotations(items: _Items, category: dict[str, int]) -> Iterator[dict[str, Any]]:
    count = 0
    for item, result in items.results():
        for row in coco.rows(result, item.index + 1, category):
            count += 1
            area = row["area"] if "area" in row else row["bbox"][2] * row["bbox"][3]
            yield {"id": count, **row, "area": area, "iscrowd": 0}


class _Pipe(io.RawIOBase):
    """What zipfile writes to; taken away as soon as it is there."""

    def __init__(self) -> None:
        super().__init__()
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """All that was written since the last call."""
        found, self._written = b"".join(self._written), []
        return found


def _drawing(items: _Items, pictures: Pictures, draw: Draw) -> Callable[[Item], tuple[str, bytes] | Words]:
    inputs = PredictOrder.from_json(items.job.payload).inputs

    def drawn(item: Item) -> tuple[str, bytes] | Words:
        """The annotated picture with the end of its name, or why there is none."""
        if item.result is None:
            return dict(item.error or {})
        result = native.from_json(dict(item.result))
        png = item.source.lower().endswith(".png")
        try:
            data = (
                items.ledger.picture(items.job.id, item.image, owner=items.owner).data
                if item.image
                else pictures.locate(inputs, item.source)
            )
            return (".png" if png else ".jpg"), draw(data, result, "image/png" if png else "image/jpeg")
        except SightlineError as error:
            return words_of(error)

    return drawn


def _zip(items: _Items, pictures: Pictures, draw: Draw) -> Generator[bytes, None, None]:
    drawn = _drawing(items, pictures, draw)
    pipe, errors = _Pipe(), io.StringIO()
    rows = csv.writer(errors, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    rows.writerow(["index", "source", "code", "message", "next_step"])
    with (
        ThreadPoolExecutor(_DRAWN, thread_name_prefix="draw") as threads,
        zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive,
    ):
        for item, outcome in _in_groups(items, drawn, threads):
            stem = f"{item.index:06d}-{_safe_name(item.source)}"
            if isinstance(outcome, tuple):
                archive.writestr(f"{stem}_annotated{outcome[0]}", outcome[1])
            else:
                rows.writerow([item.index, table.safe(item.source), *_told(outcome)])
            if item.result is not None:
                archive.writestr(f"{stem}.json", _line(item.result), zipfile.ZIP_DEFLATED)
            yield pipe.taken()
        archive.writestr("errors.csv", errors.getvalue().encode(), zipfile.ZIP_DEFLATED)
    yield pipe.taken()


def _in_groups(
    items: _Items, work: Callable[[Item], T], threads: ThreadPoolExecutor
) -> Iterator[tuple[Item, T]]:
    for page in items.pages():
        for start in range(0, len(page), _DRAWN):
            group = page[start : start + _DRAWN]
            yield from zip(group, threads.map(work, group), strict=True)


def _told(words: Words) -> list[str]:
    return [table.safe(words.get(name, "")) for name in ("code", "message", "next_step")]


def _safe_name(source: str) -> str:
    """The last part of the source without its ending, in letters that every file system takes."""
    stem = PurePosixPath(source.replace("\\", "/").split("?")[0]).stem
    return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in stem)[:80] or "picture"
