"""Pipelines on the real road: a detector of fixed boxes, a classifier of colours, rules, refusals."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.web import tiny

from sightline.errors import BadOption, ModelRefused, NotFound
from sightline.evaluation import evaluate
from sightline.registry import Registry
from sightline.serving.pipelines import import_pipeline, is_pipeline, set_second
from sightline.serving.road import Road
from sightline.settings import Settings, load_settings
from sightline.types import Ask, Classification, Detections, Frame, Result, Staged

DOOR = """
name = "door"
title = "At the door"

[first]
model = "tiny"
labels = ["person"]
min_score = 0.5

[crop]
margin = 0.0

[second]
model = "colours"
verdicts = { red = "rider", blue = "human" }
sure = { rider = 0.4, human = 0.4 }

[verdicts]
none = "no_human"
order = ["rider", "unknown", "human"]
titles = { rider = "a rider in red" }
folders = { human = "person" }
"""
RULE = """
name = "walker"

[first]
model = "tiny"
labels = ["person"]
min_score = 0.5

[second.verdicts]
walks = "dog_walker"
alone = "person"

[second.rule]
says = "walks"
otherwise = "alone"
bias = -2.0

[[second.rule.signs]]
labels = ["dog"]
zone = [-1.0, 0.0, 5.0, 1.0]
weight = 10.0

