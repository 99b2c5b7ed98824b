"""Bundles whose weights are a few bytes: the registry never looks inside them."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MakeBundle = Callable[..., Path]


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """Write a bundle folder; keyword arguments replace fields of the manifest."""

    def make(
        weights: bytes = b"weights", *, folder: Path | None = None, card: str = "", **fields: Any
    ) -> Path:
        manifest = {
            "name": "toy",
            "version": "1",
            "task": "detect",
            "labels": ["a", "b"],
            "input": {"width": 32, "height": 32},
            "head": {"kind": "yolox"},
            "sha256": hashlib.sha256(weights).hexdigest(),
            "bytes": len(weights),
            **fields,
        }
        folder = folder or tmp_path / "sources" / f"{manifest['name']}-{manifest['version']}-{len(weights)}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes(weights)
        (folder / "model.json").write_text(json.dumps(manifest))
        if card:
            (folder / "CARD.md").write_text(card)
        return folder

    return make
