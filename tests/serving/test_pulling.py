"""From a catalogue to a model that answers, over a loopback hub. The real hubs are not reached by tests."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sightline.errors import FetchRefused, NotFound
from sightline.registry import Registry
from sightline.registry.catalogue import find_entry
from sightline.serving.pulling import is_pulled, pull
from sightline.settings import Settings


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address that serves it."""
    folder = tmp_path / "hub"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join(5)


def _catalogue(path: Path, address: str, model: bytes, labels: bytes) -> Path:
    path.write_text(
        f"""
[hubs]
here = ["{address}"]
[files.names]
hub = "here"
path = "labels.txt"
bytes = {len(labels)}
sha256 = "{hashlib.sha256(labels).hexdigest()}"
[contracts.mobile]
color = "RGB"
resize = "crop"
crop_fraction = 0.875
scale = {1 / 127.5}
mean = [1.0, 1.0, 1.0]
width = 224
height = 224
[models.mobile]
title = "Mobile"
description = "A classifier."
task = "classify"
head = "softmax"
licence = "Apache-2.0"
origin = "loopback"
hub = "here"
path = "mobile.onnx"
bytes = {len(model)}
sha256 = "{hashlib.sha256(model).hexdigest()}"
labels = "names"
contract = "mobile"
metrics = {{ imagenet_top1 = 0.7 }}
"""
    )
    return path


@pytest.fixture
def settings(shared: Path, tmp_path: Path, hub: tuple[Path, str]) -> Settings:
    folder, address = hub
    model = (shared / "weights" / "mobilenet_v2_1.0_224_dequantised.onnx").read_bytes()
    labels = (shared / "weights" / "imagenet_labels_1001.txt").read_bytes()
    (folder / "mobile.onnx").write_bytes(model)
    (folder / "labels.txt").write_bytes(labels)
    catalogue = _catalogue(tmp_path / "catalogue.toml", address, model, labels)
    return Settings(data_dir=str(tmp_path / "data"), catalogue=str(catalogue), disk_reserve_mb=0)


def test_a_pulled_model_answers_and_can_be_pulled_again_without_the_hub(
    hub: tuple[Path, str], settings: Settings
) -> None:
    registry = Registry(settings)
    entry = find_entry("mobile", settings)
    assert not is_pulled(entry, registry)
    seen: list[tuple[int, int]] = []
    bundle = pull("mobile", registry, settings, lambda done, total: seen.append((done, total))).bundle
    assert is_pulled(entry, registry)
    assert seen[-1] == (entry.file.bytes, entry.file.bytes)
    assert (bundle.reference, bundle.title, bundle.licence) == ("mobile@1", "Mobile", "Apache-2.0")
    assert (len(bundle.labels), bundle.labels[0]) == (1000, "tench, Tinca tinca")
    assert bundle.metrics == {"published": {"imagenet_top1": 0.7}}
    assert entry.file.sha256 in bundle.card
    assert bundle.manifest.sha256 == entry.file.sha256
    for file in hub[0].iterdir():
        file.unlink()
    registry.remove("mobile")
    assert pull("mobile", registry, settings).bundle.reference == "mobile@1"


def test_a_hub_with_other_bytes_gives_nothing(hub: tuple[Path, str], settings: Settings) -> None:
    path = hub[0] / "mobile.onnx"
    data = bytearray(path.read_bytes())
    data[5_000_000] ^= 1
    path.write_bytes(data)
    registry = Registry(settings)
    with pytest.raises(FetchRefused, match="another SHA-256"):
        pull("mobile", registry, settings)
    assert not is_pulled(find_entry("mobile", settings), registry)


def test_an_unknown_name_is_not_found(settings: Settings) -> None:
    with pytest.raises(NotFound, match="It has: mobile"):
        pull("nothing", Registry(settings), settings)
