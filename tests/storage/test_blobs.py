"""Blobs: content-addressed, atomic, bounded by the disk."""

import os
import time
from pathlib import Path

import pytest

from sightline.errors import ConfigError, NotFound, StorageFull
from sightline.storage.blobs import Blobs, digest_of


def test_what_is_kept_can_be_read_and_forgotten(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    digest = blobs.put(b"picture")
    assert digest == digest_of(b"picture")
    assert blobs.put(b"picture") == digest
    assert blobs.get(digest) == b"picture"
    assert blobs.digests() == [digest]
    blobs.delete(digest)
    blobs.delete(digest)
    with pytest.raises(NotFound):
        blobs.get(digest)


def test_a_half_written_file_is_written_again(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    digest = blobs.put(b"whole")
    (tmp_path / digest[:2] / digest).write_bytes(b"wh")
    blobs.put(b"whole")
    assert blobs.get(digest) == b"whole"


@pytest.mark.parametrize("name", ["", "../secret", "a" * 63, "A" * 64, "a" * 64 + "/.."])
def test_only_digests_are_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"canary")
    with pytest.raises(NotFound):
        Blobs(tmp_path / "blobs").get(name)


@pytest.mark.parametrize(
    "place", ["http://example.org/x", "ssh://host/x", "simplecache::s3://x", "memory://x"]
)
def test_other_places_are_refused(place: str) -> None:
    with pytest.raises(ConfigError):
        Blobs(place)


def test_the_reserve_is_kept_free(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path, reserve_mb=10**9)
    with pytest.raises(StorageFull, match="MB"):
        blobs.put(b"one too many")
    assert blobs.digests() == []


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    blobs = Blobs(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="No space left"):
        blobs.put(b"data")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_age_counts_for_the_sweep(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    digest = blobs.put(b"old")
    path = tmp_path / digest[:2] / digest
    os.utime(path, (time.time() - 7200, time.time() - 7200))
    fresh = blobs.put(b"fresh")
    assert blobs.digests(older_than_s=3600) == [digest]
    assert sorted(blobs.digests()) == sorted([digest, fresh])
