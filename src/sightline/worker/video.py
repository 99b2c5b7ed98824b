"""A video as a job: an annotated film, what was in each frame, and how many objects there were.

The whole video is one attempt: objects go on from frame to frame. An attempt that breaks begins again. Its
three files are items of the job: the film with a poster, ``objects.csv``, and ``frames.jsonl``.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from sightline.errors import NotFound, presentable
from sightline.jobs.keeping import keep_file
from sightline.jobs.video import VideoOrder
from sightline.private import private_folder
from sightline.serving.keeping import THUMBNAIL_SIDE
from sightline.storage.job_kept import Claim, Item
from sightline.storage.kept import Picture
from sightline.vision import codec
from sightline.watching import film
from sightline.watching.source import Source
from sightline.watching.writer import MEDIA_TYPE
from sightline.worker.desk import Desk
from sightline.worker.places import copy

_TELL_S: Final = 0.5
_TABLE: Final = "text/csv"
_LINES: Final = "application/x-ndjson"


def video(desk: Desk, claim: Claim) -> Mapping[str, Any]:
    """Look at every frame (or at a pace) and keep what came of it.

    Raises:
        SightlineError: It is no video, or the model or the wish is off.
        Stop: The job was cancelled or taken away, or the worker is being stopped.
    """
    order = VideoOrder.from_json(claim.job.payload)
    bundle = desk.road.registry.resolve(order.model or desk.settings.model or None)
    desk.road.load(bundle.reference)
    wish = film.Wish(bundle.reference, order.ask, order.every_s, order.side)
    private_folder(desk.settings.data_path)
    with tempfile.TemporaryDirectory(prefix=".video-", dir=desk.settings.data_path) as name:
        folder = Path(name)
        source = _source(desk, claim, order, folder)
        made = film.make(desk.road, source, folder, wish, _Teller(desk, claim))
        files = _keep(desk, claim, order, made)
    desk.ledger.progress(claim, made.frames, made.frames)
    return {
        "frames": made.frames,
        "seconds": made.seconds,
        "fps": made.fps,
        "width": made.width,
        "height": made.height,
        "counts": made.counts,
        "verdicts": made.verdicts,
        "objects": made.objects,
        "files": files,
    }


class _Teller:
    """Progress for people, and the question whether to go on, at each frame."""

    def __init__(self, desk: Desk, claim: Claim) -> None:
        self._desk, self._claim = desk, claim
        self._told = float("-inf")

    def __call__(self, done: int, total: int) -> None:
        self._desk.check(self._claim)
        now = time.monotonic()
        if now - self._told >= _TELL_S:
            self._told = now
            self._desk.ledger.progress(self._claim, done, max(total, done))


def _source(desk: Desk, claim: Claim, order: VideoOrder, folder: Path) -> Source:
    if order.type == "file":
        path = Path(order.place)
        if not path.is_file():
            raise NotFound(f"There is no file {order.place} on the worker's machine.")
        return Source("file", presentable(order.name), str(path))
    path = folder / "input"
    copy(desk, order.place, path)
    desk.check(claim)
    return Source("file", presentable(order.name), str(path))


def _keep(desk: Desk, claim: Claim, order: VideoOrder, made: film.Made) -> list[dict[str, Any]]:
    """Put the files among the job's items, and say what they are."""
    stem = presentable(PurePosixPath(order.name).stem) or "video"
    poster = desk.road.decoder.thumbnail(codec.encode(made.poster, "image/jpeg"), THUMBNAIL_SIDE)
    found = [(f"{stem}.csv", _TABLE, made.table), (f"{stem}.jsonl", _LINES, made.lines)]
    if made.film is not None:
        found.insert(0, (f"{stem}.webm", MEDIA_TYPE, made.film))
    items, files = [], []
    for index, (name, media_type, path) in enumerate(found):
        size = path.stat().st_size
        digest = keep_file(desk.ledger, path, media_type)
        item = Item(claim.root, index, name, "done", image=digest)
        if media_type == MEDIA_TYPE:
            item = replace(item, thumbnail=desk.ledger.keep(Picture(poster, "image/jpeg")))
        items.append(item)
        files.append({"name": name, "media_type": media_type, "digest": digest, "bytes": size})
    desk.check(claim)
    desk.ledger.put_items(claim, items)
    return files