[verdicts]
order = ["dog_walker", "person"]
"""
RED, BLUE = (255, 0, 0), (0, 0, 255)


def png(person: tuple[int, int, int], rest: tuple[int, int, int] = (128, 128, 128)) -> bytes:
    """64 x 64 pixels; the first person of `tiny` stands at x 8 to 24, y 8 to 40."""
    image = Image.new("RGB", (64, 64), rest)
    image.paste(person, (8, 8, 24, 40))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("pipelines")
    options = load_settings({"data_dir": str(folder / "data"), "threads": 2, "decoders": 1}, environment={})
    tiny.install(options, folder / "scratch")
    for name, text in (("door", DOOR), ("walker", RULE)):
        (folder / f"{name}.toml").write_text(text)
        import_pipeline(folder / f"{name}.toml", Registry(options))
    return options


@pytest.fixture(scope="module")
def road(settings: Settings) -> Iterator[Road]:
    with Road.open(settings) as made:
        yield made


def staged(result: Result) -> Staged:
    assert result.task == "pipeline"
    assert isinstance(result.prediction, Staged)
    return result.prediction


def test_the_second_stage_sees_the_crop_and_decides(road: Road) -> None:
    result = road.predict(png(RED), model="door")
    told = staged(result)
    assert (told.verdict, told.title) == ("rider", "a rider in red")
    assert told.verdicts == ("rider", "")  # the dog was not asked about
    then = told.then[0]
    assert then is not None
    assert told.labels[int(then.label[0])] == "red"
    assert told.scores[0] == pytest.approx(0.9)
    assert told.scores[1] == pytest.approx(float(then.score[0]), abs=1e-6)
    assert [stage.name for stage in told.stages] == ["tiny", "colours"]
    assert (result.model.name, result.labels) == ("door", tiny.LABELS)
    assert staged(road.predict(png(BLUE), model="door")).verdict == "human"


def test_a_decoded_frame_gives_the_same_as_its_file(road: Road) -> None:
    data = png(RED)
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    from_file = staged(road.predict(data, model="door"))
    from_frame = staged(road.predict(Frame(pixels, 64, 64), model="door"))
    assert from_frame.scores == pytest.approx(from_file.scores)


def test_what_is_neither_is_not_forced_to_be_one(road: Road) -> None:
    told = staged(road.predict(png((128, 128, 128)), model="door"))
    assert (told.verdict, told.title, told.verdicts) == ("unknown", "unknown", ("unknown", ""))
    assert told.scores[1] == pytest.approx(1 / 3, abs=0.01)


def test_the_verdict_does_not_depend_on_what_is_shown(road: Road) -> None:
    for ask in (Ask(min_score=0.95), Ask(max_results=1), Ask(labels=frozenset({"human"}))):
        told = staged(road.predict(png(RED), model="door", ask=ask))
        assert told.verdict == "rider"
    assert len(staged(road.predict(png(RED), model="door", ask=Ask(min_score=0.95))).verdicts) == 0
    only = staged(road.predict(png(RED), model="door", ask=Ask(labels=frozenset({"rider"}))))
    assert only.verdicts == ("rider",)
    with pytest.raises(BadOption, match="no label"):
        road.predict(png(RED), model="door", ask=Ask(labels=frozenset({"purple"})))


def test_how_sure_nobody_is_does_not_depend_on_what_is_shown(settings: Settings, tmp_path: Path) -> None:
    strict = DOOR.replace('"door"', '"strict"').replace("min_score = 0.5", "min_score = 0.95")
    (tmp_path / "strict.toml").write_text(strict)
    import_pipeline(tmp_path / "strict.toml", Registry(settings))
    with Road.open(settings) as road:
        for least in (0.05, 0.4, 1.0):
            told = staged(road.predict(png(RED), model="strict", ask=Ask(min_score=least)))
            assert told.verdict == "no_human"
            assert told.scores[0] == pytest.approx(0.9), "the strongest that was not strong enough"
            assert told.scores[1] is None


def test_a_rule_looks_at_what_stands_around(road: Road) -> None:
    told = staged(road.predict(png(RED), model="walker"))
    assert isinstance(told.first, Detections)
    # The dog (20, 4, 60, 30; score 0.6) lies in the zone (-8, 8, 88, 40) with 22 of its 26 rows.
    likely = 1 / (1 + np.exp(-(-2.0 + 10.0 * 0.6 * 22 / 26)))
    assert told.scores[1] == pytest.approx(likely, abs=1e-4)
    assert told.verdict == "dog_walker"
    assert told.stages[1].name == "rule:signs"


def test_load_has_every_stage_ready(settings: Settings) -> None:
    with Road.open(settings) as fresh:
        fresh.load("door")
        assert {item.bundle.name for item in fresh.pool.loaded()} == {"tiny", "colours"}
        with pytest.raises(BadOption, match="pipeline"):
            fresh.pool.get("door")


def test_evaluation_prints_the_verdicts(road: Road, tmp_path: Path) -> None:
    for name, colour in (("person", BLUE), ("rider", RED)):
        (tmp_path / name).mkdir()
        for place in range(2):
            (tmp_path / name / f"{place}.png").write_bytes(png(colour, (place, place, place)))
    report = evaluate(road, "door", tmp_path)
    assert report.columns == ("human", "rider", "no_human", "unknown")
    assert report.confusion == ((2, 0, 0, 0), (0, 2, 0, 0))
    assert report.figures["right"].value == 1
    assert "| person | 2 | 0 | 0 | 0 |" in report.table()
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "0.png").write_bytes(png(RED))
    with pytest.raises(BadOption, match="'cat', which is no verdict"):
        evaluate(road, "door", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('model = "tiny"', 'model = "absent"', "first.model names 'absent', which is not here"),
        ('model = "tiny"', 'model = "door"', "names itself"),
        ('model = "tiny"', 'model = "walker"', "a pipeline itself"),
        ('model = "colours"', 'model = "tiny"', "must be a classifier"),
        ('labels = ["person"]', 'labels = ["persno"]', "no label 'persno'"),
        ("red =", "crimson =", "no label 'crimson'"),
        ('model = "tiny"', 'model = "colours"', "no label 'person'"),
        ("min_score = 0.5", "min_score = 0.5\nsize = 1000", "first.size"),
        ('order = ["rider", "unknown", "human"]', 'order = ["rider"]', "verdicts.order must hold each"),
        ("sure = { rider = 0.4", "sure = { riders = 0.4", "second.sure"),
        ('none = "no_human"', 'none = "rider"', "verdicts.none"),
        ('name = "door"', 'name = "../door"', "name"),
        ("[crop]", "[crops]", "crops"),
        ("[first]", "[first", "cannot be used"),
    ],
)
def test_a_pipeline_that_cannot_work_is_refused(
    settings: Settings, tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in DOOR
    path = tmp_path / "bad.toml"
    path.write_text(DOOR.replace(old, new))
    registry = Registry(settings)
    before = [bundle.reference for bundle in registry.list()]
    with pytest.raises(ModelRefused) as caught:
        import_pipeline(path, registry)
    assert words in caught.value.message
    assert [bundle.reference for bundle in registry.list()] == before


def test_a_classifier_can_be_stage_one_of_the_whole_picture(settings: Settings, tmp_path: Path) -> None:
    text = DOOR.replace('model = "tiny"', 'model = "colours"').replace('"person"]', '"red"]')
    text = text.replace("min_score = 0.5", "min_score = 0.35").replace('name = "door"', 'name = "two-looks"')
    path = tmp_path / "two.toml"
    path.write_text(text)
    with pytest.raises(ModelRefused, match="finds no boxes"):
        import_pipeline(path, Registry(settings))
    path.write_text(text.replace("margin = 0.0", 'of = "frame"'))
    import_pipeline(path, Registry(settings))
    with Road.open(settings) as road:
        told = staged(road.predict(png(RED, RED), model="two-looks"))
        assert isinstance(told.first, Classification)
        assert told.verdict == "rider"
        assert staged(road.predict(png(BLUE, BLUE), model="two-looks")).verdict == "no_human"


def test_another_second_stage_is_one_call_and_the_next_version(settings: Settings) -> None:
    registry = Registry(settings)
    with pytest.raises(BadOption, match="stands for the verdict 'dog_walker'"):
        set_second(registry, "walker", "colours")
    changed = set_second(registry, "walker", "colours", verdicts={"red": "dog_walker"}, sure={"person": 0.4})
    assert (changed.version, registry.find("walker").version) == ("2", "2")
    pipeline = changed.manifest.pipeline
    assert pipeline is not None
    assert pipeline.second.verdicts == {"red": "dog_walker", "green": "person", "blue": "person"}
    assert set_second(
        registry, "walker", "colours", verdicts={"red": "dog_walker"}, sure={"person": 0.4}
    ).version in {"2", "3"}
    with pytest.raises(BadOption, match="is no pipeline"):
        set_second(registry, "tiny", "colours")
    with pytest.raises(NotFound):
        set_second(registry, "walker", "absent")
    registry.promote("walker", "1")


def test_a_model_that_was_removed_is_named(settings: Settings, tmp_path: Path) -> None:
    copy = tmp_path / "data"
    shutil.copytree(settings.data_path, copy)
    options = load_settings({"data_dir": str(copy), "decoders": 1}, environment={})
    with Road.open(options) as road:
        road.registry.remove("colours")
        with pytest.raises(NotFound, match="The pipeline door@1 needs a model that is not here"):
            road.predict(png(RED), model="door")


def test_what_is_a_pipeline(tmp_path: Path) -> None:
    folder = tmp_path / "it"
    folder.mkdir()
    assert not is_pipeline(folder)
    (folder / "pipeline.toml").write_text(DOOR)
    assert is_pipeline(folder)
    assert is_pipeline(folder / "pipeline.toml")
    (folder / "model.onnx").write_bytes(b"")
    assert not is_pipeline(folder)


def test_visitors_ships_and_answers(samples: Path, data_settings: Settings) -> None:
    with Road.open(data_settings) as road:
        assert road.registry.resolve(None).task != "pipeline"  # nobody gets a verdict without asking
        told = staged(road.predict((samples / "motorcycle.jpg").read_bytes(), model="visitors"))
        assert told.verdict == "rider"
        assert told.title == "human detected: delivery rider"
        empty = staged(road.predict((samples / "coffee.jpg").read_bytes(), model="visitors"))
        assert empty.verdict == "no_human"


def test_a_pipeline_has_no_weights(settings: Settings) -> None:
    bundle = Registry(settings).find("door")
    given: dict[str, Any] = bundle.manifest.model_dump(mode="json")
    assert (bundle.files, bundle.size, bundle.stages) == ((), 0, ("tiny", "colours"))
    assert given["labels"] == ["no_human", "rider", "human", "unknown"]
    with pytest.raises(ValueError, match="no weights"):
        type(bundle.manifest).model_validate(given | {"sha256": "0" * 64})
