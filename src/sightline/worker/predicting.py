"""Looking at the pictures of a job: the whole is split into parts, and each part is worked off on the road.

Several pictures are on the road at once; what became of them is written in batches, so that neither the
memory nor the database feels how many there are. A picture that fails is an item that failed, nothing more.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final, Self

from sightline.jobs.inputs import PREDICT, PredictOrder
from sightline.jobs.keeping import keep_all
from sightline.jobs.pictures import Entry, words_of
from sightline.jobs.stops import Cancelled, Lost
from sightline.registry import Bundle
from sightline.storage.job_kept import Claim, Item
from sightline.storage.kept import Picture
from sightline.vision import heads
from sightline.worker.desk import Desk
from sightline.worker.looking import Looker, Part, Row

PART: Final = f"{PREDICT}.part"
"""The kind of a part of a large job."""
_BATCH: Final = 16
_BATCH_S: Final = 0.5
"""Items are written when there are so many, or the batch before was written so long ago."""
_MOST: Final = 64
"""Items that may wait while the disk is slow; then looking waits too."""
_DISK: Final = 8
"""Thumbnails that are written at once: each waits for its disk, not for the processor."""
_ANY: Final = "application/octet-stream"
"""Of pictures as strangers sent them: never shown as they are."""

_log = logging.getLogger(__name__)
_lookers: Final[dict[Desk, Looker]] = {}
"""Archives and threads stay from one part of a job to the next."""


def predict(desk: Desk, claim: Claim) -> Mapping[str, Any] | None:
    """A whole job: list the pictures, then make parts of them, or look at once where they are few.

    Raises:
        SightlineError: The model or the order is off; no picture was looked at.
    """
    order = PredictOrder.from_json(claim.job.payload)
    bundle = _model(desk, order)
    entries = _looker(desk).reader.listed(order.inputs, lambda: desk.check(claim))
    shard = desk.settings.job_shard
    if len(entries) <= shard and order.inputs.type in (
        "pictures",
        "archive",
        "urls",
    ):  # the list is the same next time
        desk.ledger.progress(claim, 0, len(entries))
        _look_at(desk, claim, Part(bundle, order, 0, entries))
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
    _look_at(desk, claim, _part(desk, claim))
    return None


def _part(desk: Desk, claim: Claim) -> Part:
    payload = claim.job.payload
    order = PredictOrder.from_json(payload)
    entries = [Entry.from_json(row) for row in payload["pictures"]]
    return Part(_model(desk, order), order, payload["first"], entries)


def _model(desk: Desk, order: PredictOrder) -> Bundle:
    """The model, loaded: what is off with it or the wishes is said before any picture is touched."""
    bundle = desk.road.registry.resolve(order.model or desk.settings.model or None)
    bundle.manifest.at(order.ask.size)
    heads.need(bundle.manifest, order.ask)
    desk.road.load(bundle.reference)
    return bundle


def _looker(desk: Desk) -> Looker:
    looker = _lookers.get(desk)
    if looker is None:
        looker = _lookers[desk] = Looker(desk)
        desk.at_close(lambda: _lookers.pop(desk).close())
    return looker


def _look_at(desk: Desk, claim: Claim, part: Part) -> None:
    looker, asked = _looker(desk), False
    with _Book(desk, claim) as book:
        for row, near_the_end in looker.each(claim, part):
            book.add(row)
            desk.check(claim)
            if near_the_end and not asked:
                asked = True
                _look_ahead(desk, looker, claim)


def _look_ahead(desk: Desk, looker: Looker, claim: Claim) -> None:
    """Begin with the next part, so that the engines have work while this one is written down.

    A picture that kills the process speaks against the part that is written down, whichever it is in. So a
    part that has broken before stays alone.
    """
    if claim.job.kind != PART or claim.job.attempt > 1:
        return
    ahead = desk.take_ahead()
    if ahead is None or ahead.job.kind != PART or ahead.job.attempt > 1:
        return
    try:
        looker.begin(ahead, _part(desk, ahead))
    except Exception:  # noqa: BLE001 - it will say so again when its own turn comes
        _log.info("A part could not begin before its turn.", exc_info=True)


class _Book:
    """Collects items and writes them in batches beside the looking; closing it writes what is left.

    One batch is written at a time. What comes meanwhile makes the next one, so batches are as large as the
    disk is slow, and little is left to be waited for at the end of a part.
    """

    def __init__(self, desk: Desk, claim: Claim) -> None:
        self._desk, self._claim = desk, claim
        self._rows: list[Row] = []
        self._since = time.monotonic()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="book")
        self._disk = ThreadPoolExecutor(_DISK, thread_name_prefix="disk")
        self._writing: Future[None] | None = None

    def add(self, row: Row) -> None:
        """Take one; write when there are enough, or the last batch was long ago.

        Raises:
            SightlineError: The batch before could not be written.
            Lost: Somebody else has the job by now.
        """
        self._rows.append(row)
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

    def _write(self, rows: list[Row]) -> None:
        small = [Picture(seen.thumbnail, "image/jpeg") for _, _, seen in rows if seen.thumbnail]
        whole = [Picture(seen.fetched, _ANY) for _, _, seen in rows if seen.fetched]
        ledger = self._desk.ledger
        thumbnails = iter(keep_all(ledger, small, self._disk, sure=False))
        images = iter(keep_all(ledger, whole, self._disk))
        ledger.put_items(self._claim, [self._item(row, thumbnails, images) for row in rows])

    def _item(self, row: Row, thumbnails: Iterator[str], images: Iterator[str]) -> Item:
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
