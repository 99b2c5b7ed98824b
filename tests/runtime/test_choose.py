from dataclasses import replace
from pathlib import Path

import pytest
from tests.runtime.graphs import (
    breaks_when_run,
    colour_classifier,
    manifest,
    sums_over_the_batch,
    varied_bundle,
)

from sightline.errors import ModelFailed
from sightline.manifest import Variant
from sightline.registry import INT8_FILE, read_bundle
from sightline.runtime import choose, measure
from sightline.runtime.choose import Choice, Measurement
from sightline.runtime.engine import Plan
from sightline.runtime.features import Features
from sightline.settings import Settings, load_settings


def settings_of(**changes: object) -> Settings:
    return load_settings({"threads": 2} | changes, environment={})


def test_a_choice_is_measured_in_a_child_and_remembered(tmp_path: Path) -> None:
    path, cache = colour_classifier(tmp_path / "m.onnx"), tmp_path / "cache"
    settings = settings_of()
    assert choose.recall(path, manifest(), settings, cache) is None
    choice = choose.choose(path, manifest(), settings, cache)
    assert choice.measured
    assert {row.plan.engine for row in choice.measurements} == {"onnxruntime", "openvino"}
    assert all(row.difference < 2e-3 for row in choice.measurements)
    assert "pictures/s here" in choice.reason
    assert choose.recall(path, manifest(), settings, cache) == choice
    assert choose.recall(path, manifest(), settings_of(threads=1), cache) is None


def test_a_graph_that_no_engine_runs_is_a_model_failure(tmp_path: Path) -> None:
    path = breaks_when_run(tmp_path / "m.onnx")
    with pytest.raises(ModelFailed, match="could not run the model"):
        choose.choose(path, manifest(), settings_of(), tmp_path)


def test_a_damaged_record_is_measured_again(tmp_path: Path) -> None:
    path, settings = colour_classifier(tmp_path / "m.onnx"), settings_of(engine="onnxruntime", batch_max=1)
    choice = choose.choose(path, manifest(), settings, tmp_path / "cache")
    (record,) = (tmp_path / "cache").iterdir()
    record.write_text('{"plan": 3}')
    assert choose.recall(path, manifest(), settings, tmp_path / "cache") is None
    assert choose.choose(path, manifest(), settings, tmp_path / "cache").plan == choice.plan


def test_a_graph_that_mixes_pictures_is_never_batched(tmp_path: Path) -> None:
    choice = measure.measure(
        sums_over_the_batch(tmp_path / "m.onnx"), manifest(), settings_of(engine="onnxruntime")
    )
    assert choice.plan.batch == 1
    assert all(row.fault for row in choice.measurements if row.plan.batch > 1)


def test_a_fixed_batch_is_never_batched(tmp_path: Path) -> None:
    path = colour_classifier(tmp_path / "m.onnx", batch=1)
    choice = measure.measure(path, manifest(), settings_of(engine="onnxruntime"))
    assert choice.plan.batch == 1


@pytest.mark.parametrize(
    ("engine", "precision", "native", "expected"),
    [
        ("auto", "auto", False, ["onnxruntime fp32", "openvino fp32"]),
        ("auto", "auto", True, ["onnxruntime fp32", "openvino fp32", "openvino bf16"]),
        ("auto", "fp32", True, ["onnxruntime fp32", "openvino fp32"]),
        ("auto", "bf16", False, ["openvino bf16"]),
        ("onnxruntime", "auto", True, ["onnxruntime fp32"]),
        ("openvino", "auto", False, ["openvino fp32"]),
        ("openvino", "bf16", True, ["openvino bf16"]),
    ],
)
def test_candidates_follow_the_settings_and_the_processor(
    monkeypatch: pytest.MonkeyPatch, engine: str, precision: str, native: bool, expected: list[str]
) -> None:
    flags = frozenset({"amx_bf16"} if native else {"avx2"})
    monkeypatch.setattr(measure, "this_machine", lambda: Features("x", flags))
    plans = measure.candidates(Plan(), settings_of(engine=engine, precision=precision))
    assert [f"{plan.engine} {plan.precision}" for plan in plans] == expected


