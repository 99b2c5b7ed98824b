"""Keeping an answer with its picture: everything above a floor is stored, what was asked for is given back.

One way for HTTP and for cameras, so that a stored result looks the same whoever asked for it.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sightline.formats.selection import select
from sightline.storage.kept import Draft, Picture
from sightline.types import Ask, Frame
from sightline.vision import codec, heads

if TYPE_CHECKING:  # the engines load when serving begins, the database when something is kept
    from sightline.serving.road import Road
    from sightline.storage.store import Store

FLOOR: Final = 0.05
"""Scores below this are not stored; the page's slider ends here."""
RESULTS_MAX: Final = 1000
THUMBNAIL_SIDE: Final = 320


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for, and what of it is given back."""

    wide: Ask
    """For the road: everything down to the floor."""
    narrow: Ask
    """What was asked for, with the model's own thresholds where nothing was."""


def wanted(road: "Road", model: str | None, ask: Ask) -> Wanted:
    """What to ask the road for when the answer is to be kept.

    Raises:
        BadOption: The model has no such label.
        NotFound: There is no such model.
    """
    need = heads.need(road.registry.resolve(model).manifest, ask)
    narrow = Ask(need.min_score, need.max_results, ask.labels)
    least = min(FLOOR, need.min_score or 0)
    return Wanted(Ask(min_score=least, max_results=RESULTS_MAX, size=ask.size), narrow)


def keep(
    road: "Road", store: "Store", picture: bytes | Frame, body: dict[str, Any], ask: Ask
) -> dict[str, Any]:
    """Store the answer ``body`` (made with ``Wanted.wide``) and its picture; give back what ``ask`` wants.

    Raises:
        StorageFull: The disk is at its reserve, or full.
        InputError: The picture cannot be made ready for keeping.
    """
    shown = select(body, ask)
    data = codec.encode(picture.pixels, "image/jpeg", 92) if isinstance(picture, Frame) else picture
    digest = hashlib.sha256(data).hexdigest()
    image, thumbnail = store.pictures_of(digest) or _pictures(road, data, clean=isinstance(picture, Frame))
    store.keep(
        Draft(
            id=body["id"],
            payload=body,
            min_score=ask.min_score or 0.0,
            counts=_counts(shown),
            input_sha256=digest,
            image=image,
            thumbnail=thumbnail,
        )
    )
    return shown


def _counts(body: dict[str, Any]) -> dict[str, int]:
    """How many of each label; and a pipeline's verdict once, so that the history can be searched for it."""
    counts = Counter(found["label"] for found in body["predictions"])
    if "verdict" in body:
        counts[body["verdict"]] += 1
    return dict(counts)


def _pictures(road: "Road", data: bytes, *, clean: bool) -> tuple[Picture, Picture]:
    """The copy that is served (upright, sRGB, no EXIF), unless it is ``clean`` already, and a small one."""
    if clean:
        image = Picture(data, "image/jpeg")
    else:
        again = road.decoder.clean(data)
        image = Picture(again.data, again.media_type)
    small = road.decoder.thumbnail(image.data, THUMBNAIL_SIDE)
    return image, Picture(small, f"image/{codec.sniff(small)}")
