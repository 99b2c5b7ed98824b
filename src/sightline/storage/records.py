"""Stored results as rows. The owner is part of every query by id, so nobody reads another's."""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, insert, or_, select, update

from sightline.errors import BadOption, NotFound
from sightline.storage.database import clock
from sightline.storage.kept import Draft, Page, Picture, Record, Search, Summary
from sightline.storage.tables import blobs, labels, results

_KEPT_S: Final = 3600.0
_IN_ONE: Final = 500
_PLAIN: Final = ("id", "created", "source", "task", "model", "version", "width", "height", "min_score")
_SUMMARY: Final = tuple(results.c[name] for name in (*_PLAIN, "counts"))
"""What lists show; the payload of a picture full of masks is large."""


@dataclass(frozen=True, slots=True)
class Quota:
    """How much is kept, the newest first; 0 is no limit."""

    results: int = 0
    bytes: int = 0


def add(connection: Connection, draft: Draft, *, created: float, image: str, thumbnail: str) -> None:
    """Insert the row and its labels."""
    body = draft.payload
    connection.execute(
        insert(results).values(
            id=draft.id,
            owner=draft.owner,
            created=created,
            source=str(body["source"])[:300],
            task=body["task"],
            model=body["model"]["name"],
            version=body["model"]["version"],
            model_digest=body["model"]["digest"],
            width=body["image"]["width"],
            height=body["image"]["height"],
            input_sha256=draft.input_sha256,
            image=image,
            thumbnail=thumbnail,
            min_score=draft.min_score,
            counts=json.dumps(dict(draft.counts)),
            payload=zlib.compress(json.dumps(body, separators=(",", ":")).encode(), 6),
        )
    )
    if draft.counts:
        names = sorted({label[:200] for label in draft.counts})
        connection.execute(insert(labels), [{"result": draft.id, "label": name} for name in names])


def get(connection: Connection, owner: str, result_id: str) -> Record:
    """One record.

    Raises:
        NotFound: No such id, or it is somebody else's.
    """
    row = connection.execute(
        select(results).where(results.c.id == result_id, results.c.owner == owner)
    ).one_or_none()
    if row is None:
        raise _no_such(result_id)
    return Record(
        **_summary_fields(row),
        input_sha256=row.input_sha256,
        image=row.image,
        thumbnail=row.thumbnail,
        payload=json.loads(zlib.decompress(row.payload)),
    )


def page(connection: Connection, owner: str, search: Search) -> Page:
    """The newest results that match, after the place where the page before ended."""
    wanted = _matching(select(*_SUMMARY), owner, search)
    total = connection.execute(select(func.count()).select_from(wanted.subquery())).scalar_one()
    if search.before:
        created, result_id = _place(search.before)
        earlier = results.c.created < created
        wanted = wanted.where(or_(earlier, and_(results.c.created == created, results.c.id < result_id)))
    newest = wanted.order_by(results.c.created.desc(), results.c.id.desc()).limit(search.limit + 1)
    rows = connection.execute(newest).all()
    shown = rows[: search.limit]
    more = f"{shown[-1].created!r}_{shown[-1].id}" if len(rows) > search.limit else None
    return Page(tuple(Summary(**_summary_fields(row)) for row in shown), more, total)


def remove(connection: Connection, owner: str, result_id: str) -> list[str]:
    """Delete a row; answer the digests of the blobs that nobody points to any more.

    Raises:
        NotFound: No such id, or it is somebody else's.
    """
    pair = pictures(connection, owner, result_id)
    connection.execute(delete(results).where(results.c.id == result_id, results.c.owner == owner))
    return [digest for digest in pair if release(connection, digest)]


def pictures(connection: Connection, owner: str, result_id: str) -> tuple[str, str]:
    """(image, thumbnail) digests of one result, without reading the rest of it.

    Raises:
        NotFound: No such id, or it is somebody else's.
    """
    both = select(results.c.image, results.c.thumbnail)
    row = connection.execute(both.where(results.c.id == result_id, results.c.owner == owner)).one_or_none()
    if row is None:
        raise _no_such(result_id)
    return row.image, row.thumbnail


def expired(connection: Connection, *, before: float, quota: Quota) -> list[tuple[str, str]]:
    """(owner, id) of rows older than ``before`` or beyond the quota, the oldest first.

    A picture that several results show counts once, for the newest of them.
    """
    size = {row.digest: row.bytes for row in connection.execute(select(blobs.c.digest, blobs.c.bytes))}
    names = (results.c.owner, results.c.id, results.c.created, results.c.image, results.c.thumbnail)
    newest_first = select(*names).order_by(results.c.created.desc(), results.c.id.desc())
    gone, total = [], 0
    for number, row in enumerate(connection.execute(newest_first)):
        total += size.pop(row.image, 0) + size.pop(row.thumbnail, 0)
        many = quota.results and number >= quota.results
        if row.created < before or many or (quota.bytes and total > quota.bytes):
            gone.append((row.owner, row.id))
    return gone[::-1]


