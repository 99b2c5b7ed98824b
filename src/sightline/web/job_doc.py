"""What the OpenAPI document says of the routes that read their bodies themselves."""

from typing import Any, Final

from sightline.web.job_schemas import (
    EvaluateWish,
    ImportWish,
    JobBody,
    JobWish,
    TrainWish,
    UploadListBody,
    Wish,
)
from sightline.web.predict_doc import PARAMETERS

_NOT_FOR_JOBS: Final = ("store", "capture")
"""Options of a prediction that mean nothing for a job."""
_FILES: Final[dict[str, Any]] = {
    "image": {"type": "array", "items": {"type": "string", "format": "binary"}},
    "archive": {
        "type": "string",
        "format": "binary",
        "description": "A zip of pictures.",
    },
    "bundle": {
        "type": "string",
        "format": "binary",
        "description": "A model: an ONNX file, the zip of a bundle, or a pipeline's TOML file.",
    },
    "video": {
        "type": "string",
        "format": "binary",
        "description": "A video, instead of pictures: a job of the kind `video`. Fields `every` (seconds "
        "between two frames that are looked at; 0: all) and `side` (longest side of the film; 0: none).",
    },
}
_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Any text of your own: the same request with the same key, within a day, is the same job.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}


def _wish() -> dict[str, Any]:
    """The request's schemas, without references to places outside of them."""
    kinds: tuple[type[Wish], ...] = (JobWish, EvaluateWish, ImportWish, TrainWish)
    return {"anyOf": [_inlined(kind.model_json_schema()) for kind in kinds]}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    parts = schema.pop("$defs", {})

    def put(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return put(parts[value["$ref"].rpartition("/")[2]])
            return {name: put(entry) for name, entry in value.items()}
        return [put(entry) for entry in value] if isinstance(value, list) else value

    found: dict[str, Any] = put(schema)
    return found


SUBMIT: Final[dict[str, Any]] = {
    "parameters": [_KEY, *(one for one in PARAMETERS if one["name"] not in _NOT_FOR_JOBS)],
    "requestBody": {
        "required": True,
        "description": "A form may also have fields `kind`, `priority` and those of the query, or for "
        "the kinds `evaluate` and `import` the field `options` with JSON; JSON takes no query.",
        "content": {
            "application/json": {"schema": _wish()},
            "multipart/form-data": {"schema": {"type": "object", "properties": _FILES}},
        },
    },
}

UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"multipart/form-data": {"schema": {"type": "object", "properties": _FILES}}},
    },
}

ACCEPTED: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "model": JobBody,
        "description": "The job is written down and will not get lost.",
        "headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}},
    }
}
UPLOADED: Final[dict[int | str, dict[str, Any]]] = {
    201: {"model": UploadListBody, "description": "They lie ready for an hour at least."}
}
EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events `state`, `progress`, `items` and `gone`; comments in between keep it alive.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "The job has ended, and the client knows all of it: it need not come again."},
}
