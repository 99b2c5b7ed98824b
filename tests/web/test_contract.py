"""The OpenAPI document is true: generated requests get only documented answers, and never a 5xx."""

import json
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from tests.web.conftest import Server

from sightline.settings import Settings
from sightline.web.app import create_app

EXAMPLES = 25
NOT_ALL_THAT_IS_SOUND_IS_THERE = {
    "POST /api/v1/predict",
    "POST /api/v1/jobs",
    "POST /api/v1/uploads",
    "POST /api/v1/rules",
    "POST /api/v1/pipelines",
    "POST /api/v1/pipelines/check",
    "POST /api/v1/pipelines/test",
    "POST /api/v1/pipelines/{name}/second",
    "POST /api/v1/watches",
    "PUT /api/v1/watches/{watch_id}",
    "GET /api/v1/live",
}
"""Sound by its schema is not yet a picture, a reachable address, an upload, a camera that may be opened, a
WebSocket, or a model that exists."""
ANY_BYTES = {"POST /api/v1/uploads"}
"""What is generated to break the format `binary` is text, which arrives as bytes like any other."""

schemathesis.serializer.alias(["image/avif", "image/bmp", "image/tiff"], "application/octet-stream")

_app = create_app(Settings())
schema = schemathesis.openapi.from_dict(_app.openapi()).exclude(path="/api/v1/alerts/events")
"""That one answers for as long as anybody listens; test_alerts.py listens to it."""


@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_generated_requests_get_documented_answers(case: Any, server: Server) -> None:
    label = case.operation.label
    response = case.call(base_url=server.url)
    assert response.status_code < 500, response.text[:500]
    excluded = [positive_data_acceptance] if label in NOT_ALL_THAT_IS_SOUND_IS_THERE else []
    excluded += [negative_data_rejection] if label in ANY_BYTES else []
    case.validate_response(response, excluded_checks=excluded)


def test_the_document_names_all_that_predict_takes(client: httpx.Client) -> None:
    document = client.get("/api/openapi.json").json()
    predict = document["paths"]["/api/v1/predict"]["post"]
    kinds = set(predict["requestBody"]["content"])
    assert {"multipart/form-data", "application/json", "image/jpeg", "application/octet-stream"} <= kinds
    assert [one["name"] for one in predict["parameters"]] == [
        "model",
        "min_score",
        "max_results",
        "labels",
        "size",
        "store",
        "capture",
    ]
    (size,) = [one for one in predict["parameters"] if one["name"] == "size"]
    assert size["schema"] == {"type": "integer", "minimum": 1, "maximum": 4096}
    assert "default_size" in size["description"]
    assert {"200", "400", "401", "403", "404", "408", "413", "415", "421", "422", "503", "504", "507"} <= set(
        predict["responses"]
    )
    assert set(predict["responses"]["200"]["content"]) == {"application/json", "image/jpeg", "image/png"}


def test_answers_follow_their_schemas(client: httpx.Client, cat: bytes) -> None:
    document = client.get("/api/openapi.json").json()

    def check(name: str, body: Any) -> None:
        validator = Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        )
        assert [error.message for error in validator.iter_errors(body)] == []

    answer = client.post("/api/v1/predict?store=true", files={"image": cat}).json()
    check("ResultBody", answer)
    check("ResultBody", client.post("/api/v1/predict?model=cells&size=64", files={"image": cat}).json())
    check("StoredBody", client.get(f"/api/v1/results/{answer['id']}").json())
    check("HistoryBody", client.get("/api/v1/results").json())
    check("ModelList", client.get("/api/v1/models").json())
    check("ModelDetail", client.get("/api/v1/models/tiny").json())
    check("SampleList", client.get("/api/v1/samples").json())
    check("PaletteBody", client.get("/api/v1/palette").json())
    check("ProblemBody", client.get("/api/v1/results/none").json())
    check("HealthBody", client.get("/health/ready").json())
    job = client.post("/api/v1/jobs", files={"image": cat}).json()
    check("JobBody", job)
    check("JobBody", client.delete(f"/api/v1/jobs/{job['id']}").json())
    check("JobListBody", client.get("/api/v1/jobs").json())
    check("ItemListBody", client.get(f"/api/v1/jobs/{job['id']}/results").json())
    check("UploadListBody", client.post("/api/v1/uploads", files={"image": cat}).json())
    files = [("image", ("a", cat)), ("image", ("b", b"x"))]
    check("ManyBody", client.post("/api/v1/predict", files=files).json())


def test_the_document_is_openapi(client: httpx.Client) -> None:
    document = client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for schema_of in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema_of)
    references = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert references <= set(document["components"]["schemas"])


@pytest.mark.parametrize("path", ["/api/v1/predict", "/api/v1/models", "/api/v1/results"])
def test_every_documented_way_has_words(client: httpx.Client, path: str) -> None:
    for way in client.get("/api/openapi.json").json()["paths"][path].values():
        assert way["summary"]
        assert way["description"]
        assert way["x-sightline-scope"] in {"infer", "read", "write", "admin", "public"}
