"""Pipelines over HTTP: composed, checked, tried, kept, changed, downloaded, removed."""

import copy
import io
import json
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serving.test_pipelines import BLUE, DOOR, RED, RULE, png

from sightline.registry import Registry
from sightline.serving.pipelines import import_pipeline, is_pipeline
from sightline.settings import load_settings

PIPELINES = "/api/v1/pipelines"
FIELDS: dict[str, Any] = tomllib.loads(DOOR)


@pytest.fixture
def named(client: httpx.Client, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The pipeline `door` under a name of this test's own; it is removed with the test."""
    name = "p-" + "".join(sign if sign.isalnum() else "-" for sign in request.node.name.lower())[:50]
    yield copy.deepcopy(FIELDS) | {"name": name}
    client.delete(f"{PIPELINES}/{name}")


def check(client: httpx.Client, fields: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"{PIPELINES}/check", json={"pipeline": fields})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_one_is_made_shown_asked_and_removed(client: httpx.Client, named: dict[str, Any]) -> None:
    name = named["name"]
    made = client.post(PIPELINES, json={"pipeline": named})
    assert made.status_code == 201
    assert made.headers["location"] == f"{PIPELINES}/{name}"
    assert (made.json()["version"], made.json()["faults"]) == ("1", [])
    shown = client.get(f"{PIPELINES}/{name}").json()
    assert shown["pipeline"]["second"]["verdicts"] == {"red": "rider", "blue": "human"}
    assert tomllib.loads(shown["toml"])["first"] == {"model": "tiny", "labels": ["person"], "min_score": 0.5}
    (listed,) = [one for one in client.get(PIPELINES).json()["pipelines"] if one["name"] == name]
    assert (listed["first"], listed["second"], listed["removable"]) == ("tiny", "colours", True)
    assert listed["verdicts"][1] == {"name": "rider", "title": "a rider in red"}
    files = {"image": ("door.png", png(RED))}
    assert client.post("/api/v1/predict", params={"model": name}, files=files).json()["verdict"] == "rider"
    assert client.delete(f"{PIPELINES}/{name}").status_code == 204
    assert client.get(f"{PIPELINES}/{name}").status_code == 404


def test_the_same_again_is_no_new_version_and_a_change_is_the_next(
    client: httpx.Client, named: dict[str, Any]
) -> None:
    assert client.post(PIPELINES, json={"pipeline": named}).json()["version"] == "1"
    assert client.post(PIPELINES, json={"pipeline": named}).json()["version"] == "1"
    named["first"]["min_score"] = 0.6
    again = client.post(PIPELINES, json={"pipeline": named}).json()
    assert (again["version"], again["versions"]) == ("2", ["2", "1"])
    one = f"{PIPELINES}/{named['name']}"
    assert client.delete(one, params={"version": "2"}).status_code == 204
    assert client.get(one).json()["version"] == "1"


def test_toml_is_as_good_as_json(client: httpx.Client, named: dict[str, Any]) -> None:
    text = RULE.replace('"walker"', f'"{named["name"]}"')
    made = client.post(PIPELINES, json={"toml": text})
    assert made.status_code == 201, made.text
    assert made.json()["second"] is None
    bad = client.post(PIPELINES, json={"toml": "name = "})
    assert (bad.status_code, bad.json()["code"]) == (400, "bad_option")
    assert "toml: " in bad.json()["detail"]


@pytest.mark.parametrize(
    ("place", "value", "field", "words"),
    [
        (("first", "model"), "absent", "first.model", "which is not here"),
        (("first", "model"), "", "first.model", "first.model"),
        (("first", "labels"), ["persno"], "first.labels", "no label 'persno'"),
        (("first", "labels"), [], "first.labels", "at least 1"),
        (("first", "min_score"), 1.5, "first.min_score", "less than or equal to 1"),
        (("first", "unsure_from"), 0.9, "first.unsure_from", "must not be above"),
        (("first", "size"), 1000, "first.size", "one size only"),
        (("second", "model"), "tiny", "second.model", "must be a classifier"),
        (("second", "verdicts"), {"crimson": "rider", "blue": "human"}, "second.verdicts", "'crimson'"),
        (("second", "sure"), {"riders": 0.5}, "second.sure", "names verdicts"),
        (("crop", "margin"), -1, "crop.margin", "greater than or equal to 0"),
        (("verdicts", "order"), ["rider"], "verdicts.order", "must hold each"),
        (("verdicts", "none"), "No Human", "verdicts.none", "lower-case"),
        (("verdicts", "titles"), {"other": "x"}, "", "no verdict 'other'"),
        (("name",), "../door", "name", "lower-case"),
        (("name",), "colours", "name", "is a model that is here"),
    ],
)
def test_each_fault_has_its_field(
    client: httpx.Client, place: tuple[str, ...], value: Any, field: str, words: str
) -> None:
    fields = copy.deepcopy(FIELDS)
    inner = fields
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    found = check(client, fields)
    assert not found["ok"]
    (fault,) = [one for one in found["faults"] if one["field"] == field]
    assert words in fault["message"]
    assert fault["next_step"]
    written = tomllib.loads(found["toml"])  # what is being written is shown as it stands
    if found["pipeline"] is None:
        assert written == fields
    assert written["name"] == fields["name"]
    refused = client.post(PIPELINES, json={"pipeline": fields})
    assert (refused.status_code, refused.json()["code"]) == (422, "model_refused")
    assert (
        client.post(
            f"{PIPELINES}/test", files={"image": png(RED)}, data={"pipeline": json.dumps(fields)}
        ).status_code
        == 422
    )


def test_stage_one_is_checked_while_stage_two_is_not_there_yet(client: httpx.Client) -> None:
    found = check(client, {"name": "x", "first": {"model": "tiny", "labels": ["dgo"]}})
    told = {one["field"]: one for one in found["faults"]}
    assert {"first.labels", "second", "verdicts"} <= set(told)
    assert told["first.labels"]["next_step"] == "Did you mean dog?"
    assert check(client, {"first": {"model": "x", "labels": ["y"]}})["faults"][-1]["field"] == "first.model"


def test_what_is_fine_is_said_to_be(client: httpx.Client) -> None:
    found = check(client, FIELDS)
    assert (found["ok"], found["faults"]) == (True, [])
    assert found["pipeline"]["first"]["most"] == 16
    assert check(client, tomllib.loads(RULE))["ok"]


def test_a_trial_looks_and_keeps_nothing(client: httpx.Client) -> None:
    before = client.get(PIPELINES).json()
    for data in ({"pipeline": json.dumps(FIELDS)}, {"toml": DOOR}):
        for colour, verdict in ((RED, "rider"), (BLUE, "human")):
            files = {"image": ("door.png", png(colour))}
            answer = client.post(f"{PIPELINES}/test", files=files, data=data)
            assert answer.status_code == 200, answer.text
            assert (answer.json()["verdict"], answer.json()["source"]) == (verdict, "door.png")
            assert answer.json()["model"]["name"] == "door"
    assert client.get(PIPELINES).json() == before


@pytest.mark.parametrize(
    ("files", "data", "status"),
    [
        ({"image": png(RED)}, {}, 400),
        ({"image": png(RED)}, {"toml": DOOR, "pipeline": "{}"}, 400),
        ({"image": png(RED)}, {"pipeline": "no json"}, 400),
        ({"image": png(RED)}, {"pipeline": "[]"}, 400),
        ({"image": png(RED)}, {"path": "/etc/passwd"}, 400),
        ({"image": b""}, {"toml": DOOR}, 400),
        ({"picture": png(RED)}, {"toml": DOOR}, 400),
        ({"image": b"no picture at all"}, {"toml": DOOR}, 415),
    ],
)
def test_a_trial_that_is_off_is_refused(
    client: httpx.Client, files: dict[str, bytes], data: dict[str, str], status: int
) -> None:
    assert client.post(f"{PIPELINES}/test", files=files, data=data).status_code == status


@pytest.mark.parametrize(
    "body",
    [{}, {"pipeline": {}, "toml": ""}, {"path": "/etc/passwd"}, {"pipeline": []}, {"toml": 1}, []],
)
def test_a_body_that_is_off_is_refused(client: httpx.Client, body: Any) -> None:
    for path in (PIPELINES, f"{PIPELINES}/check"):
        assert client.post(path, json=body).status_code in {400, 422}
    assert client.post(PIPELINES, content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    assert (
        client.post(PIPELINES, content=b"{", headers={"content-type": "application/json"}).status_code == 400
    )


@pytest.mark.parametrize(
    "body",
    [
        '{"pipeline": ' + '{"first": ' * 5000 + "1" + "}" * 5001,
        '{"pipeline": {"first": ' + "[" * 150 + "]" * 150 + "}}",
        json.dumps({"toml": "a = " + "[" * 5000 + "]" * 5000}),
        json.dumps({"toml": "created = 2026-01-01\n[first]\nmodel = 1979-05-27T07:32:00Z"}),
        json.dumps({"toml": DOOR.replace("[crop]", "[metrics]\nday = 2026-01-01\n\n[crop]")}),
        '{"pipeline": {"first": {"model": "tiny", "labels": ["person"], "min_score": NaN}}}',
        '{"pipeline": {"name": 1e400, "first": "x", "second": [], "verdicts": null, "crop": 1}}',
        json.dumps({"pipeline": {"first": {"model": "a" * 100_000, "labels": ["b" * 100_000] * 3}}}),
        json.dumps({"pipeline": {"x\u0000": "\ud800", "\u2028": {"\x7f": None}}}),
    ],
    ids=range(9),
)
def test_hostile_pipelines_get_an_answer(client: httpx.Client, body: str) -> None:
    for path in (PIPELINES, f"{PIPELINES}/check"):
        answer = client.post(path, content=body.encode(), headers={"content-type": "application/json"})
        assert answer.status_code in {200, 201, 400, 422}, answer.text[:300]
    client.delete(f"{PIPELINES}/door")


def test_another_second_stage_is_one_request(client: httpx.Client, named: dict[str, Any]) -> None:
    text = RULE.replace('"walker"', f'"{named["name"]}"')
    client.post(PIPELINES, json={"toml": text})
    second = f"{PIPELINES}/{named['name']}/second"
    refused = client.post(second, json={"model": "colours"})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_option")
    assert "stands for the verdict 'dog_walker'" in refused.json()["detail"]
    wish = {"model": "colours", "verdicts": {"red": "dog_walker"}, "sure": {"dog_walker": 0.4, "person": 0.9}}
    changed = client.post(second, json=wish)
    assert changed.status_code == 200, changed.text
    assert (changed.json()["version"], changed.json()["second"]) == ("2", "colours")
    files = {"image": png(RED)}
    told = client.post("/api/v1/predict", params={"model": named["name"]}, files=files).json()
    assert told["verdict"] == "dog_walker"
    for off in ({"sure": {"person": 7}}, {"model": "absent"}, {"verdicts": {"red": "cat"}}, {"more": 1}):
        assert client.post(second, json=wish | off).status_code in {400, 404}
    assert client.post(f"{PIPELINES}/tiny/second", json=wish).status_code == 400


def test_a_download_is_taken_in_elsewhere(
    client: httpx.Client, named: dict[str, Any], tmp_path: Path, tiny_data: Path
) -> None:
    client.post(PIPELINES, json={"pipeline": named})
    answer = client.get(f"{PIPELINES}/{named['name']}/bundle")
    assert answer.headers["content-type"] == "application/zip"
    assert f"{named['name']}-1.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.namelist() == ["pipeline.toml"]
    file = tmp_path / "it.zip"
    file.write_bytes(answer.content)
    assert is_pipeline(file)
    registry = Registry(load_settings({"data_dir": str(tiny_data)}, environment={}))
    taken = import_pipeline(file, registry, name=f"{named['name'][:40]}-again")
    try:
        assert taken.manifest.pipeline == registry.find(named["name"]).manifest.pipeline
    finally:
        registry.remove(taken.name)


def test_what_ships_stays_and_models_are_no_pipelines(client: httpx.Client) -> None:
    kept = client.delete(f"{PIPELINES}/visitors")
    assert (kept.status_code, kept.json()["code"]) == (400, "bad_option")
    assert "ships with Sightline" in kept.json()["detail"]
    assert client.delete(f"{PIPELINES}/tiny").status_code == 400
    assert client.get(f"{PIPELINES}/tiny").status_code == 400
    assert client.get("/api/v1/models/tiny").status_code == 200
    assert client.get(f"{PIPELINES}/visitors/bundle").status_code == 200
    (visitors,) = [one for one in client.get(PIPELINES).json()["pipelines"] if one["name"] == "visitors"]
    assert (visitors["bundled"], visitors["removable"], visitors["second"]) == (True, False, None)


def test_answers_follow_their_schemas(client: httpx.Client) -> None:
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    document = client.get("/api/openapi.json").json()
    for name, body in (
        ("PipelineListBody", client.get(PIPELINES).json()),
        ("PipelineDetail", client.get(f"{PIPELINES}/visitors").json()),
        ("CheckBody", check(client, FIELDS)),
        ("CheckBody", check(client, {"first": 1})),
    ):
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        assert [error.message for error in Draft202012Validator(schema).iter_errors(body)] == []
