"""One model at several sizes, over real graphs, engines and decoders."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.runtime import graphs
from tests.runtime.graphs import FOUND, SIZES

from sightline.errors import BadOption, ModelRefused
from sightline.formats import native
from sightline.registry import Registry
from sightline.runtime import choose
from sightline.runtime.choose import Choice
from sightline.runtime.engine import Outputs, Plan, Tensor
from sightline.serving.importer import import_model
from sightline.serving.pool import ModelPool
from sightline.serving.quantizing import make_smaller
from sightline.serving.road import Road
from sightline.serving.trial import trial
from sightline.settings import Settings, load_settings
from sightline.types import Ask

PLANS = {
    "onnxruntime": Plan(threads=2, lanes=2, wide=True),
    "onnxruntime, batches": Plan(threads=2, lanes=2, batch=4),
    "openvino": Plan("openvino", threads=2, lanes=2, wide=True),
    "openvino, batches": Plan("openvino", threads=2, batch=4),
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    values = {"data_dir": str(tmp_path / "data"), "threads": 2, "decoders": 2, "model": "cells"}
    return load_settings(values | {"disk_reserve_mb": 0, "batch_wait_ms": 2.0}, environment={})


@pytest.fixture
def road(settings: Settings, tmp_path: Path) -> Iterator[Road]:
    with Road.open(settings) as made:
        made.registry.add(graphs.sized_bundle(tmp_path / "cells"))
        yield made


def ask(road: Road, size: int | None) -> dict[str, Any]:
    return native.to_json(road.predict(graphs.red_square(), ask=Ask(size=size)))


@pytest.mark.parametrize("size", SIZES)
def test_a_larger_size_sees_smaller_things_in_the_same_place(road: Road, size: int) -> None:
    found = ask(road, size)
    assert found["size"] == size
    assert found["image"] == {"width": 128, "height": 128}
    assert len(found["predictions"]) == FOUND[size]
    for thing in found["predictions"]:
        assert thing["label"] == "red"
        assert 32 <= thing["box"]["x1"] < thing["box"]["x2"] <= 96
        assert thing["box"]["x2"] - thing["box"]["x1"] == pytest.approx(128 * 8 / size)


def test_without_a_size_it_is_the_usual_one(road: Road) -> None:
    assert ask(road, None)["size"] == 32
    assert ask(road, None)["predictions"] == ask(road, 32)["predictions"]


def test_a_half_look_adds_what_only_the_smaller_size_sees(road: Road, tmp_path: Path) -> None:
    """Boxes of the two sizes overlap by a quarter, so both stay."""
    bundle = graphs.sized_bundle(tmp_path / "both", name="both", half_looks=(64,))
    road.registry.add(bundle)
    wishes = {size: Ask(size=size, max_results=100) for size in SIZES}
    found = {
        size: native.to_json(road.predict(graphs.red_square(), model="both", ask=wishes[size]))
        for size in SIZES
    }
    assert [len(found[size]["predictions"]) for size in SIZES] == [
        FOUND[16],
        FOUND[32],
        FOUND[64] + FOUND[32],
    ]
    places = {json.dumps(thing["box"]) for thing in found[64]["predictions"]}
    assert places >= {json.dumps(thing["box"]) for thing in found[32]["predictions"]}
    assert found[64]["size"] == 64
    assert road.pool.get("both").sides == {16, 32, 64}
    timing = found[64]["timing_ms"]
    parts = [timing[name] for name in ("decode", "queue", "preprocess", "infer", "postprocess")]
    assert sum(parts) == pytest.approx(timing["total"], abs=0.1)


def test_a_size_that_is_not_offered_is_refused_before_the_picture_is_read(road: Road) -> None:
    with pytest.raises(BadOption, match="16, 32, 64"):
        road.predict(b"no picture at all", ask=Ask(size=48))


def test_models_of_one_size_do_not_speak_of_it(road: Road, tmp_path: Path) -> None:
    road.registry.add(graphs.sized_bundle(tmp_path / "one", name="one", sizes=()))
    assert "size" not in native.to_json(road.predict(graphs.red_square(), model="one"))


def test_a_result_keeps_its_size_in_json(road: Road) -> None:
    found = ask(road, 64)
    assert native.to_json(native.from_json(json.loads(json.dumps(found)))) == found


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_mixed_sizes_side_by_side_give_the_answers_of_each_alone(
    road: Road, settings: Settings, monkeypatch: pytest.MonkeyPatch, plan: Plan
) -> None:
    """Every picture in a batch has the size of its neighbours, and the answers are those of one caller."""
    bundle = road.registry.resolve(None)
    choice = Choice(plan, "A test.", ())
    choose._remember(
        choice, choose._record(bundle.model_path, bundle.manifest, settings, road.pool.cache_dir)
    )
    loaded = road.pool.get()
    assert loaded.choice.plan == plan
    alone = {size: ask(road, size)["predictions"] for size in SIZES}
    assert {size: len(found) for size, found in alone.items()} == FOUND
    shapes: list[tuple[int, ...]] = []
    run = loaded.engine.run

    def watched(tensor: Tensor) -> Outputs:
        shapes.append(tensor.shape)
        return run(tensor)

    monkeypatch.setattr(loaded.engine, "run", watched)
    wishes = [SIZES[number % 3] for number in range(48)]
    with ThreadPoolExecutor(12) as callers:
        answers = list(callers.map(lambda size: ask(road, size), wishes))
    assert [answer["size"] for answer in answers] == wishes
    assert all(answer["predictions"] == alone[size] for answer, size in zip(answers, wishes, strict=True))
    assert sum(shape[0] for shape in shapes) == len(wishes)
    assert {shape[2:] for shape in shapes} == {(size, size) for size in SIZES}
    assert max(shape[0] for shape in shapes) <= plan.batch


def test_what_a_large_size_holds_counts_in_the_budget(tmp_path: Path) -> None:
    values = {"data_dir": str(tmp_path / "data"), "threads": 1, "memory_mb": 40, "model": "cells"}
    lean = load_settings(values, environment={})
    registry = Registry(lean)
    registry.add(graphs.sized_bundle(tmp_path / "cells", sizes=(16, 32, 640)))
    registry.add(graphs.sized_bundle(tmp_path / "other", name="other"))
    pool = ModelPool(lean, registry)
    try:
        other, loaded = pool.get("other"), pool.get("cells")
        before = loaded.size
        pool.grow(loaded, loaded.bundle.manifest.at(16).input)
        assert loaded.size == before, "a smaller canvas fits into what is there"
        assert other in pool.loaded()
        pool.grow(loaded, loaded.bundle.manifest.at(640).input)
        grown = loaded.size
        assert grown - before > 20 << 20
        assert pool.loaded() == [loaded]
        pool.grow(loaded, loaded.bundle.manifest.at(640).input)
        assert loaded.size == grown, "it is counted once"
    finally:
        pool.close()


def test_the_road_counts_a_size_at_its_first_picture(road: Road) -> None:
    loaded = road.pool.get()
    before = loaded.size
    assert loaded.sides == {32}
    ask(road, 64)
    ask(road, 16)
    assert loaded.sides == {16, 32, 64}
    assert loaded.size > before


def test_an_import_proves_every_size(tmp_path: Path, settings: Settings) -> None:
    registry = Registry(settings, bundled=tmp_path / "none")
    report = import_model(graphs.sized_bundle(tmp_path / "cells"), registry, settings)
    assert report.bundle.manifest.input.sizes == SIZES
    fixed = graphs.sized_bundle(tmp_path / "fixed", name="fixed", side=32)
    with pytest.raises(ModelRefused, match="offers the size 16, but there the model does not work") as caught:
        import_model(fixed, registry, settings)
    assert "input.sizes" in caught.value.next_step
    assert [bundle.name for bundle in registry.list()] == ["cells"]


def test_a_size_between_the_cells_is_refused(tmp_path: Path) -> None:
    path = graphs.colour_cells(tmp_path / "m.onnx")
    with pytest.raises(ModelRefused, match="offers the size 36"):
        trial(path, graphs.sized_manifest(sizes=(32, 36)))


def test_a_bare_file_offers_sizes_only_when_told_to(tmp_path: Path, settings: Settings) -> None:
    registry = Registry(settings, bundled=tmp_path / "none")
    path = graphs.colour_cells(tmp_path / "bare.onnx")
    hints: dict[str, Any] = {"head": "yolox", "head_options": {"strides": [8]}, "labels": graphs.LABELS}
    hints |= {"width": 32, "height": 32, "scale": 1 / 255}
    assert import_model(path, registry, settings, **hints).bundle.manifest.input.sizes == ()
    told = import_model(path, registry, settings, name="told", sizes=SIZES, **hints)
    assert told.bundle.manifest.input.sizes == SIZES
    with pytest.raises(BadOption, match="width = height"):
        import_model(path, registry, settings, name="off", sizes=(16, 64), **hints)


def test_int8_is_calibrated_and_judged_at_every_size(road: Road, settings: Settings) -> None:
    small = make_smaller("cells", "cells-int8", [graphs.red_square()] * 24, settings)
    assert small.bundle.manifest.input.sizes == SIZES
    assert small.made.chosen.alike == 1
    with Road.open(settings) as again:
        for size in SIZES:
            result = again.predict(graphs.red_square(), model="cells-int8", ask=Ask(size=size))
            assert (result.size, len(native.plain(result))) == (size, FOUND[size])
            assert result.engine.endswith("int8")


def test_a_wrong_engine_at_another_size_cannot_win(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial compares every size with ONNX Runtime, not only the one that it times."""
    from sightline.runtime import measure  # noqa: PLC0415 - only this test looks inside
    from sightline.runtime.openvino_engine import OpenVinoEngine  # noqa: PLC0415

    run = OpenVinoEngine.run

    def wrong_at_64(self: OpenVinoEngine, tensor: Tensor) -> Outputs:
        outputs = run(self, tensor)
        return {name: value + np.float32(tensor.shape[-1] == 64) for name, value in outputs.items()}

    path = graphs.colour_cells(tmp_path / "m.onnx")
    manifest = graphs.sized_manifest()
    monkeypatch.setattr(measure, "_TRY_S", 0.01)
    rows = measure.measure(path, manifest, settings).measurements
    sound = {row.plan.engine: row.fault for row in rows if row.plan.precision == "fp32"}
    assert sound == {"onnxruntime": "", "openvino": ""}
    monkeypatch.setattr(OpenVinoEngine, "run", wrong_at_64)
    rows = measure.measure(path, manifest, settings).measurements
    assert all("differs" in row.fault for row in rows if row.plan.engine == "openvino")
    assert all(not row.fault for row in rows if row.plan.engine == "onnxruntime")
