"""Acceptance: cut and flipped models are refused within 5 s each, and the old version keeps serving.

What can be told apart: a bundle carries the SHA-256 of its weights, so any damage shows. A bare
``.onnx`` carries none: cuts show (the structure ends early), a flipped bit inside the weights is
just another weight unless its digest is given with ``--sha256``.
"""

import random
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sightline.errors import BadOption, ModelRefused
from sightline.registry import MODEL_FILE, Registry, file_sha256
from sightline.runtime.inspect import inspect_file
from sightline.serving.importer import import_model
from sightline.serving.road import Road
from sightline.settings import Settings
from sightline.types import Detections, Result

ROUNDS = 64
ZIPPED = 8
"""Of a zip every so manyth: what differs is how it is unpacked."""
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def photo(photos: Path) -> bytes:
    return (photos / "06_people_86.jpg").read_bytes()


@pytest.fixture
def road(own_yolox: Path) -> Iterator[Road]:
    with Road.open(Settings(data_dir=str(own_yolox), engine="onnxruntime", disk_reserve_mb=0)) as opened:
        yield opened


def _cuts(data: bytes) -> Iterator[bytes]:
    for index in range(ROUNDS):
        yield data[: len(data) * index // ROUNDS]


def _flips(data: bytes) -> Iterator[bytes]:
    chance = random.Random(64)
    for _ in range(ROUNDS):
        changed = bytearray(data)
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        yield bytes(changed)


def _boxes(result: Result) -> list[list[float]]:
    assert isinstance(result.prediction, Detections)
    assert len(result.prediction) > 0
    return [[float(side) for side in box] for box in result.prediction.xyxy]


@pytest.mark.parametrize("damage", [_cuts, _flips], ids=["64 truncations", "64 bit flips"])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_damaged_bundles_are_refused_and_the_old_version_serves(
    road: Road, photo: bytes, tmp_path: Path, damage: object, kind: str
) -> None:
    before = road.predict(photo, model="yolox-nano")
    good = road.registry.resolve("yolox-nano")
    folder = Path(shutil.copytree(good.folder, tmp_path / "new"))
    text = (folder / "model.json").read_text().replace('"version": "1"', '"version": "2"')
    assert '"version": "2"' in text
    (folder / "model.json").write_text(text)
    data = good.model_path.read_bytes()
    for index, changed in enumerate(damage(data)):  # type: ignore[operator]
        if kind == "zip" and index % ZIPPED:
            continue
        source = _write(folder, changed, kind)
        began_s = time.monotonic()
        with pytest.raises(ModelRefused):
            import_model(source, road.registry, road.settings)
        assert time.monotonic() - began_s < PATIENCE_S
        assert road.registry.resolve("yolox-nano").ref == good.ref
        if index % 16 == 0:
            assert _boxes(road.predict(photo, model="yolox-nano")) == _boxes(before)
    source = _write(folder, data, kind)
    assert import_model(source, road.registry, road.settings).bundle.version == "2", "intact, it is taken"


def _write(folder: Path, data: bytes, kind: str) -> Path:
    (folder / MODEL_FILE).write_bytes(data)
    if kind == "folder":
        return folder
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return path


@pytest.mark.parametrize("damage", [_cuts, _flips], ids=["64 truncations", "64 bit flips"])
def test_an_installed_model_damaged_on_disk_keeps_serving_and_is_refused_when_opened_anew(
    road: Road, photo: bytes, damage: object
) -> None:
    before = road.predict(photo, model="yolox-nano")
    path = road.registry.resolve("yolox-nano").model_path
    data = path.read_bytes()
    for index, changed in enumerate(damage(data)):  # type: ignore[operator]
        path.write_bytes(changed)
        began_s = time.monotonic()
        with pytest.raises(ModelRefused):
            Registry(road.settings).resolve("yolox-nano")
        assert time.monotonic() - began_s < PATIENCE_S
        if index % 16 == 0:
            assert _boxes(road.predict(photo, model="yolox-nano")) == _boxes(before)
    path.write_bytes(data)
    assert Registry(road.settings).resolve("yolox-nano").version == "1"


def test_64_truncations_of_a_bare_file_are_refused_by_its_structure(shared: Path, tmp_path: Path) -> None:
    data = (shared / "weights" / "yolox_nano_416.onnx").read_bytes()
    path = tmp_path / "m.onnx"
    cuts = [*_cuts(data), *(data[:-left] for left in range(1, 65))]
    for cut in cuts:
        path.write_bytes(cut)
        with pytest.raises(ModelRefused):
            inspect_file(path)


def test_64_bit_flips_of_a_bare_file_are_refused_with_its_digest(
    shared: Path, tmp_path: Path, own_yolox: Path
) -> None:
    settings = Settings(data_dir=str(own_yolox), disk_reserve_mb=0)
    registry = Registry(settings)
    source = shared / "weights" / "yolox_nano_416.onnx"
    digest = file_sha256(source)
    path = tmp_path / "yolox-nano.onnx"
    for changed in _flips(source.read_bytes()):
        path.write_bytes(changed)
        with pytest.raises(ModelRefused, match="SHA-256"):
            import_model(path, registry, settings, sha256=digest)
    assert registry.resolve("yolox-nano").version == "1"


@pytest.mark.slow
def test_bit_flips_of_a_bare_file_without_a_digest_never_break_the_importer(
    shared: Path, tmp_path: Path
) -> None:
    """Flips in the structure (names, sizes, operators) are refused; flips in weights cannot be told."""
    settings = Settings(data_dir=str(tmp_path / "data"), disk_reserve_mb=0)
    registry = Registry(settings)
    data = (shared / "weights" / "fastestdet_352.onnx").read_bytes()
    chance = random.Random(11)
    path = tmp_path / "m.onnx"
    refused = 0
    for _ in range(12):
        changed = bytearray(data)
        changed[chance.randrange(20_000)] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        try:
            import_model(path, registry, settings)
        except (ModelRefused, BadOption):
            refused += 1
    assert refused > 0