@pytest.mark.parametrize(
    ("precision", "loses", "expected"),
    [
        ("auto", 0.5, ["onnxruntime fp32", "openvino fp32", "onnxruntime int8", "openvino int8"]),
        ("auto", 0.51, ["onnxruntime fp32", "openvino fp32"]),
        ("auto", None, ["onnxruntime fp32", "openvino fp32"]),
        ("fp32", 0.0, ["onnxruntime fp32", "openvino fp32"]),
        ("int8", 3.0, ["onnxruntime int8", "openvino int8"]),
    ],
)
def test_the_int8_file_is_tried_where_it_was_judged_or_asked_for(
    monkeypatch: pytest.MonkeyPatch, precision: str, loses: float | None, expected: list[str]
) -> None:
    monkeypatch.setattr(measure, "this_machine", lambda: Features("x", frozenset({"avx2"})))
    both = Variant(sha256="0" * 64, bytes=1, loses=loses, engines=("onnxruntime", "openvino"))
    plans = measure.candidates(Plan(), settings_of(precision=precision), manifest(variants=(both,)))
    assert [f"{plan.engine} {plan.precision}" for plan in plans] == expected


def test_an_engine_that_computes_the_int8_file_wrongly_never_runs_it(tmp_path: Path) -> None:
    about = manifest(variants=(Variant(sha256="0" * 64, bytes=1, loses=0),))
    asked = settings_of(precision="int8", engine="openvino")
    assert [plan.precision for plan in measure.candidates(Plan(), asked, about)] == ["fp32"]
    path = colour_classifier(tmp_path / "m.onnx")
    chosen = choose.default(path, about, asked)
    assert chosen.plan.describe().startswith("openvino fp32")
    assert "int8 file is left out: openvino was not seen" in chosen.reason
    assert "int8 file is left out: openvino was not seen" in measure.measure(path, about, asked).reason
    assert "left out" not in choose.default(path, manifest(), asked).reason


def test_the_setting_int8_leaves_models_without_such_a_file_in_float(tmp_path: Path) -> None:
    settings = settings_of(precision="int8", engine="onnxruntime")
    assert [plan.precision for plan in measure.candidates(Plan(), settings, manifest())] == ["fp32"]
    assert (
        choose.default(colour_classifier(tmp_path / "m.onnx"), manifest(), settings).plan.precision == "fp32"
    )


def test_the_int8_file_is_measured_like_the_float_one_and_runs_when_asked_for(tmp_path: Path) -> None:
    bundle = read_bundle(varied_bundle(tmp_path / "made"))
    path, about, cache = bundle.model_path, bundle.manifest, tmp_path / "cache"
    tried = measure.measure(path, about, settings_of(batch_max=1))
    assert not [row.fault for row in tried.measurements if row.plan.precision == "int8" and row.fault]
    asked = choose.choose(path, about, settings_of(precision="int8", batch_max=1), cache)
    assert asked.plan.precision == "int8"
    assert choose.open_engine(path, about, asked).info.precision == "int8"
    unjudged = about.model_copy(update={"variants": (about.variants[0].model_copy(update={"loses": None}),)})
    assert choose.recall(path, unjudged, settings_of(precision="int8", batch_max=1), cache) is None


def test_an_int8_file_that_computes_something_else_is_out(tmp_path: Path) -> None:
    folder = varied_bundle(tmp_path / "made")
    colour_classifier(folder / INT8_FILE, sharpness=-4.0)
    about = read_bundle(folder).manifest
    rows = measure.measure(folder / "model.onnx", about, settings_of(engine="onnxruntime")).measurements
    assert [bool(row.fault) for row in rows if row.plan.precision == "int8"] == [True]


def test_another_engine_must_be_clearly_faster() -> None:
    slow = Measurement(Plan(), images_per_s=100)
    close = Measurement(Plan(engine="openvino"), images_per_s=110)
    clear = Measurement(Plan(engine="openvino"), images_per_s=130)
    broken = replace(clear, images_per_s=900, fault="it differs")
    assert measure.pick([slow, close, broken], measure.ANOTHER_ENGINE) is slow
    assert measure.pick([slow, close, clear], measure.ANOTHER_ENGINE) is clear
    assert "it differs" in measure.explain(slow, [slow, broken])


def test_the_default_plan_suits_the_size_of_the_model(tmp_path: Path) -> None:
    path = colour_classifier(tmp_path / "m.onnx")
    assert choose.default(path, manifest(), settings_of()).plan == Plan(threads=2, lanes=2, wide=True)
    lean = choose.default(path, manifest(), settings_of(memory_mb=512)).plan
    assert not lean.arena
    contract = manifest().input.model_copy(update={"resize": "short_side"})
    changing = choose.default(path, manifest(input=contract), settings_of()).plan
    assert changing == Plan(threads=2, arena=False)
    with path.open("ab") as file:
        file.truncate(200 << 20)
    assert not choose.default(path, manifest(), settings_of()).plan.wide


def test_a_choice_survives_json() -> None:
    choice = Choice(Plan(lanes=3), "Because.", (Measurement(Plan(), 1.0, 2.0, 0.0, ""),))
    assert Choice.from_json(choice.to_json()) == choice
