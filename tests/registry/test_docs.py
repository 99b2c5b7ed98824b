"""The manifest's reference page says what the code says."""

import json
import re
from pathlib import Path

from sightline.manifest import InputContract, Manifest, Thresholds
from sightline.registry.bundle import CARD_BYTES_MAX, MANIFEST_BYTES_MAX, MODEL_BYTES_MAX


def test_the_reference_names_every_field_and_its_example_is_valid(root: Path) -> None:
    text = (root / "docs" / "reference" / "manifest.md").read_text("utf-8")
    for model in (Manifest, InputContract, Thresholds):
        for field in model.model_fields:
            assert f"`{field}`" in text, field
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert example
    assert Manifest.model_validate(json.loads(example[1])).name == "yolox-nano"
    assert (MODEL_BYTES_MAX, MANIFEST_BYTES_MAX, CARD_BYTES_MAX) == (1 << 30, 8 << 20, 256 << 10)
    assert "`model.onnx` 1 GiB, `model.json` 8 MiB, `CARD.md` 256 KiB" in text
