"""Whose name an int8 model may take. Quantising itself is tested beside its code and on the command line."""

from pathlib import Path

import pytest
from tests.runtime import graphs

from sightline.errors import BadOption
from sightline.registry import Registry
from sightline.serving.quantizing import make_smaller
from sightline.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"), disk_reserve_mb=0, decoders=1)


@pytest.mark.parametrize(
    ("made_from", "says"),
    [
        ("float@1, quantised to int8 with 12 calibration pictures", "at least 8 pictures"),
        ("float@0.9, quantised to int8 with 100 calibration pictures", "at least 8 pictures"),
        ("", "other@1 is another model, not an int8 version of float"),
        ("float@1", "other@1 is another model"),
        ("floating@1, quantised to int8 with 12 calibration pictures", "other@1 is another model"),
    ],
)
def test_a_name_that_another_model_has_is_not_taken(
    tmp_path: Path, settings: Settings, made_from: str, says: str
) -> None:
    registry = Registry(settings)
    registry.add(graphs.sized_bundle(tmp_path / "float", name="float"))
    registry.add(graphs.sized_bundle(tmp_path / "other", name="other", initialisation=made_from))
    with pytest.raises(BadOption, match=says):
        make_smaller("float", "other", [], settings)
    assert [bundle.version for bundle in registry.versions("other")] == ["1"]
