"""The bundled sample pictures and the colours of labels."""

import csv
from functools import cache
from pathlib import Path
from typing import Any, Final

from starlette.responses import Response

from sightline.vision.colors import HALO, PALETTE, Color
from sightline.web.endpoint import Endpoint
from sightline.web.routes.predict import json_response
from sightline.web.schemas import PaletteBody, SampleList

_FOLDER: Final = Path(__file__).parent.parent / "static" / "samples"
_SHOWN: Final = ("title", "alt", "licence", "licence_url", "author", "page", "changes")
_HOUR: Final = "private, max-age=3600"


async def list_samples() -> Response:
    """List the pictures that ship with Sightline, with their licences and where they come from."""
    return _kept({"samples": _samples()})


async def palette() -> Response:
    """Give the colours of labels: that of label id `i` is `colors[i % len(colors)]`."""
    return _kept({"colors": [_hex(color) for color in PALETTE], "halo": _hex(HALO)})


@cache
def _samples() -> list[dict[str, Any]]:
    with (_FOLDER / "ATTRIBUTION.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {"name": row["file"], "url": f"/static/samples/{row['file']}"}
        | {"width": int(row["width"]), "height": int(row["height"])}
        | {name: row[name] for name in _SHOWN}
        for row in rows
    ]


def _kept(body: Any) -> Response:
    response = json_response(body)
    response.headers["cache-control"] = _HOUR
    return response


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


ENDPOINTS: Final = (
    Endpoint("GET", "/api/v1/samples", list_samples, "read", "List sample pictures", "Page", SampleList),
    Endpoint("GET", "/api/v1/palette", palette, "read", "Colours of labels", "Page", PaletteBody),
)
