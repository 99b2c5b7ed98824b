"""Jobs in a list are told apart by what they are about."""

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.web import tiny
from tests.web.conftest import Server, end, start

from sightline.settings import load_settings

JOBS = "/api/v1/jobs"


@pytest.fixture(scope="module")
def idle_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose jobs only wait: nothing here works on them."""
    folder = tmp_path_factory.mktemp("names")
    tiny.install(load_settings({"data_dir": str(folder / "data")}, environment={}), folder / "bundles")
    running = start(folder / "data", workers=0)
    yield running
    end(running)


def _zip(cat: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.jpg", cat)
    return packed.getvalue()


def _image(name: str, data: bytes) -> tuple[str, tuple[str, bytes]]:
    return "image", (name, data)


def test_a_job_is_called_by_its_first_source(idle_server: Server, cat: bytes) -> None:
    asked: dict[str, dict[str, Any]] = {
        "cat.jpg": {"files": [_image("cat.jpg", cat)]},
        "holiday": {"files": [_image("holiday/a.jpg", cat), _image("holiday/two/b.jpg", cat + b" ")]},
        "b.jpg, c.jpg": {"files": [_image("b.jpg", cat), _image("c.jpg", cat + b" ")]},
        "one, two, …": {
            "files": [_image(f"{folder}/a.jpg", cat + folder.encode()) for folder in ("one", "two", "three")]
        },
        "http://a/x.jpg, http://b/, …": {
            "json": {"inputs": {"urls": ["http://jo:pw@a/x.jpg?key=1", "http://b/", "http://c/"]}}
        },
        "yard.zip": {"files": [("archive", ("yard.zip", _zip(cat)))]},
        "https://example.org/x.jpg": {
            "json": {"inputs": {"urls": ["https://jo:pw@example.org/x.jpg?key=1"]}}
        },
    }
    with httpx.Client(base_url=idle_server.url, timeout=60) as client:
        for name, request in asked.items():
            answer = client.post(JOBS, **request)
            assert answer.status_code == 202, answer.text
            assert answer.json()["name"] == name
        listed = [job["name"] for job in client.get(JOBS).json()["jobs"]]
        assert listed == list(reversed(asked))
