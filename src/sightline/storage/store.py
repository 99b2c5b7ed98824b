"""The store: stored results with their pictures, one call per wish.

Rows and blobs move together: the database's write lock is held while a blob is written or deleted, so a
picture that two results share is never deleted under the second one.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine

from sightline.errors import NotFound
from sightline.private import private_folder
from sightline.settings import Settings
from sightline.storage import records
from sightline.storage.blobs import Blobs
from sightline.storage.database import Database
from sightline.storage.kept import DATABASE, FOLDER, ME, Draft, Page, Picture, Record, Search

_DAY_S: Final = 86_400.0
_ORPHAN_S: Final = 3_600.0
"""A blob file without a row that is younger may belong to a write that is under way."""


class Store:
    """Results and pictures of one data folder. Thread-safe; several processes may share a folder."""

    def __init__(  # noqa: PLR0913 - each is one setting
        self,
        folder: Path,
        *,
        database: str = "",
        blobs: str = "",
        retention_days: float = 0.0,
        results_max: int = 50_000,
        results_mb: float = 0.0,
        reserve_mb: int = 0,
        around: Path | None = None,
    ) -> None:
        """Open the folder's store; nothing is created on disk before the first use.

        ``around``: the data folder that it lies in, which is closed to others too.
        """
        self._folder, self._around = folder, around
        self._database = Database(database, folder / DATABASE)
        self._place: str | Path = blobs or folder / "blobs"
        self._retention_s = retention_days * _DAY_S
        self._quota = records.Quota(results_max, int(results_mb * (1 << 20)))
        self._closed = threading.Event()
        self._reserve_mb = reserve_mb
        self._blobs: Blobs | None = None
        self._opening = threading.Lock()

    @classmethod
    def open(cls, settings: Settings) -> "Store":
        """The store of the settings' data folder."""
        return cls(
            settings.data_path / FOLDER,
            database=settings.database,
            blobs=settings.blobs,
            retention_days=settings.retention_days,
            results_max=settings.results_max,
            results_mb=settings.results_mb,
            reserve_mb=settings.disk_reserve_mb,
            around=settings.data_path,
        )

    def keep(self, draft: Draft) -> Record:
        """Store an answer and its picture, both or neither.

        Raises:
            StorageFull: The disk is at its reserve, or full.
        """
        self.blobs.check_space(len(draft.image.data) + len(draft.thumbnail.data))
        with self._writing() as connection:
            kept = []
            for picture in (draft.image, draft.thumbnail):
                digest = self.blobs.put(picture.data)
                records.claim(connection, digest, picture)
                kept.append(digest)
            records.add(connection, draft, created=time.time(), image=kept[0], thumbnail=kept[1])
        return self.get(draft.id, owner=draft.owner)

    def get(self, result_id: str, *, owner: str = ME) -> Record:
        """One stored result.

        Raises:
            NotFound: No such id, or it is somebody else's.
        """
        with self.engine.begin() as connection:
            return records.get(connection, owner, result_id)

    def page(self, search: Search, *, owner: str = ME) -> Page:
        """A stretch of the history."""
        with self.engine.begin() as connection:
            return records.page(connection, owner, search)

    def image(self, result_id: str, *, owner: str = ME) -> Picture:
        """The stored copy: upright, without metadata."""
        return self._picture(result_id, owner, lambda pair: pair[0])

    def thumbnail(self, result_id: str, *, owner: str = ME) -> Picture:
        """A small copy for lists."""
        return self._picture(result_id, owner, lambda pair: pair[1])

    def pictures_of(self, input_sha256: str) -> tuple[Picture, Picture] | None:
        """(image, thumbnail) kept of the same input bytes, so that they are not made again."""
        with self.engine.begin() as connection:
            found = records.known_input(connection, input_sha256)
            if found is None:
                return None
            kinds = [records.media_type(connection, digest) for digest in found]
        try:
            image, thumbnail = (
                Picture(self.blobs.get(d), kind) for d, kind in zip(found, kinds, strict=True)
            )
        except NotFound:  # a file was lost, or is being deleted: making the pictures again heals it
            return None
        return image, thumbnail

    def remove(self, result_id: str, *, owner: str = ME) -> None:
        """Delete a result, and its picture if no other result shows it.

        Raises:
            NotFound: No such id, or it is somebody else's.
        """
        with self._writing() as connection:
            freed = records.remove(connection, owner, result_id)
        # Only now: a file that outlives its row is swept some day, a row that outlives its file is a lie.
        self._delete_unclaimed(freed)

    def prune(self) -> int:
        """Delete what has passed its retention or exceeds a quota, and files that no row knows.

        Ends early when the store is closed meanwhile; the rest is done next time.
        """
        before = time.time() - self._retention_s if self._retention_s else 0.0
        with self.engine.begin() as connection:
            gone = records.expired(connection, before=before, quota=self._quota)
        count = 0
        for owner, result_id in gone:
            if self._closed.is_set():
                return count
            with suppress(NotFound):  # somebody else was faster
                self.remove(result_id, owner=owner)
                count += 1
        self._sweep()
        return count

    def expires(self, created: float) -> float | None:
        """When a result of that time will be pruned (Unix seconds); ``None``: never."""
        return created + self._retention_s if self._retention_s else None

    def close(self) -> None:
        """Close the database; a prune that runs ends soon."""
        self._closed.set()
        self._database.close()

    @property
    def engine(self) -> Engine:
        """The database, opened at first use: a server that stores nothing needs no folder."""
        self._make_folder()
        return self._database.engine

    @property
    def blobs(self) -> Blobs:
        """The pictures, opened at first use."""
        with self._opening:
            if self._blobs is None:
                self._make_folder()
                self._blobs = Blobs(self._place, reserve_mb=self._reserve_mb)
            return self._blobs

    def _make_folder(self) -> None:
        """For this user only: other people's eyes are not asked to look away."""
        if self._around is not None:
            private_folder(self._around)
        private_folder(self._folder)

    def _picture(self, result_id: str, owner: str, choose: Callable[[tuple[str, str]], str]) -> Picture:
        with self.engine.begin() as connection:
            digest = choose(records.pictures(connection, owner, result_id))
            kind = records.media_type(connection, digest)
        return Picture(self.blobs.get(digest), kind)

    def _sweep(self) -> None:
        """Files of writes that never came to a row (the process died in between)."""
        self.blobs.sweep_halves(older_than_s=_ORPHAN_S)
        with self.engine.begin() as connection:
            known = records.all_digests(connection)
        suspects = [digest for digest in self.blobs.digests(older_than_s=_ORPHAN_S) if digest not in known]
        for digest in suspects:
            if not self._closed.is_set():
                self._delete_unclaimed([digest])

    def _delete_unclaimed(self, digests: list[str]) -> None:
        """Under the write lock: between the look and the deletion nobody can claim one of them."""
        if not digests:
            return
        with self._writing() as connection:
            for digest in digests:
                if not records.is_claimed(connection, digest):
                    self.blobs.delete(digest)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self.engine.execution_options(write=True, alone=True).begin() as connection:
            yield connection
