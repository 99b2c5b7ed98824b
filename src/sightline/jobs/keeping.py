"""Many small files of a job at once, and large ones as they lie; `Ledger.keep` takes one from memory."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.storage import records
from sightline.storage.blobs import digest_of
from sightline.storage.kept import Picture

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from sightline.jobs.ledger import Ledger


def keep_all(
    ledger: "Ledger", pictures: Sequence[Picture], threads: Executor, *, sure: bool = True
) -> list[str]:
    """The digests, in order; the files stay for an hour at least, and as long as an item names them.

    Args:
        ledger: Of the job.
        pictures: What to keep.
        threads: Write the files: each waits for its disk, not for the processor.
        sure: As in ``Blobs.put``.

    Raises:
        StorageFull: The disk is at its reserve, or full.
    """
    found = {digest_of(picture.data): picture for picture in pictures}
    if not found:
        return []
    ledger.blobs.check_space(sum(len(picture.data) for picture in found.values()))

    def note(connection: "Connection") -> None:
        rows = {digest: (picture.media_type, len(picture.data)) for digest, picture in found.items()}
        records.keep_all(connection, rows)

    ledger.database.write(note, alone=True)  # first: from now on nobody deletes the files
    for _ in threads.map(partial(ledger.blobs.put, sure=sure), [picture.data for picture in found.values()]):
        pass  # each may raise
    return [digest_of(picture.data) for picture in pictures]


def keep_file(ledger: "Ledger", file: Path, media_type: str, digest: str = "") -> str:
    """The digest of a file of this machine, which is moved among the kept ones and never in memory.

    Args:
        ledger: Of the job.
        file: Lies in the data folder, so that moving it is a rename.
        media_type: What it is.
        digest: If it is known.

    Raises:
        StorageFull: The disk is at its reserve, or full.
    """
    size = file.stat().st_size
    if not digest:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    ledger.blobs.check_space()  # its bytes are on the disk already
    noted = partial(records.keep, digest=digest, media_type=media_type, size=size)
    ledger.database.write(noted, alone=True)  # first: from now on nobody deletes the file
    ledger.blobs.put_file(file, digest)
    return digest
