"""A local server that speaks S3, for every room whose tests read or write a bucket."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from sightline.storage import prefixes


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The file system of a local server that speaks S3, empty, with its address in the environment."""
    server = pytest.importorskip("moto.server", reason="moto (a local S3) is not installed.")
    s3fs = pytest.importorskip("s3fs", reason="The extra `cluster` is not installed.")
    store = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    store.start()
    host, port = store.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    yield s3fs.S3FileSystem()
    s3fs.S3FileSystem.clear_instance_cache()
    store.stop()


@pytest.fixture
def s3_place(s3: Any) -> str:
    """A folder of an empty bucket there."""
    name = f"pictures-{secrets.token_hex(4)}"
    s3.mkdir(name)
    return f"s3://{name}/of/ours"


@pytest.fixture
def bucket(s3: Any) -> Iterator[str]:
    """A bucket with pictures and others' things, on a store that is served on loopback."""
    forget = prefixes._store.cache_clear
    forget()
    name = f"photos-{secrets.token_hex(4)}"
    s3.mkdir(name)
    for key in (
        "trip/b.jpg",
        "trip/a.PNG",
        "trip/notes.txt",
        "trip/.bin/x.jpg",
        "trip/deep/c.webp",
        "trips/d.jpg",
        "e.jpg",
    ):
        s3.pipe_file(f"{name}/{key}", key.encode())
    yield f"s3://{name}"
    forget()
