"""The JSON of a result: its shape, its schema, and back."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sightline.errors import BadOption
from sightline.formats import native
from sightline.types import Classification, Detections, Mask, ModelRef, Result, Segments, Staged, Timing
from sightline.vision import masks


@pytest.fixture(scope="session")
def schema(root: Path) -> Any:
    body = json.loads((root / "docs" / "reference" / "result.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(body)
    return jsonschema.Draft202012Validator(body)


def test_a_detection_in_full(detected: Result) -> None:
    assert native.to_json(detected) == {
        "id": "r1",
        "source": "a/b.jpg",
        "model": {"name": "toy", "version": "2", "digest": "sha256:" + "a" * 64},
        "task": "detect",
        "image": {"width": 100, "height": 80},
        "predictions": [
            {
                "label": "猫 & <dog>",
                "label_id": 2,
                "score": 0.9124,
                "box": {"x1": 10, "y1": 20, "x2": 50.12, "y2": 60.99},
            },
            {"label": "person", "label_id": 0, "score": 0.5, "box": {"x1": 0, "y1": 0, "x2": 100, "y2": 80}},
        ],
        "timing_ms": {
            "decode": 1.23,
            "queue": 0,
            "preprocess": 2,
            "infer": 3.33,
            "postprocess": 0.12,
            "total": 7,
        },
        "engine": "onnxruntime fp32",
    }


@pytest.mark.parametrize("name", ["detected", "nothing", "classified", "segmented", "judged"])
def test_every_task_keeps_the_schema_and_survives_the_round_trip(
    name: str, schema: Any, request: pytest.FixtureRequest
) -> None:
    result = request.getfixturevalue(name)
    body = json.loads(json.dumps(native.to_json(result), allow_nan=False))
    schema.validate(body)
    assert native.to_json(native.from_json(body, result.labels)) == body
    assert native.to_json(native.from_json(body)) == body


@pytest.mark.parametrize(
    "change",
    [
        {"task": "guess"},
        {"task": "segment"},
        {"decision": "accepted"},
        {"verdict": "rider"},
        {"image": {"width": 0, "height": 5}},
        {"predictions": [{"label": "cat", "label_id": 0, "score": 2}]},
        {"predictions": [{"label": "cat", "label_id": 0, "score": 0.5}]},
    ],
)
def test_the_schema_refuses(schema: Any, detected: Result, change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        schema.validate(native.to_json(detected) | change)


def test_a_class_has_a_decision(classified: Result) -> None:
    body = native.to_json(classified)
    assert body["predictions"][0] == {"label": 'stop "sign"', "label_id": 1, "score": 0.7}
    assert body["decision"] == "uncertain"


def test_a_pipeline_says_its_verdict_and_shows_both_stages(judged: Result) -> None:
    body = native.to_json(judged)
    assert (body["verdict"], body["verdict_title"]) == ("rider", "human detected: delivery rider")
    assert body["scores"] == {"first": 0.9124, "second": 0.75}
    assert [stage["name"] for stage in body["stages"]] == ["toy", "rule:signs"]
    person, other = body["predictions"]
    assert person["verdict"] == "rider"
    assert person["then"] == [
        {"label": "rider", "label_id": 1, "score": 0.75},
        {"label": "other", "label_id": 0, "score": 0.25},
    ]
    assert "verdict" not in other


def test_masks_come_back_to_the_pixel(segmented: Result) -> None:
    back = native.from_json(native.to_json(segmented)).prediction
    assert isinstance(back, Segments)
    assert isinstance(segmented.prediction, Segments)
    for one, other in zip(back.masks, segmented.prediction.masks, strict=True):
        assert np.array_equal(masks.full(one, 100, 80), masks.full(other, 100, 80))


def test_labels_that_do_not_occur_get_a_name(detected: Result) -> None:
    body = native.to_json(detected)
    assert native.from_json(body).labels == ("person", "class 1", "猫 & <dog>")


@pytest.mark.parametrize(
    "change",
    [
        {"model": {}},
        {"image": None},
        {"task": "guess"},
        {"predictions": None},
        {"predictions": [{}]},
        {
            "predictions": [
                {"label": "x", "label_id": -1, "score": 1, "box": {"x1": 0, "y1": 0, "x2": 1, "y2": 1}}
            ]
        },
        {
            "predictions": [
                {"label": "x", "label_id": 10**9, "score": 1, "box": {"x1": 0, "y1": 0, "x2": 1, "y2": 1}}
            ]
        },
        {"timing_ms": {"lunch": 3}},
    ],
)
def test_what_is_no_result_is_refused(detected: Result, change: dict[str, Any]) -> None:
    with pytest.raises(BadOption, match="not a Sightline result"):
        native.from_json(native.to_json(detected) | change)


@given(hnp.arrays(np.float32, (7, 4), elements=st.floats(0, 500, width=32)), st.integers(0, 2))
def test_rounding_is_all_that_is_lost(xyxy: Any, task: int) -> None:
    score, label = np.linspace(1, 0, 7).astype(np.float32), np.arange(7)
    found = Detections(xyxy, score, label)
    patch = tuple(Mask(np.eye(number + 1, dtype=np.bool_), number, 0) for number in range(7))
    prediction = (Classification(label, score), found, Segments(found, patch))[task]
    kind: Any = ("classify", "detect", "segment")[task]
    names = tuple("abcdefg")
    result = Result("i", "s", ModelRef("m", "1", "d"), kind, 500, 500, names, prediction, Timing())
    back = native.from_json(native.to_json(result)).prediction
    if isinstance(back, Classification):
        assert np.allclose(back.score, score, atol=1e-4)
    else:
        assert not isinstance(back, Staged)
        boxes = back.detections if isinstance(back, Segments) else back
        assert np.allclose(boxes.xyxy, xyxy, atol=0.011)
