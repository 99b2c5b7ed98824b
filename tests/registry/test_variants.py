import json
import shutil
import zipfile
from pathlib import Path

import pytest
from tests.runtime.graphs import varied_bundle

from sightline.errors import ModelRefused
from sightline.registry import INT8_FILE, Registry, file_sha256, read_bundle
from sightline.serving.importer import import_model
from sightline.settings import Settings, load_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle with an int8 file that was judged."""
    return varied_bundle(tmp_path / "made")


def settings_of(tmp_path: Path, **changes: object) -> Settings:
    return load_settings({"data_dir": str(tmp_path / "data"), "threads": 1} | changes, environment={})


def test_a_bundle_counts_and_proves_its_int8_file(folder: Path) -> None:
    bundle = read_bundle(folder)
    bundle.verify()
    assert bundle.size == sum((folder / name).stat().st_size for name in ("model.onnx", INT8_FILE))
    assert bundle.weights("int8").name == INT8_FILE
    assert bundle.weights("bf16") == bundle.model_path
    (folder / INT8_FILE).write_bytes((folder / INT8_FILE).read_bytes()[:-1] + b"x")
    with pytest.raises(ModelRefused, match=r"model\.int8\.onnx of colour@1 should have SHA-256"):
        bundle.verify()


def test_an_int8_file_that_the_manifest_names_must_be_there(folder: Path) -> None:
    (folder / INT8_FILE).unlink()
    with pytest.raises(ModelRefused, match=r"no regular file model\.int8\.onnx"):
        read_bundle(folder)


def test_a_variant_names_no_other_file(folder: Path) -> None:
    about = json.loads((folder / "model.json").read_text())
    about["variants"][0]["file"] = "../elsewhere.onnx"
    (folder / "model.json").write_text(json.dumps(about))
    with pytest.raises(ModelRefused, match=r"variants\.0\.file"):
        read_bundle(folder)


def test_the_shelf_notices_that_the_int8_file_changed(folder: Path, tmp_path: Path) -> None:
    registry = Registry(settings_of(tmp_path), bundled=tmp_path / "none")
    bundle = registry.add(folder)
    registry.prove(bundle)
    (bundle.folder / INT8_FILE).write_bytes(b"other")
    with pytest.raises(ModelRefused, match=r"model\.int8\.onnx"):
        registry.prove(bundle)
    assert any(INT8_FILE in sentence for sentence in registry.problems(deep=True))


@pytest.mark.parametrize("packed", [False, True])
def test_the_import_takes_folders_and_zips_with_an_int8_file(
    folder: Path, tmp_path: Path, packed: bool
) -> None:
    settings, source = settings_of(tmp_path), folder
    if packed:
        source = tmp_path / "model.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in folder.iterdir():
                archive.write(path, path.name)
    bundle = import_model(source, Registry(settings, bundled=tmp_path / "none"), settings).bundle
    assert file_sha256(bundle.weights("int8")) == bundle.manifest.variants[0].sha256


def test_an_int8_file_that_is_no_model_is_not_imported(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "model.json", folder / INT8_FILE)
    about = json.loads((folder / "model.json").read_text())
    about["variants"][0] |= {
        "sha256": file_sha256(folder / INT8_FILE),
        "bytes": (folder / INT8_FILE).stat().st_size,
    }
    (folder / "model.json").write_text(json.dumps(about))
    settings = settings_of(tmp_path)
    registry = Registry(settings, bundled=tmp_path / "none")
    with pytest.raises(ModelRefused, match="not a whole ONNX model"):
        import_model(folder, registry, settings)
    assert registry.list() == []
