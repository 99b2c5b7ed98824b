"""Looking at the pictures of a job: the whole is split into parts, and each part is worked off on the road.

Several pictures are on the road at once; what became of them is written in batches, so that neither the
memory nor the database feels how many there are. A picture that fails is an item that failed, nothing more.
"""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final, Self
from weakref import WeakKeyDictionary, finalize

from sightline.errors import DeadlineExceeded, InputError, SightlineError
from sightline.formats import native
from sightline.jobs.inputs import PREDICT, PredictOrder
from sightline.jobs.keeping import keep_all
from sightline.jobs.pictures import Entry, Pictures, words_of
from sightline.jobs.stops import Cancelled, Lost
from sightline.registry import Bundle
from sightline.serving.keeping import THUMBNAIL_SIDE
from sightline.serving.parallel import in_order
from sightline.storage.job_kept import Claim, Item
from sightline.storage.kept import Picture
from sightline.vision import heads
from sightline.vision.tasks import thumbnail_of
from sightline.worker.desk import Desk

PART: Final = f"{PREDICT}.part"
"""The kind of a part of a large job."""
_BATCH: Final = 8
_BATCH_S: Final = 0.5
"""Items are written when there are so many, or the batch before was written so long ago."""
_MOST: Final = 64
"""Items that may wait while the disk is slow; then looking waits too."""
_DISK: Final = 8
"""Thumbnails that are written at once: each waits for its disk, not for the processor."""
_DEADLINE_S: Final = 120.0
"""Of one picture on the road: nobody waits for it at the other end of a line."""
_ANY: Final = "application/octet-stream"
"""Of pictures as strangers sent them: never shown as they are."""

_readers: WeakKeyDictionary[Desk, Pictures] = WeakKeyDictionary()
"""Archives stay open from one part of a job to the next."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What became of one picture."""

    body: Mapping[str, Any] | None = None
    """The result's JSON."""
    thumbnail: bytes = b""
    fetched: bytes = b""
    """The picture itself, where it could not be had again."""
    error: SightlineError | None = None


def predict(desk: Desk, claim: Claim) -> Mapping[str, Any] | None:
    """A whole job: list the pictures, then make parts of them, or look at once where they are few.

    Raises:
        SightlineError: The model or the order is off; no picture was looked at.
    """
    order = PredictOrder.from_json(claim.job.payload)
    bundle = _model(desk, order)
    entries = _reader(desk).listed(order.inputs, lambda: desk.check(claim))
    shard = desk.settings.job_shard
    if len(entries) <= shard and order.inputs.type in (
        "pictures",
        "archive",
        "urls",
    ):  # the list is the same next time
        desk.ledger.progress(claim, 0, len(entries))
        _look_at(desk, claim, _Part(bundle, order, 0, entries))
        return {"parts": 1}
    order = replace(order, model=bundle.reference)  # all parts by the same version
    parts = [
        order.to_json()
        | {"first": first, "pictures": [it.to_json() for it in entries[first : first + shard]]}
        for first in range(0, len(entries), shard)
    ]
    desk.ledger.split(claim, PART, parts, total=len(entries))
    return None


def predict_part(desk: Desk, claim: Claim) -> Mapping[str, Any] | None:
    """A part of a large job."""
    payload = claim.job.payload
    order = PredictOrder.from_json(payload)
    entries = [Entry.from_json(row) for row in payload["pictures"]]
    _look_at(desk, claim, _Part(_model(desk, order), order, payload["first"], entries))
    return None


@dataclass(frozen=True, slots=True)
class _Part:
    bundle: Bundle
    order: PredictOrder
    first: int
    entries: list[Entry]


def _model(desk: Desk, order: PredictOrder) -> Bundle:
    """The model, loaded: what is off with it or the wishes is said before any picture is touched."""
    bundle = desk.road.registry.resolve(order.model or desk.settings.model or None)
    bundle.manifest.at(order.ask.size)
    heads.need(bundle.manifest, order.ask)
    desk.road.load(bundle.reference)
    return bundle


def _reader(desk: Desk) -> Pictures:
    reader = _readers.get(desk)
    if reader is None:
        reader = _readers[desk] = Pictures(desk.settings, desk.ledger.blobs)
        finalize(desk, reader.close)
    return reader


