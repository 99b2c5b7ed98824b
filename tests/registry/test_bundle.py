"""What a bundle promises, and when it is not believed."""

import os
from pathlib import Path
from typing import Any

import pytest

from sightline.errors import ModelRefused
from sightline.registry import read_bundle


def test_a_bundle_tells_what_a_page_needs(make_bundle: Any) -> None:
    folder = make_bundle(title="Toy", licence="MIT", metrics={"ap": 0.5}, card="# Toy\n")
    bundle = read_bundle(folder)
    assert (bundle.name, bundle.version, bundle.reference, bundle.title) == ("toy", "1", "toy@1", "Toy")
    assert (bundle.task, bundle.labels, bundle.licence) == ("detect", ("a", "b"), "MIT")
    assert (bundle.size, bundle.metrics, bundle.card) == (7, {"ap": 0.5}, "# Toy\n")
    assert bundle.ref.digest == bundle.digest == f"sha256:{bundle.manifest.sha256}"
    bundle.verify()


def test_without_a_title_the_name_stands_in_and_a_missing_card_is_empty(make_bundle: Any) -> None:
    bundle = read_bundle(make_bundle())
    assert (bundle.title, bundle.card) == ("toy", "")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[3] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "should have 7 bytes"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "should have 7 bytes"),
        (_flip, "should have SHA-256"),
        (lambda path: path.unlink(), "no regular file"),
    ],
)
def test_damaged_weights_are_refused(make_bundle: Any, damage: Any, reason: str) -> None:
    bundle = read_bundle(make_bundle())
    damage(bundle.model_path)
    with pytest.raises(ModelRefused, match=reason):
        bundle.verify()


def test_a_manifest_without_a_digest_vouches_for_nothing(make_bundle: Any) -> None:
    with pytest.raises(ModelRefused, match="no SHA-256"):
        read_bundle(make_bundle(sha256="")).verify()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Invalid JSON"),
        ("{", "Invalid JSON"),
        ("[]", "cannot be used"),
        ('{"format": 2}', "format"),
        ("[" * 100_000, "cannot be used"),
        ('{"name": "../evil"}', "name"),
        ('{"name": "toy", "sha256": "xyz"}', "cannot be used"),
    ],
)
def test_bad_manifests_are_refused(make_bundle: Any, text: str, reason: str) -> None:
    folder = make_bundle()
    (folder / "model.json").write_text(text)
    with pytest.raises(ModelRefused, match=reason):
        read_bundle(folder)


@pytest.mark.parametrize("name", ["model.onnx", "model.json"])
def test_links_and_missing_files_are_refused(make_bundle: Any, name: str, tmp_path: Path) -> None:
    folder = make_bundle()
    (folder / name).rename(tmp_path / name)
    with pytest.raises(ModelRefused, match="no regular file"):
        read_bundle(folder)
    (folder / name).symlink_to(tmp_path / name)
    with pytest.raises(ModelRefused, match="no regular file"):
        read_bundle(folder)


def test_a_linked_card_is_not_read(make_bundle: Any, tmp_path: Path) -> None:
    folder = make_bundle()
    (tmp_path / "secret").write_text("secret")
    (folder / "CARD.md").symlink_to(tmp_path / "secret")
    assert read_bundle(folder).card == ""


def test_a_giant_manifest_is_refused_unread(make_bundle: Any) -> None:
    folder = make_bundle()
    os.truncate(folder / "model.json", 1 << 30)
    with pytest.raises(ModelRefused, match="may have"):
        read_bundle(folder)
