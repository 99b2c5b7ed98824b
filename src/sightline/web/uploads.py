"""Many pictures, or a zip of them, from a form straight into the store: one picture in memory at a time."""

import asyncio
import contextlib
import hashlib
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

from starlette.types import Receive, Scope

from sightline.errors import BadOption, NotAPicture, StorageFull
from sightline.private import private_folder
from sightline.storage.kept import FOLDER, Picture
from sightline.vision.codec import sniff
from sightline.web.form_stream import End, FormStream, Head
from sightline.web.intake import UNPRINTABLE, header
from sightline.web.multipart import FIELDS_MAX, boundary_of
from sightline.web.patience import allowed_s
from sightline.web.problems import BodyTooLarge, TooSlow, WrongMediaType
from sightline.web.services import ClientGone, Services, Ticket

if TYPE_CHECKING:
    from sightline.jobs.ledger import Ledger

FILES: Final = ("image", "archive", "video", "bundle")
_MB: Final = 1024 * 1024
_NAME_MAX: Final = 200
_DAY_S: Final = 86_400.0
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of a form that lies in the store now; ``id`` is its digest."""

    id: str
    name: str
    bytes: int


@dataclass(slots=True)
class Arrived:
    """What a form held."""

    pictures: list[Kept] = field(default_factory=list)
    archive: Kept | None = None
    video: Kept | None = None
    bundle: Kept | None = None
    """A model: what it is shows when a worker takes it in, in a child process."""
    fields: list[tuple[str, str]] = field(default_factory=list)


async def receive_files(scope: Scope, receive: Receive, services: Services, ticket: Ticket) -> Arrived:
    """Read the form and keep its files.

    Raises:
        WrongMediaType: It is no form, or it is compressed.
        BadRequest: It cannot be read.
        BodyTooLarge: The whole has more than ``job_upload_mb``, or one picture more than ``upload_max_mb``.
        BadOption: Files of other names, too many, or none.
        TooSlow: It came too slowly.
        StorageFull: There is no room.
    """
    kind = header(scope, b"content-type")
    if header(scope, b"content-encoding") not in {b"", b"identity"}:
        raise WrongMediaType("The body is compressed (Content-Encoding), which is not accepted.")
    if kind.partition(b";")[0].strip().lower() != b"multipart/form-data":
        raise WrongMediaType(
            f"The content type is {kind[:80].decode('latin-1')!r}.",
            next_step="Send multipart/form-data with files `image`, or one file `archive`.",
        )
    announced = header(scope, b"content-length")
    if announced.isdigit() and int(announced) > services.settings.job_upload_mb * _MB:
        raise _too_large(services.settings.job_upload_mb)
    ledger = await asyncio.to_thread(lambda: services.ledger)
    form = FormStream(boundary_of(kind), parts_max=services.settings.job_pictures_max + FIELDS_MAX + 1)
    with _Desk(services, ledger, ticket) as desk:
        async for data in _chunks(receive, services):
            for event in form.feed(data):
                if isinstance(event, Head):
                    await desk.begin(event)
                elif isinstance(event, End):
                    await desk.end()
                else:
                    await desk.more(event)
        form.close()
        return desk.arrived


async def _chunks(receive: Receive, services: Services) -> AsyncIterator[bytes]:
    """The body, as long as it keeps coming."""
    begun = asyncio.get_running_loop().time()
    patience, limit = services.settings.receive_s, services.settings.job_upload_mb * _MB
    received, more = 0, True
    while more:
        try:
            async with asyncio.timeout_at(begun + allowed_s(patience, received)):
                message = await receive()
        except TimeoutError as error:
            raise TooSlow(f"{received} bytes arrived, then too little for too long.") from error
        if message["type"] == "http.disconnect":
            raise ClientGone
        data: bytes = message.get("body", b"")
        received += len(data)
        if received > limit:
            raise _too_large(limit / _MB)
        more = message.get("more_body", False)
        if data:
            yield data


def _too_large(limit_mb: float) -> BodyTooLarge:
    return BodyTooLarge(
        f"The files of one request may have {limit_mb:g} MB together, these have more.",
        next_step="Send them in several requests (POST /api/v1/uploads), or raise `job_upload_mb`.",
    )


class _Desk:
    """Takes one part after the other; a context, so that nothing half stays behind."""

    def __init__(self, services: Services, ledger: "Ledger", ticket: Ticket) -> None:
        self.arrived = Arrived()
        self._services, self._ledger, self._ticket = services, ledger, ticket
        self._picture_max = int(services.settings.upload_max_mb * _MB)
        self._head: Head | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._spool: _Spool | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._spool is not None:
            self._spool.drop()

    async def begin(self, head: Head) -> None:
        """A part begins; what it may be called."""
        self._head, self._size = head, 0
        if head.filename is None:
            if head.name in FILES:
                raise BadOption(f"{head.name} must be a file, with a file name.")
            if len(self.arrived.fields) >= FIELDS_MAX:
                raise BadOption(f"A form may have {FIELDS_MAX} fields, this one has more.")
            return
        if head.name not in FILES:
            wanted = "'image', 'archive', 'video' or 'bundle'"
            raise BadOption(f"Files are named {wanted}, this one is named {head.name[:60]!r}.")
        most = self._services.settings.job_pictures_max
        if head.name == "image" and len(self.arrived.pictures) >= most:
            raise BadOption(f"A job may have {most} pictures, this form has more.")
        if head.name != "image":
            if getattr(self.arrived, head.name) is not None:
                raise BadOption(f"A form may have one file {head.name!r}, this one has two.")
            folder = self._services.settings.data_path / FOLDER / "spool"
            self._spool = await asyncio.to_thread(_Spool, folder)  # it looks at all files that lie there

    async def more(self, data: bytes) -> None:
        """A piece of the part."""
        self._size += len(data)
        if self._spool is not None:
            await asyncio.to_thread(self._spool.write, data)
            return
        limit = self._picture_max if self._head is not None and self._head.filename is not None else _MB
        if self._size > limit:
            name = clean_path(self._head.filename or "") if self._head is not None else ""
            raise BodyTooLarge(f"{name or 'A field'} is larger than {limit / _MB:g} MB.")
        self._ticket.hold(len(data))
        self._pieces.append(data)

    async def end(self) -> None:
        """The part is whole: keep it."""
        assert self._head is not None
        data = b"".join(self._pieces)
        self._pieces.clear()
        try:
            if self._head.filename is None:
                self.arrived.fields.append((self._head.name, data[:1000].decode("utf-8", "replace")))
                return
            name = clean_path(self._head.filename)
            if self._spool is not None:
                zipped = self._head.name == "archive"
                keep = partial(self._spool.keep, self._ledger, name, zipped=zipped)
                setattr(self.arrived, self._head.name, await asyncio.to_thread(keep))
                self._spool = None
            elif data or name:  # a form whose field was left empty sends a file without a name
                digest = await asyncio.to_thread(self._ledger.keep, Picture(data, media_type(data)))
                self.arrived.pictures.append(Kept(digest, name, len(data)))
        finally:
            self._ticket.release()


class _Spool:
    """A file that is being received, beside the blobs, so that keeping it is a rename."""

    def __init__(self, folder: Path) -> None:
        private_folder(folder)
        _sweep(folder)
        with _on_this_disk():
            handle, name = tempfile.mkstemp(dir=folder)
        self.path = Path(name)
        self._file: IO[bytes] = os.fdopen(handle, "wb")
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        """More of it.

        Raises:
            StorageFull: The disk is full.
        """
        with _on_this_disk():
            self._file.write(data)
        self._hash.update(data)
        self._size += len(data)

    def keep(self, ledger: "Ledger", name: str, *, zipped: bool) -> Kept:
        """It is whole: check that a zip can be read as one of pictures, then keep it.

        What a video or a model is shows when a worker opens it, in a child that may crash.

        Raises:
            BadOption: It is no zip, holds no pictures, or is over a limit for archives.
            StorageFull: The disk is at its reserve, or full.
        """
        from sightline.jobs.keeping import keep_file  # noqa: PLC0415 - the database's library loads when it is wanted

        with _on_this_disk():
            self._file.close()
        if zipped:
            from sightline.storage.folders import need_pictures  # noqa: PLC0415

            need_pictures(self.path, name or "The archive")
        kind = "application/zip" if zipped else "application/octet-stream"
        digest = keep_file(ledger, self.path, kind, self._hash.hexdigest())
        return Kept(digest, name, self._size)

    def drop(self) -> None:
        """It will not be whole."""
        with contextlib.suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)


@contextlib.contextmanager
def _on_this_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFull(f"The file could not be written: {error.strerror or error}.") from error


def _sweep(folder: Path) -> None:
    """Delete what a server left behind that died while it received."""
    for old in folder.iterdir():
        with contextlib.suppress(OSError):
            if old.stat().st_mtime < time.time() - _DAY_S:
                old.unlink()


def media_type(data: bytes) -> str:
    """Of a picture by its first bytes; what is none is kept as such, and its turn says what is wrong."""
    try:
        return f"image/{sniff(data[:64])}"
    except NotAPicture:
        return "application/octet-stream"


def clean_path(name: str) -> str:
    """A file's name with its folders, for people: relative, without odd characters, at most 200 long."""
    parts = [part for part in re.split(r"[/\\]", UNPRINTABLE.sub("", name)) if part not in {"", ".", ".."}]
    return "/".join(parts)[-_NAME_MAX:]


def names_of(kept: list[Kept]) -> Iterator[tuple[str, str]]:
    """(digest, name) of each; who has no name is called by its number."""
    for number, one in enumerate(kept, 1):
        yield one.id, one.name or f"picture {number}"
