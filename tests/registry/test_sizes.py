"""``input.sizes`` of a manifest: what may stand there, and what a request may choose."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from sightline.errors import BadOption
from sightline.manifest import InputContract, Manifest


def _contract(**values: Any) -> InputContract:
    return InputContract(**({"width": 416, "height": 416} | values))


def _manifest(**values: Any) -> Manifest:
    contract = {"width": 416, "height": 416} | values
    return Manifest.model_validate(
        {"name": "m", "task": "detect", "labels": ["a"], "input": contract, "head": {"kind": "yolox"}}
    )


def test_manifests_without_sizes_are_as_before() -> None:
    old = _manifest()
    assert (old.input.sizes, old.input.size) == ((), None)
    assert old.at(None) is old
    assert old.at(416) is old


def test_a_size_changes_the_canvas_and_nothing_else() -> None:
    manifest = _manifest(sizes=[320, 416, 640], scale=0.5)
    assert manifest.input.size == 416
    large = manifest.at(640)
    assert (large.input.width, large.input.height, large.input.size) == (640, 640, 640)
    assert large.input.model_copy(update={"width": 416, "height": 416}) == manifest.input
    assert manifest.at(416) is manifest
    assert Manifest.model_validate(json.loads(manifest.model_dump_json())) == manifest


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "crop"])
def test_square_canvases_may_have_sizes(resize: str) -> None:
    assert _contract(sizes=(416, 640), resize=resize).sizes == (416, 640)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sizes": (640, 416)}, "ascend"),
        ({"sizes": (416, 416)}, "each once"),
        ({"sizes": (0, 416)}, "within 1 to 4096"),
        ({"sizes": (416, 5000)}, "within 1 to 4096"),
        ({"sizes": (320, 640)}, "width = height"),
        ({"sizes": (416, 640), "height": 320}, "416 x 320"),
        ({"sizes": (416, 640), "resize": "short_side"}, "not short_side"),
        ({"sizes": tuple(range(409, 418))}, "at most 8"),
    ],
    ids=str,
)
def test_sizes_that_cannot_be(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        _contract(**values)


def test_a_size_that_is_not_offered_lists_those_that_are() -> None:
    with pytest.raises(BadOption, match=r"does not run at the size 512.*320, 416, 640") as caught:
        _manifest(sizes=[320, 416, 640]).at(512)
    assert "416" in caught.value.next_step


@pytest.mark.parametrize("resize", ["letterbox", "short_side"])
def test_models_of_one_size_say_so(resize: str) -> None:
    with pytest.raises(BadOption, match="one size only, 416 x 416, not at 640"):
        _manifest(resize=resize).at(640)


def test_the_largest_side_of_short_side_is_no_size() -> None:
    with pytest.raises(BadOption):
        _manifest(resize="short_side").at(416)


def test_a_half_look_is_the_same_contract_at_half_the_size() -> None:
    manifest = _manifest(sizes=[320, 416, 640], half_looks=[640])
    assert manifest.input.half is None
    half = manifest.at(640).input.half
    assert half is not None
    assert half == manifest.at(320).input


@pytest.mark.parametrize("looks", [(416,), (640, 416), (1280,)], ids=str)
def test_a_half_look_needs_both_sizes(looks: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match=r"its half must both be in input\.sizes"):
        _contract(sizes=(320, 416, 640), half_looks=looks)


def test_only_things_that_have_places_can_compete() -> None:
    about = _manifest(sizes=[320, 416, 640], half_looks=[640]).model_dump()
    with pytest.raises(ValidationError, match="detect and segment, not classify"):
        Manifest.model_validate(about | {"task": "classify"})
