"""An int8 file that belongs to its model: made and judged with real pictures, through the real road."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tests.runtime.graphs import LABELS, SIDE, colour_classifier, manifest

from sightline.cli.main import cli
from sightline.errors import BadOption
from sightline.evaluation.report import Figure, Report
from sightline.evaluation.variant import lost, may_run
from sightline.registry import INT8_FILE, Registry, file_sha256
from sightline.serving.road import Road
from sightline.settings import Settings, load_settings
from sightline.types import Classification, ModelRef


def picture(colour: int, seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 90, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels[..., colour] += 120
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A shelf with `colour@1`, calibration pictures in ``photos`` and labelled ones in ``judged``."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    model = colour_classifier(folder / "model.onnx")
    about = manifest(sha256=file_sha256(model), bytes=model.stat().st_size)
    (folder / "model.json").write_text(about.model_dump_json())
    settings = load_settings(
        {"data_dir": str(tmp_path / "data"), "threads": 1, "engine": "onnxruntime"}, environment={}
    )
    Registry(settings).add(folder)
    for seed in range(12):
        for base in ("photos", "judged"):
            home = tmp_path / base / (LABELS[seed % 3] if base == "judged" else "")
            home.mkdir(parents=True, exist_ok=True)
            (home / f"{seed}.png").write_bytes(picture(seed % 3, seed + 100 * (base == "judged")))
    return settings


def quantize(settings: Settings, *words: object) -> str:
    root = Path(settings.data_dir).parent
    asked = ["models", "quantize", "colour", root / "photos", "--data-dir", settings.data_dir, *words]
    done = CliRunner().invoke(cli, [str(word) for word in asked])
    return done.output


def test_the_int8_file_becomes_part_of_a_new_version_and_runs_when_asked_for(settings: Settings) -> None:
    root = Path(settings.data_dir).parent
    assert "Imported colour@2: int8" in quantize(settings, "--judge", root / "judged")
    registry = Registry(settings)
    old, new = registry.find("colour@1"), registry.find("colour")
    assert (old.manifest.variants, new.version, new.digest) == ((), "2", old.digest)
    (variant,) = new.manifest.variants
    assert variant.trusted
    assert variant.loses == 0
    assert variant.metrics["top1"]["value"] == variant.metrics["float"]["top1"]["value"] == 1
    assert "judged, 12 pictures" in variant.judged_on
    assert variant.engines == ("onnxruntime", "openvino")
    assert variant.metrics["openvino"]["top1"]["value"] == 1
    assert "| figure, % | float | int8 | int8, OpenVINO |" in new.card
    assert "| top1 | 100.0 [100.0, 100.0] | 100.0 [100.0, 100.0] | 100.0 [100.0, 100.0] |" in new.card
    for precision, runs in (("auto", "fp32"), ("fp32", "fp32"), ("int8", "int8")):
        with Road.open(replace(settings, precision=precision)) as road:
            result = road.predict(picture(1, 7), model="colour")
            assert result.engine == f"onnxruntime {runs}"
            assert isinstance(result.prediction, Classification)
            assert result.labels[result.prediction.label[0]] == "green"
    shown = CliRunner().invoke(cli, ["models", "show", "colour", "--data-dir", settings.data_dir]).output
    assert "int8" in shown
    assert "loses 0.00 points on judged" in shown


def test_the_bundle_can_be_written_without_a_new_version(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "Wrote" in quantize(settings, "--judge", tmp_path / "judged", "--out", out)
    about = json.loads((out / "model.json").read_text())
    assert about["version"] == "1"
    assert about["variants"][0]["sha256"] == file_sha256(out / INT8_FILE)
    assert [bundle.version for bundle in Registry(settings).versions("colour")] == ["1"]


def test_calibration_pictures_must_not_be_judged(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "photos" / "0.png").write_bytes((tmp_path / "judged" / "red" / "0.png").read_bytes())
    assert "is among the judged ones of judged" in quantize(settings, "--judge", tmp_path / "judged")


def test_options_that_do_not_go_together_are_refused(settings: Settings, tmp_path: Path) -> None:
    assert "--name is for" in quantize(settings, "--judge", tmp_path / "judged", "--name", "other")
    assert "need --judge" in quantize(settings, "--out", tmp_path / "out")


def report(box: float, mask: float) -> Report:
    figures = {"AP": Figure(box), "mask_AP": Figure(mask), "AP50": Figure(0.1)}
    return Report(ModelRef("m", "1", ""), "segment", "set", 1, figures)


@pytest.mark.parametrize(
    ("mask", "engines"), [(0.396, ("onnxruntime", "openvino")), (0.394, ("onnxruntime",))]
)
def test_an_engine_that_loses_more_with_the_file_may_not_run_it(mask: float, engines: tuple[str]) -> None:
    assert may_run(report(0.5, 0.4), {"openvino": report(0.52, mask)}) == engines


def test_the_figure_that_loses_most_counts() -> None:
    assert lost(report(0.5, 0.4), report(0.51, 0.37)) == pytest.approx(3)
    assert lost(report(0.5, 0.4), report(0.52, 0.41)) == pytest.approx(-1)
    with pytest.raises(BadOption, match="none of the figures"):
        lost(report(0.5, 0.4), Report(ModelRef("m", "1", ""), "segment", "set", 1, {}))