def _look_at(desk: Desk, claim: Claim, part: _Part) -> None:
    done = desk.ledger.done_indexes(claim, part.first, len(part.entries))
    todo = [pair for pair in enumerate(part.entries, part.first) if pair[0] not in done]
    threads = min(desk.settings.decoder_count + 2, desk.settings.waiting_max)
    reader = _reader(desk)
    with _Book(desk, claim) as book:

        def look(pair: tuple[int, Entry]) -> _Seen:
            return _seen(desk, part, reader, pair[1])

        for (index, entry), seen in in_order(todo, look, threads=threads):
            book.add(index, entry, seen)
            desk.check(claim)


def _seen(desk: Desk, part: _Part, reader: Pictures, entry: Entry) -> _Seen:
    """One picture. Its own faults are part of the answer; those of the model end the attempt."""
    try:
        data = reader.read(entry)
    except SightlineError as error:
        return _Seen(error=error)
    fetched = data if entry.kind == "url" else b""
    road, ask = desk.road, part.order.ask
    try:
        result, shown = road.predict_shown(
            data,
            side=THUMBNAIL_SIDE,
            source=entry.source,
            model=part.bundle.reference,
            ask=ask,
            deadline_s=_DEADLINE_S,
        )
    except (InputError, DeadlineExceeded) as error:
        return _Seen(error=error)
    assert shown is not None
    return _Seen(native.to_json(result), thumbnail_of(shown, THUMBNAIL_SIDE), fetched)


class _Book:
    """Collects items and writes them in batches beside the looking; closing it writes what is left.

    One batch is written at a time. What comes meanwhile makes the next one, so batches are as large as the
    disk is slow, and little is left to be waited for at the end of a part.
    """

    def __init__(self, desk: Desk, claim: Claim) -> None:
        self._desk, self._claim = desk, claim
        self._rows: list[tuple[int, Entry, _Seen]] = []
        self._since = time.monotonic()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="book")
        self._disk = ThreadPoolExecutor(_DISK, thread_name_prefix="disk")
        self._writing: Future[None] | None = None

    def add(self, index: int, entry: Entry, seen: _Seen) -> None:
        """Take one; write when there are enough, or the last batch was long ago.

        Raises:
            SightlineError: The batch before could not be written.
            Lost: Somebody else has the job by now.
        """
        self._rows.append((index, entry, seen))
        if self._writing is not None and (self._writing.done() or len(self._rows) >= _MOST):
            self._settle()
        waited = time.monotonic() - self._since
        if self._writing is None and (len(self._rows) >= _BATCH or waited >= _BATCH_S):
            rows, self._rows = self._rows, []
            self._writing = self._writer.submit(self._write, rows)

    def _settle(self) -> None:
        """Wait for the batch that is being written."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()
            self._since = time.monotonic()

    def _write(self, rows: list[tuple[int, Entry, _Seen]]) -> None:
        small = [Picture(seen.thumbnail, "image/jpeg") for _, _, seen in rows if seen.thumbnail]
        whole = [Picture(seen.fetched, _ANY) for _, _, seen in rows if seen.fetched]
        ledger = self._desk.ledger
        thumbnails = iter(keep_all(ledger, small, self._disk, sure=False))
        images = iter(keep_all(ledger, whole, self._disk))
        ledger.put_items(self._claim, [self._item(row, thumbnails, images) for row in rows])

    def _item(self, row: tuple[int, Entry, _Seen], thumbnails: Iterator[str], images: Iterator[str]) -> Item:
        index, entry, seen = row
        thumbnail = next(thumbnails) if seen.thumbnail else None
        image = next(images) if seen.fetched else entry.digest
        root = self._claim.root
        if seen.error is not None:
            return Item(root, index, entry.source, "failed", error=words_of(seen.error), image=image)
        return Item(root, index, entry.source, "done", seen.body, thumbnail=thumbnail, image=image)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None or not issubclass(kind, Lost | Cancelled):
                self._settle()
                self._write(self._rows)
        finally:
            self._writer.shutdown()
            self._disk.shutdown()
