"""What the OpenAPI document says of ``predict``: its bodies, parameters and answers."""

from typing import Any, Final

from sightline.manifest import SIDE_MAX
from sightline.types import RESULTS_MAX
from sightline.web.schemas import ImageWish, UrlWish

_PICTURES: Final = (
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/bmp",
    "image/tiff",
    "image/avif",
)
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}

PARAMETERS: Final[list[dict[str, Any]]] = [
    {
        "name": "model",
        "in": "query",
        "description": "`name` or `name@version`. Default: the server's.",
        "schema": {"type": "string"},
    },
    {
        "name": "min_score",
        "in": "query",
        "description": "Leave out what scores lower. Default: the model's own threshold.",
        "schema": {"type": "number", "minimum": 0, "maximum": 1},
    },
    {
        "name": "max_results",
        "in": "query",
        "description": "Only the strongest so many. Default: the model's own.",
        "schema": {"type": "integer", "minimum": 1, "maximum": RESULTS_MAX},
    },
    {
        "name": "labels",
        "in": "query",
        "description": "Only these labels, comma separated or repeated; a comma within one is `%2C`.",
        "schema": {"type": "array", "items": {"type": "string"}},
        "style": "form",
        "explode": True,
    },
    {
        "name": "size",
        "in": "query",
        "description": "Side of the square on which the model sees the picture, one of its `sizes`: small "
        "ones are fast, large ones find small things. Default: the model's `default_size`.",
        "schema": {"type": "integer", "minimum": 1, "maximum": SIDE_MAX},
    },
    {
        "name": "store",
        "in": "query",
        "description": "Keep the answer and a copy of the picture without metadata. Default: keep nothing.",
        "schema": {"type": "boolean"},
    },
    {
        "name": "capture",
        "in": "query",
        "description": "The name of the camera that the picture is of: rules count it, and the answer has "
        "`alerts`, those that it made fire. Default: the picture is of no camera.",
        "schema": {"type": "string", "maxLength": 100},
    },
]

_FORM: Final[dict[str, Any]] = {
    "schema": {
        "type": "object",
        "required": ["image"],
        "additionalProperties": False,
        "properties": {
            "image": {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
        },
    }
}

_WISHES: Final = [UrlWish.model_json_schema(), ImageWish.model_json_schema()]

EXTRA: Final[dict[str, Any]] = {
    "parameters": PARAMETERS,
    "requestBody": {
        "required": True,
        "description": "Picture types are sniffed; a wrong content type of a picture does no harm.",
        "content": {
            "multipart/form-data": _FORM,
            **dict.fromkeys(_PICTURES, _BINARY),
            "application/octet-stream": _BINARY,
            "application/json": {"schema": {"oneOf": _WISHES}},
        },
    },
}

RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": 'One result for one picture, `{"results": […]}` for several; or the drawn picture.',
        "content": {"image/jpeg": _BINARY, "image/png": _BINARY},
    }
}
