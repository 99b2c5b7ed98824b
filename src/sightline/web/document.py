"""What FastAPI cannot know of the OpenAPI document: the problem's shape, the keys, the request id."""

from typing import Any

from fastapi import FastAPI

from sightline.web.schemas import ProblemBody

_HEADER = {
    "description": "The request's id, also in the log and in problems.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
}
_KEYS = {
    "key": {"type": "http", "scheme": "bearer", "description": "The server's key, where it asks for one."},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "sightline", "description": "What the link gives."},
}


def complete(app: FastAPI) -> None:
    """Make ``app.openapi()`` answer the completed document."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(made())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas[ProblemBody.__name__] = ProblemBody.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = _KEYS
    components["headers"] = {"RequestId": _HEADER}
    for item in document["paths"].values():
        for way in item.values():
            responses = way["responses"]
            if "HTTPValidationError" in str(responses.get("422", "")):
                responses.pop("422")
            for answer in responses.values():
                answer.setdefault("headers", {})["X-Request-ID"] = {"$ref": "#/components/headers/RequestId"}
    return document
