"""``GET /api/v1/live``: what a request finds that opens no WebSocket where one should be opened.

OpenAPI has no words for WebSockets. The document names the address, says what it is for and where it is
described; a page whose connection was refused asks here why, because browsers do not tell.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sightline.web.endpoint import Endpoint
from sightline.web.lives import LIVE, MESSAGE_MB
from sightline.web.problems import UpgradeRequired
from sightline.web.services import services_of

_NOTE: Final = {
    "x-websocket": {
        "description": "The protocol that this address speaks once a WebSocket is open.",
        "externalDocs": "docs/reference/live.md",
        "up": {
            "binary": f"The bytes of one picture, at most {MESSAGE_MB:g} MiB.",
            "text": "JSON with options: model, size, min_score, max_results, labels, keep, source.",
        },
        "down": {
            "result": "capture, replaced, wait_ms, work_ms, kept, result, alerts (rules that it made fire)",
            "problem": "capture, problem, retry_after_s",
            "options": "keep",
        },
    }
}


async def look_live(request: Request) -> Response:
    """Open a WebSocket here and send pictures as they are made; the newest one that waits wins.

    OpenAPI cannot describe what follows the handshake; `x-websocket` and the page "Live" of the
    documentation do. A request that opens no WebSocket is told so, or why none could be opened now.
    """
    services_of(request).lives.check((request.scope.get("client") or ("",))[0])
    raise UpgradeRequired("This address answers over a WebSocket, and the request opens none.")


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        LIVE,
        look_live,
        "infer",
        "Look live, over a WebSocket",
        "Look",
        also={101: {"description": "The WebSocket is open."}},
        problems=("upgrade_required", "origin_refused", "busy"),
        extra=_NOTE,
    ),
)
