"""What requests say about pipelines: JSON, TOML, or a form with a picture to try one on."""

import tomllib
from typing import Any, Final

from starlette.requests import Request

from sightline.errors import BadOption
from sightline.web import multipart
from sightline.web.intake import JSON_BYTES, clean_name
from sightline.web.pipeline_schemas import PipelineWish
from sightline.web.problems import WrongMediaType
from sightline.web.wishes import read_wish, wish_of

_PARTS_MAX: Final = 4
WHAT: Final = "a pipeline"
NAME: Final[dict[str, Any]] = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "`name`, or `name@version`.",
    "schema": {"type": "string", "maxLength": 100},
}
TRIAL: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        "pipeline": {"type": "string", "description": "JSON, as of a new pipeline."},
                        "toml": {"type": "string", "description": "Instead: the text of its file."},
                    },
                }
            }
        },
    }
}


async def given_of(request: Request) -> dict[str, Any]:
    """The fields of the pipeline that a request carries.

    Raises:
        SightlineError: As `read_wish`; or it carries none, or two, or its TOML cannot be read.
    """
    return _fields(await read_wish(request, PipelineWish, WHAT))


def _fields(wish: PipelineWish) -> dict[str, Any]:
    if (wish.pipeline is None) == (wish.toml is None):
        raise BadOption("Give either `pipeline` or `toml`.")
    if wish.toml is None:
        return wish.pipeline or {}
    try:
        return tomllib.loads(wish.toml)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadOption(f"toml: {error}."[:300], next_step="Mend the file at that place.") from error


def trial_form(kind: bytes, body: bytes) -> tuple[str, bytes, dict[str, Any]]:
    """Name and bytes of the picture, and the pipeline, of a form.

    Raises:
        SightlineError: It is no form, or holds something else.
    """
    if kind.partition(b";")[0].strip().lower() != b"multipart/form-data":
        raise WrongMediaType("A trial is a form.", next_step="Send multipart/form-data.")
    picture: multipart.Part | None = None
    fields: dict[str, str] = {}
    for part in multipart.parse(body, multipart.boundary_of(kind), parts_max=_PARTS_MAX):
        if part.name == "image" and part.filename is not None:
            picture = part
        elif part.name in ("pipeline", "toml") and len(part.data) <= JSON_BYTES:
            fields[part.name] = part.data.decode("utf-8", "replace")
        else:
            raise BadOption(f"The form has no place for {part.name[:60]!r}.")
    if picture is None or not picture.data:
        raise BadOption("The form has no file named 'image'.")
    if len(fields) != 1:
        raise BadOption("Give either `pipeline` or `toml`.")
    if "toml" in fields:
        given = _fields(PipelineWish(toml=fields["toml"]))
    else:
        given = _fields(wish_of(PipelineWish, f'{{"pipeline": {fields["pipeline"]}}}', WHAT))
    return clean_name(picture.filename or ""), picture.data, given


def json_body(kind: type[Any]) -> dict[str, Any]:
    """What the OpenAPI document says of a body in JSON."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": kind.model_json_schema()}},
        }
    }
