"""Many small files of a job at once, in one transaction; `Ledger.keep` takes one for each."""

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
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
