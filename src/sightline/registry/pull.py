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
from sightline.private import make_folder
from sightline.registry.bundle import file_sha256, is_regular
from sightline.registry.catalogue import File
from sightline.registry.room import room_for_it
from sightline.settings import Settings

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all)."""
CUTS_MAX = 4
"""Times in a row that one place may break off without having sent anything new."""
_MB = 1 << 20


class _WrongFileError(FetchRefused):
    """A place that does not have the file, or what is here is not its beginning: no use asking again."""


@dataclass(slots=True)
class _Job:
    """One download in progress: the part on disk and where it is told."""

    file: File
    part: IO[bytes]
    allowed: frozenset[str]
    tell: Progress
    have: int = 0
    kept: int = 0
    """What was there before the present place was asked: it is not lost to a place that has another file."""
    doubtful: bool = False
    """Whether what was there seems to be wrong itself: a place sent the rest, and the whole is not right."""

    def back(self, to: int) -> None:
        """Throw away what came after the first ``to`` bytes."""
        self.part.seek(to)
        self.part.truncate()
        self.have = to


def download(file: File, settings: Settings, progress: Progress | None = None) -> Path:
    """The file on this disk, downloaded if it is not there yet.

    Every place is tried in turn; a connection that breaks is taken up where it stopped. A place that has
    another file costs nothing of what was there before. What does not have the right size and SHA-256 is
    thrown away.

    Raises:
        FetchRefused: No place gave the right file; the message says what each one did.
        StorageFull: No room for it.
        BadOption: Another process is downloading it right now.
    """
    folder = settings.data_path / "cache" / "downloads"
    make_folder(folder)
    whole = folder / file.sha256
    tell = progress or (lambda _done, _total: None)
    if is_regular(whole) and whole.stat().st_size == file.bytes and file_sha256(whole) == file.sha256:
        tell(file.bytes, file.bytes)
        return whole
    if shutil.disk_usage(folder).free < file.bytes + settings.disk_reserve_mb * _MB:
        raise StorageFull(f"There is no room to download {file.name} ({file.bytes / _MB:.0f} MB).")
    path = whole.with_suffix(".part")
    with room_for_it(f"download {file.name} ({file.bytes / _MB:.0f} MB)"), _open_part(path, file) as part:
        job = _Job(file, part, _allowed(file, settings), tell, have=path.stat().st_size)
        _from_any(job)
        part.flush()
        path.replace(whole)
    return whole


def _from_any(job: _Job) -> None:
    failures = _from_each(job)
    wrong = all(isinstance(error, _WrongFileError) for error in failures.values())
    if failures and job.have and (job.doubtful or wrong):  # then it is the beginning that is wrong
        job.back(0)
        failures = _from_each(job)
    if not failures:
        return
    told = " ".join(f"{parse(url).host}: {error.message}" for url, error in failures.items())
    raise FetchRefused(
        f"{job.file.name} could not be downloaded. {told}",
        next_step="Try again later (it goes on where it stopped), set `mirrors` to a place that has it, "
        "or download it yourself and use `sightline models import`.",
    )


def _from_each(job: _Job) -> dict[str, FetchRefused]:
    """Ask one place after the other; what each did wrong, or nothing when the file is whole."""
    failures: dict[str, FetchRefused] = {}
    for url in job.file.urls:
        try:
            _from_one(url, job)
        except FetchRefused as error:
            failures[url] = error
        else:
            return {}
    return failures


def _from_one(url: str, job: _Job) -> None:
    """All bytes from one place, however often it breaks off, and the proof that they are right."""
    cuts = 0
    job.kept = job.have
    while True:
        before = job.have
        try:
            if job.have < job.file.bytes:
                _take(url, job)
            _prove(job)
        except _WrongFileError:
            raise
        except FetchRefused:
            cuts = 0 if job.have > before else cuts + 1
            if cuts >= CUTS_MAX:
                raise
            time.sleep(0.1 * 4**cuts)
        else:
            return


def _take(url: str, job: _Job) -> None:
    headers = {"Range": f"bytes={job.have}-"} if job.have else {}
    with open_stream(url, headers=headers, allowed=job.allowed) as stream:
        known = _check_answer(stream, job)
        for chunk in _behind(stream.chunks(), job, known):
            if job.have + len(chunk) > job.file.bytes:
                job.back(job.kept)
                raise _WrongFileError(f"It sends more than {job.file.bytes} bytes.")
            job.part.write(chunk)
            job.have += len(chunk)
            job.tell(job.have, job.file.bytes)
    job.part.flush()
    if job.have < job.file.bytes:
        raise FetchRefused(f"It stopped after {job.have} of {job.file.bytes} bytes.")


def _behind(chunks: Iterator[bytes], job: _Job, known: int) -> Iterator[bytes]:
    """What comes after the first ``known`` bytes; these must be what is there."""
    job.part.flush()
    with Path(job.part.name).open("rb") as there:
        for chunk in chunks:
            again = chunk[:known]
            known -= len(again)
            if again and there.read(len(again)) != again:
                raise _WrongFileError("It has a file that begins otherwise.")
            if fresh := chunk[len(again) :]:
                yield fresh


def _check_answer(stream: Stream, job: _Job) -> int:
    """Make sure that the answer belongs to the file; how much it brings again of what is there."""
    if stream.status in (408, 425, 429) or stream.status >= 500:
        raise FetchRefused(f"It answered {stream.status}.")
    if stream.status not in (200, 206):
        raise _WrongFileError(f"It answered {stream.status}.")
    if stream.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise _WrongFileError("It compressed the file although it was asked not to.")
    whole = stream.status == 200  # also where it knows no ranges
    if not whole and not stream.headers.get("content-range", "").startswith(f"bytes {job.have}-"):
        raise _WrongFileError("It sent another part than it was asked for.")
    before = 0 if whole else job.have
    if stream.length is not None and stream.length != job.file.bytes - before:
        raise _WrongFileError(f"It announces {before + stream.length} bytes, the file has {job.file.bytes}.")
    return job.have if whole else 0


def _prove(job: _Job) -> None:
    """Compare the SHA-256."""
    job.part.flush()
    if file_sha256(Path(job.part.name)) == job.file.sha256:
        return
    job.doubtful = job.doubtful or job.kept > 0
    job.back(job.kept)
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
