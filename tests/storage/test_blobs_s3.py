"""Blobs in an object store: a local server that speaks S3."""

import secrets
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sightline.errors import ConfigError, NotFound
from sightline.jobs.ledger import Ledger
from sightline.settings import Settings
from sightline.storage.blobs import Blobs
from sightline.storage.kept import Picture

server = pytest.importorskip("moto.server", reason="moto (a local S3) is not installed.")
s3fs = pytest.importorskip("s3fs", reason="The extra `cluster` is not installed.")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket."""
    store = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    store.start()
    host, port = store.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"pictures-{secrets.token_hex(4)}"
    s3fs.S3FileSystem().mkdir(name)
    yield f"s3://{name}/of/ours"
    s3fs.S3FileSystem.clear_instance_cache()
    store.stop()


def test_blobs_are_kept_listed_by_age_and_deleted(bucket: str) -> None:
    blobs = Blobs(bucket)
    digest = blobs.put(b"picture")
    assert blobs.put(b"picture") == digest
    assert blobs.get(digest) == b"picture"
    assert Blobs(bucket).digests() == [digest]
    assert blobs.digests(older_than_s=3600) == [], "it was just written"
    blobs.delete(digest)
    blobs.delete(digest)
    with pytest.raises(NotFound):
        blobs.get(digest)


def test_files_of_jobs_live_there(bucket: str, data_settings: Settings, tmp_path: Path) -> None:
    with Ledger.open(replace(data_settings, blobs=bucket)) as ledger:
        digest = ledger.keep(Picture(b"input", "image/jpeg"))
        job = ledger.submit("work", {"picture": digest}, blobs=[digest])
        assert ledger.picture(job.id, digest).data == b"input"
    assert not list(tmp_path.rglob(digest))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ConfigError) as refused:
        Blobs("gs://bucket/x")
    assert "ADD=gcs" in refused.value.next_step