def all_digests(connection: Connection) -> set[str]:
    """Of every blob that a row points to."""
    return set(connection.execute(select(blobs.c.digest)).scalars())


def known_input(connection: Connection, input_sha256: str) -> tuple[str, str] | None:
    """(image, thumbnail) digests of an earlier answer about the same bytes, if there is one."""
    same = select(results.c.image, results.c.thumbnail).where(results.c.input_sha256 == input_sha256).limit(1)
    row = connection.execute(same).one_or_none()
    return None if row is None else (row.image, row.thumbnail)


def claim(connection: Connection, digest: str, picture: Picture) -> None:
    """One more row points to this blob."""
    raised = connection.execute(update(blobs).where(blobs.c.digest == digest).values(refs=blobs.c.refs + 1))
    if not raised.rowcount:
        row = {"digest": digest, "media_type": picture.media_type, "bytes": len(picture.data), "refs": 1}
        connection.execute(insert(blobs).values(**row))


def release(connection: Connection, digest: str) -> bool:
    """One row less points to this blob; true when it was the last.

    What was put here for a job in the last hour stays: the job's row may be about to be written.
    """
    connection.execute(update(blobs).where(blobs.c.digest == digest).values(refs=blobs.c.refs - 1))
    gone = connection.execute(delete(blobs).where(blobs.c.digest == digest, _is_loose()))
    return bool(gone.rowcount)


def keep(connection: Connection, digest: str, media_type: str, size: int) -> None:
    """Note that a blob is being put here for a job; it stays for an hour at least."""
    noted = connection.execute(update(blobs).where(blobs.c.digest == digest).values(kept=clock()))
    if not noted.rowcount:
        row = {"digest": digest, "media_type": media_type, "bytes": size, "refs": 0, "kept": clock()}
        connection.execute(insert(blobs).values(**row))


def keep_all(connection: Connection, files: Mapping[str, tuple[str, int]]) -> None:
    """The same for many at once, by digest: media type and bytes."""
    for digests in _stretches(sorted(files)):
        noted = update(blobs).where(blobs.c.digest.in_(digests)).values(kept=clock())
        there = set(connection.execute(noted.returning(blobs.c.digest)).scalars())
        new = [
            {"digest": digest, "media_type": files[digest][0], "bytes": files[digest][1], "refs": 0}
            for digest in digests
            if digest not in there
        ]
        if new:
            connection.execute(insert(blobs).values(kept=clock()), new)


def _stretches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Lists that fit into one statement."""
    for start in range(0, len(names), _IN_ONE):
        yield names[start : start + _IN_ONE]


def forget_loose(connection: Connection, limit: int) -> list[str]:
    """Delete rows of blobs that nothing points to; their digests."""
    loose = select(blobs.c.digest).where(_is_loose()).limit(limit)
    return list(
        connection.execute(delete(blobs).where(blobs.c.digest.in_(loose)).returning(blobs.c.digest)).scalars()
    )


def _is_loose() -> ColumnElement[bool]:
    return and_(blobs.c.refs <= 0, or_(blobs.c.kept.is_(None), blobs.c.kept < clock() - _KEPT_S))


def media_type(connection: Connection, digest: str) -> str:
    """The media type of a kept blob.

    Raises:
        NotFound: The digest is not kept.
    """
    found = connection.execute(
        select(blobs.c.media_type).where(blobs.c.digest == digest)
    ).scalar_one_or_none()
    if found is None:
        raise NotFound("The stored picture is gone.", next_step="Send the picture again.")
    return str(found)


def is_claimed(connection: Connection, digest: str) -> bool:
    """Whether any row points to this blob."""
    return (
        connection.execute(select(blobs.c.digest).where(blobs.c.digest == digest)).one_or_none() is not None
    )


def _no_such(result_id: str) -> NotFound:
    return NotFound(
        f"There is no stored result {result_id[:64]!r}.",
        next_step="It may have been deleted or have passed its retention; look at the picture again.",
    )


def _matching(query: Select[Any], owner: str, search: Search) -> Select[Any]:
    query = query.where(results.c.owner == owner)
    if search.label:
        having = select(labels.c.result).where(labels.c.label == search.label)
        query = query.where(results.c.id.in_(having))
    if search.model:
        query = query.where(results.c.model == search.model)
    if search.text:
        query = query.where(results.c.source.icontains(search.text, autoescape=True))
    return query


def _place(cursor: str) -> tuple[float, str]:
    created, _, result_id = cursor.partition("_")
    try:
        return float(created), result_id
    except ValueError as error:
        raise BadOption(f"before must be the `next` of an earlier page, got {cursor[:80]!r}.") from error


def _summary_fields(row: Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _PLAIN} | {"counts": json.loads(row.counts)}
