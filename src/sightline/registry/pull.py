"""Downloading what the catalogue names: resumed, checked, from several places, and only once.

::

    <data>/cache/downloads/<sha256>        whole and proven; a later pull needs no network
    <data>/cache/downloads/<sha256>.part   as far as it got
"""

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sightline.errors import BadOption, FetchRefused, StorageFull
from sightline.outbound import Stream, open_stream
from sightline.outbound.address import allow_list, parse
from sightline.registry.bundle import file_sha256, is_regular
from sightline.registry.catalogue import File
from sightline.settings import Settings

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all)."""
CUTS_MAX = 4
"""Times in a row that one place may break off without having sent anything new."""
_MB = 1 << 20


class _WrongFileError(FetchRefused):
    """A place that does not have the file; asking it again is useless."""


@dataclass(slots=True)
class _Job:
    """One download in progress: the part on disk and where it is told."""

    file: File
    part: IO[bytes]
    allowed: frozenset[str]
    tell: Progress
    have: int = 0

    def restart(self) -> None:
        """Throw away what came so far."""
        self.part.seek(0)
        self.part.truncate()
        self.have = 0


def download(file: File, settings: Settings, progress: Progress | None = None) -> Path:
    """The file on this disk, downloaded if it is not there yet.

    Every place is tried in turn; a connection that breaks is taken up where it stopped. What does
    not have the right size and SHA-256 is thrown away.

    Raises:
        FetchRefused: No place gave the right file; the message says what each one did.
        StorageFull: No room for it.
        BadOption: Another process is downloading it right now.
    """
    folder = settings.data_path / "cache" / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / file.sha256
    tell = progress or (lambda _done, _total: None)
    if is_regular(whole) and whole.stat().st_size == file.bytes and file_sha256(whole) == file.sha256:
        tell(file.bytes, file.bytes)
        return whole
    if shutil.disk_usage(folder).free < file.bytes + settings.disk_reserve_mb * _MB:
        raise StorageFull(f"There is no room to download {file.name} ({file.bytes / _MB:.0f} MB).")
    path = whole.with_suffix(".part")
    with _open_part(path, file) as part:
        job = _Job(file, part, _allowed(file, settings), tell, have=path.stat().st_size)
        _from_any(job)
        part.flush()
        path.replace(whole)
    return whole


def _from_any(job: _Job) -> None:
    failures = []
    for url in job.file.urls:
        try:
            _from_one(url, job)
        except FetchRefused as error:
            failures.append(f"{parse(url).host}: {error.message}")
        else:
            return
    raise FetchRefused(
        f"{job.file.name} could not be downloaded. {' '.join(failures)}",
        next_step="Try again later (it goes on where it stopped), set `mirrors` to a place that has it, "
        "or download it yourself and use `sightline models import`.",
    )


def _from_one(url: str, job: _Job) -> None:
    """All bytes from one place, however often it breaks off, and the proof that they are right."""
    cuts = 0
    inherited = job.have > 0
    while True:
        before = job.have
        try:
            if job.have < job.file.bytes:
                _take(url, job)
            if _is_right(job, inherited=inherited):
                return
            inherited = False
        except _WrongFileError:
            raise
        except FetchRefused:
            cuts = 0 if job.have > before else cuts + 1
            if cuts >= CUTS_MAX:
                raise
            time.sleep(0.1 * 4**cuts)


def _take(url: str, job: _Job) -> None:
    headers = {"Range": f"bytes={job.have}-"} if job.have else {}
    with open_stream(url, headers=headers, allowed=job.allowed) as stream:
        _check_answer(stream, job)
        for chunk in stream.chunks():
            if job.have + len(chunk) > job.file.bytes:
                job.restart()
                raise _WrongFileError(f"It sends more than {job.file.bytes} bytes.")
            job.part.write(chunk)
            job.have += len(chunk)
            job.tell(job.have, job.file.bytes)
    job.part.flush()
    if job.have < job.file.bytes:
        raise FetchRefused(f"It stopped after {job.have} of {job.file.bytes} bytes.")


def _check_answer(stream: Stream, job: _Job) -> None:
    """Make sure that what comes next belongs behind what is there."""
    if stream.status in (408, 416, 425, 429) or stream.status >= 500:
        if stream.status == 416:
            job.restart()
        raise FetchRefused(f"It answered {stream.status}.")
    if stream.status not in (200, 206):
        raise _WrongFileError(f"It answered {stream.status}.")
    if stream.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise _WrongFileError("It compressed the file although it was asked not to.")
    if stream.status == 200 or not stream.headers.get("content-range", "").startswith(f"bytes {job.have}-"):
        if stream.status == 206:
            job.restart()
            raise FetchRefused("It sent another part than it was asked for.")
        job.restart()  # it knows no ranges
    if stream.length is not None and stream.length != job.file.bytes - job.have:
        raise _WrongFileError(
            f"It announces {job.have + stream.length} bytes, the file has {job.file.bytes}."
        )


def _is_right(job: _Job, *, inherited: bool) -> bool:
    """Compare the SHA-256. What an earlier try left may have been wrong: then once more from the start."""
    job.part.flush()
    if file_sha256(Path(job.part.name)) == job.file.sha256:
        return True
    job.restart()
    if inherited:
        return False
    raise _WrongFileError(f"It sent {job.file.bytes} bytes with another SHA-256.")


@contextmanager
def _open_part(path: Path, file: File) -> Iterator[IO[bytes]]:
    """The part file, ours alone."""
    with path.open("ab") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadOption(
                f"Another process is downloading {file.name} right now.", next_step="Wait until it has ended."
            ) from error
        yield part


def _allowed(file: File, settings: Settings) -> frozenset[str]:
    """Places that the operator named may be private; those of the shipped catalogue may not."""
    count = (
        len(file.urls) if settings.catalogue else len([m for m in settings.mirrors.split(",") if m.strip()])
    )
    named = [parse(url) for url in file.urls[:count]]
    hosts = {
        f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"
        for target in named
    }
    return allow_list(settings.fetch_allow) | hosts
