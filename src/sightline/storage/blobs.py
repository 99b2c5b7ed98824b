"""Bytes under their own SHA-256, over fsspec: a local folder; object stores take the same calls.

A location comes from settings, never from a request, and only four kinds are accepted: fsspec also
opens http, ssh and chained addresses, none of which a blob store should.
"""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import fsspec

from sightline.errors import ConfigError, NotFound, SightlineError, StorageFull, Unreachable, how_to_add
from sightline.private import close_to_others, make_file, make_folder, private_folder

_KINDS: Final = ("file", "s3", "gs", "abfs")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MB: Final = 1024 * 1024
_PIECE: Final = 4 * _MB
"""Bytes of a file that are in memory at once, and that an object store is asked for at once."""
_PATIENCE: Final = {
    "connect_timeout": 3,
    "read_timeout": 10,
    "retries": {"max_attempts": 3, "mode": "standard"},
}
"""S3's usual minute would hold a worker's lease, and a request, longer than either lives."""


def digest_of(data: bytes) -> str:
    """Lower-case hex SHA-256, the name of a blob."""
    return hashlib.sha256(data).hexdigest()


class Blobs:
    """Write once, read by digest, delete by digest. Thread-safe: names never change their content.

    Besides what each call says: `Unreachable` when an object store is away, and `ConfigError` when it, or the
    disk, does not let us in.
    """

    def __init__(self, location: str | Path, *, reserve_mb: int = 0) -> None:
        """Open (and for a local folder create) the store.

        Args:
            location: A folder, or ``s3://``, ``gs://``, ``abfs://`` with a path.
            reserve_mb: Free space of a local disk under which nothing more is written.

        Raises:
            ConfigError: A location of another kind, or one whose library is missing.
        """
        kind, _, rest = str(location).rpartition("://")
        kind = kind or "file"
        if kind not in _KINDS:
            raise ConfigError(f"Blobs can live in one of {', '.join(_KINDS)}, got {kind!r}.")
        self._fs: Any = _open(kind)
        self._local = Path(rest) if kind == "file" else None
        self._root = rest.rstrip("/")
        self._shown = f"{kind}://{self._root}"
        self._reserve = reserve_mb * _MB
        if self._local is not None:
            private_folder(self._local)

    def put(self, data: bytes, *, sure: bool = True) -> str:
        """Keep ``data`` and answer its digest; keeping it twice is keeping it once.

        ``sure``: it is on the disk when this returns. What can be made again need not wait for the disk:
        a power cut may take it then, and nothing else.

        Raises:
            StorageFull: The disk is at its reserve, or full.
            ConfigError: Nothing may be written there.
        """
        digest = digest_of(data)
        path = self._path(digest)
        with self._told(_not_written):
            if self._fs.exists(path) and self._fs.size(path) == len(data):
                return digest
            self.check_space(len(data))
            self._write(path, data, sure=sure)
        return digest

    def put_file(self, file: Path, digest: str) -> None:
        """Keep a file of this machine whose digest is known, without reading it into memory; it is moved.

        It is on the disk, and for this user only, when this returns.

        Raises:
            StorageFull: The disk is at its reserve, or full.
        """
        path = self._path(digest)
        with self._told(_not_written):
            if self._local is None:
                self._fs.put_file(str(file), path)
                file.unlink()
                return
            target = Path(path)
            make_folder(target.parent)
            close_to_others(file)
            _sync(file)
            _move(file, target)
            _sync(target.parent)

    def get(self, digest: str) -> bytes:
        """The bytes of a digest.

        Raises:
            NotFound: Nothing is kept under it.
        """
        with self._reading("picture"):
            return bytes(self._fs.cat_file(self._path(digest)))

    def size(self, digest: str) -> int:
        """How many bytes are kept under a digest.

        Raises:
            NotFound: Nothing is.
        """
        with self._reading():
            return int(self._fs.size(self._path(digest)))

    def pieces(self, digest: str, first: int = 0, end: int | None = None) -> Generator[bytes, None, None]:
        """The bytes from ``first`` up to ``end`` (its end), a few megabytes at a time; nothing stays open.

        Raises:
            NotFound: Nothing is kept under it; said at the first piece.
        """
        path, size = self._path(digest), self.size(digest)
        end = size if end is None else min(end, size)
        for start in range(first, end, _PIECE):
            with self._reading():
                piece = bytes(self._fs.cat_file(path, start=start, end=min(start + _PIECE, end)))
            yield piece

    def copy_into(self, digest: str, file: BinaryIO) -> None:
        """Write the bytes of a digest to an open file, piece by piece.

        Raises:
            NotFound: Nothing is kept under it.
            StorageFull: The disk of the open file is full.
        """
        for piece in self.pieces(digest):
            try:
                file.write(piece)
            except OSError as error:
                raise _not_written(error) from error

    def delete(self, digest: str) -> None:
        """Forget a digest; one that is gone already is fine."""
        path = self._path(digest)
        with self._told(_not_written), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(path)

    def digests(self, *, older_than_s: float = 0.0) -> list[str]:
        """All kept digests whose files are at least so old, for the sweep of orphans."""
        limit = time.time() - older_than_s
        found = []
        with self._reading():
            listed = self._fs.find(self._root, detail=True)
        for path, info in listed.items():
            name = path.rsplit("/", 1)[-1]
            if _DIGEST.fullmatch(name) and _changed(info) <= limit:
                found.append(name)
        return found

    def sweep_halves(self, *, older_than_s: float) -> None:
        """Delete what writers left behind that died in the middle."""
        limit = time.time() - older_than_s
        for half in self._local.glob("??/.*") if self._local is not None else ():
            with contextlib.suppress(OSError):
                if half.stat().st_mtime <= limit:
                    half.unlink()

    def check_space(self, need: int = 0) -> None:
        """Say no before the disk is really full; other storage has no edge that we could see.

        Raises:
            StorageFull: Less than the reserve would remain.
        """
        if self._local is None:
            return
        free = shutil.disk_usage(self._local).free
        if free - need < self._reserve:
            raise StorageFull(
                f"Storing this would leave less than {self._reserve // _MB} MB; {free // _MB} MB are free."
            )

    def _path(self, digest: str) -> str:
        if not _DIGEST.fullmatch(digest):
            raise NotFound(f"A picture is named by 64 hex digits, got {digest[:80]!r}.")
        return f"{self._root}/{digest[:2]}/{digest}"

    @contextlib.contextmanager
    def _reading(self, what: str = "file") -> Iterator[None]:
        with self._told(_not_read):
            try:
                yield
            except FileNotFoundError as error:
                raise NotFound(f"The stored {what} is gone.", next_step=f"Send the {what} again.") from error

    @contextlib.contextmanager
    def _told(self, local: Callable[[OSError], SightlineError]) -> Iterator[None]:
        """What a disk or an object store has against us, as `SightlineError`; ``local`` says it of a disk."""
        try:
            yield
        except SightlineError:
            raise
        except Exception as error:  # the library of each kind of store has errors of its own
            if self._local is None:
                raise _far_trouble(error, self._shown) from error
            if not isinstance(error, OSError):
                raise
            raise local(error) from error

    def _write(self, path: str, data: bytes, *, sure: bool) -> None:
        """A reader sees the whole blob or none; if it is to be ``sure``, also after a power cut."""
        if self._local is None:
            self._fs.pipe_file(path, data)
            return
        target = Path(path)
        make_folder(target.parent)
        with _whole(target) as file:
            file.write(data)
            if sure:
                file.flush()
                os.fsync(file.fileno())
        if sure:
            _sync(target.parent)  # or a power cut could keep the row and lose the name


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that is kept and need not be in memory."""

    blobs: Blobs
    digest: str
    media_type: str

    def size(self) -> int:
        """Bytes.

        Raises:
            NotFound: It is gone.
        """
        return self.blobs.size(self.digest)

    def pieces(self, first: int = 0, end: int | None = None) -> Generator[bytes, None, None]:
        """As `Blobs.pieces`."""
        return self.blobs.pieces(self.digest, first, end)


def _not_read(error: OSError) -> ConfigError:
    return ConfigError(
        f"What is stored cannot be read: {error.strerror or error}.",
        next_step="Let this user read data_dir (or blobs), and check the disk.",
    )


def _not_written(error: OSError) -> ConfigError | StorageFull:
    words = f"The file could not be kept: {error.strerror or error}."
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return ConfigError(words, next_step="Give data_dir (or blobs) a place that this user may write.")
    return StorageFull(words)


def _far_trouble(error: Exception, place: str) -> ConfigError | Unreachable:
    words = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    if isinstance(error, PermissionError):
        return ConfigError(
            f"The object store {place} does not let us in: {words}",
            next_step="Check the credentials in the environment, and what they allow.",
        )
    return Unreachable(
        f"The object store {place} cannot be used now: {words}",
        next_step="Check that it runs, and its address and credentials in the environment; then try again.",
    )


def _open(kind: str) -> Any:
    patience = {"config_kwargs": _PATIENCE} if kind == "s3" else {}
    try:
        return fsspec.filesystem(kind, **patience)
    except ImportError as error:
        extra = {"s3": "cluster", "gs": "gcs", "abfs": "azure"}[kind]
        raise ConfigError(
            f"Blobs in {kind}:// need a library that is not installed.",
            next_step=how_to_add(extra),
        ) from error


def _changed(info: dict[str, Any]) -> float:
    """When a blob was written (Unix seconds); each kind of store has its own word for it."""
    for word in ("mtime", "LastModified", "updated", "last_modified"):
        found = info.get(word)
        if isinstance(found, datetime):
            return found.timestamp()
        if isinstance(found, int | float):
            return float(found)
        if isinstance(found, str):
            return datetime.fromisoformat(found).timestamp()
    return time.time()  # unknown: better kept


@contextlib.contextmanager
def _whole(target: Path) -> Iterator[BinaryIO]:
    """A new file that has its name once all of it is written, or never."""
    half = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with make_file(half) as file:
            yield file
        half.replace(target)
    except BaseException:
        half.unlink(missing_ok=True)
        raise


def _move(file: Path, target: Path) -> None:
    try:
        file.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # The folder of blobs may be a disk of its own.
        with file.open("rb") as source, _whole(target) as copy:
            shutil.copyfileobj(source, copy, _MB)
            copy.flush()
            os.fsync(copy.fileno())
        file.unlink()


def _sync(path: Path) -> None:
    """A file's bytes, or a folder's names, are on the disk when this returns."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
