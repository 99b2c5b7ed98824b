"""What a store of blobs does, wherever it is: a local folder, and an object store."""

import io
import socket
import tempfile
import tracemalloc
from pathlib import Path

import pytest

from sightline.errors import ConfigError, NotFound, StorageFull, Unreachable
from sightline.storage import blobs as storage
from sightline.storage.blobs import Blobs, digest_of

_MB = 1 << 20
NOTHING = "0" * 64


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Empty, of each kind."""
    if request.param == "folder":
        return Blobs(tmp_path / "blobs")
    return Blobs(request.getfixturevalue("s3_place"))


def test_it_can_be_read_in_parts(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_PIECE", 4)
    digest = blobs.put(b"0123456789")
    assert blobs.size(digest) == 10
    assert list(blobs.pieces(digest)) == [b"0123", b"4567", b"89"]
    assert list(blobs.pieces(digest, 3, 5)) == [b"34"]
    assert list(blobs.pieces(digest, 9)) == [b"9"]
    assert list(blobs.pieces(digest, 4, 99)) == [b"4567", b"89"]
    assert list(blobs.pieces(digest, 10)) == []
    into = io.BytesIO()
    blobs.copy_into(digest, into)
    assert into.getvalue() == b"0123456789"


def test_an_empty_file_has_no_pieces(blobs: Blobs) -> None:
    digest = blobs.put(b"")
    assert (blobs.size(digest), list(blobs.pieces(digest)), blobs.get(digest)) == (0, [], b"")


def test_a_file_is_moved_in(blobs: Blobs, tmp_path: Path) -> None:
    file = tmp_path / "film"
    file.write_bytes(b"frames")
    digest = digest_of(b"frames")
    blobs.put_file(file, digest)
    assert not file.exists()
    assert blobs.get(digest) == b"frames"


def test_a_file_is_moved_in_from_another_disk(blobs: Blobs, tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system to move from")
    with tempfile.TemporaryDirectory(dir=other) as folder:
        file = Path(folder) / "film"
        file.write_bytes(b"frames from afar")
        digest = digest_of(b"frames from afar")
        blobs.put_file(file, digest)
        assert not file.exists()
        assert blobs.get(digest) == b"frames from afar"
        assert blobs.digests() == [digest]


def test_what_is_not_there_is_said(blobs: Blobs) -> None:
    for read in (blobs.get, blobs.size, lambda it: list(blobs.pieces(it))):
        with pytest.raises(NotFound, match="is gone"):
            read(NOTHING)
    with pytest.raises(NotFound, match="is gone"):
        blobs.copy_into(NOTHING, io.BytesIO())
    blobs.delete(NOTHING)


def test_a_large_file_is_never_in_memory(tmp_path: Path) -> None:
    kept, file = Blobs(tmp_path / "blobs"), tmp_path / "film"
    with file.open("wb") as made:
        made.truncate(64 * _MB)
    kept.put_file(file, NOTHING)
    tracemalloc.start()
    try:
        with (tmp_path / "copy").open("wb") as copy:
            kept.copy_into(NOTHING, copy)
        assert sum(map(len, kept.pieces(NOTHING, _MB))) == 63 * _MB
        assert tracemalloc.get_traced_memory()[1] < 20 * _MB
    finally:
        tracemalloc.stop()
    assert (tmp_path / "copy").stat().st_size == 64 * _MB


def test_a_moved_file_is_closed_to_others(tmp_path: Path) -> None:
    kept, file = Blobs(tmp_path / "blobs"), tmp_path / "film"
    file.write_bytes(b"frames")
    file.chmod(0o644)
    kept.put_file(file, NOTHING)
    (place,) = (path for path in (tmp_path / "blobs").rglob("*") if path.is_file())
    assert place.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_said_of_the_copy(tmp_path: Path) -> None:
    kept = Blobs(tmp_path / "blobs")
    digest = kept.put(b"film" * _MB)
    with pytest.raises(StorageFull, match="No space left"), Path("/dev/full").open("wb", buffering=0) as full:
        kept.copy_into(digest, full)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    kept = Blobs(tmp_path / "blobs")
    digest = kept.put(b"picture")
    place = tmp_path / "blobs" / digest[:2] / digest
    place.unlink()
    place.mkdir()  # unlike a mode, this holds for root too
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        kept.get(digest)


def test_an_object_store_that_is_away_is_said(s3_place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    s3fs = pytest.importorskip("s3fs")
    with socket.socket() as bound:  # nobody else takes the port meanwhile, and nobody listens
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{bound.getsockname()[1]}")
        s3fs.S3FileSystem.clear_instance_cache()
        kept = Blobs(s3_place)
        for act in (kept.get, kept.delete, kept.size):
            with pytest.raises(Unreachable, match=f"object store {s3_place} cannot be used now"):
                act(NOTHING)
        with pytest.raises(Unreachable):
            kept.put(b"picture")
        with pytest.raises(Unreachable):
            kept.digests()


def test_a_bucket_that_does_not_exist_is_no_defect(s3_place: str) -> None:
    with pytest.raises((Unreachable, ConfigError, NotFound)):
        Blobs("s3://nowhere-at-all/x").put(b"picture")
