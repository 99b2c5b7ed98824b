"""Blobs in an object store: a local server that speaks S3."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sightline.errors import ConfigError, NotFound
from sightline.jobs.ledger import Ledger
from sightline.settings import Settings
from sightline.storage.blobs import Blobs
from sightline.storage.kept import Picture


def test_blobs_are_kept_listed_by_age_and_deleted(s3_place: str) -> None:
    blobs = Blobs(s3_place)
    digest = blobs.put(b"picture")
    assert blobs.put(b"picture") == digest
    assert blobs.get(digest) == b"picture"
    assert Blobs(s3_place).digests() == [digest]
    assert blobs.digests(older_than_s=3600) == [], "it was just written"
    blobs.delete(digest)
    blobs.delete(digest)
    with pytest.raises(NotFound):
        blobs.get(digest)


def test_files_of_jobs_live_there(s3_place: str, data_settings: Settings, tmp_path: Path) -> None:
    with Ledger.open(replace(data_settings, blobs=s3_place)) as ledger:
        digest = ledger.keep(Picture(b"input", "image/jpeg"))
        job = ledger.submit("work", {"picture": digest}, blobs=[digest])
        assert ledger.picture(job.id, digest).data == b"input"
    assert not list(tmp_path.rglob(digest))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ConfigError) as refused:
        Blobs("gs://bucket/x")
    assert "ADD=gcs" in refused.value.next_step
