from dataclasses import replace
from pathlib import Path

import pytest
from tests.runtime.graphs import breaks_when_run, colour_classifier, manifest, sums_over_the_batch

from sightline.errors import ModelFailed
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
