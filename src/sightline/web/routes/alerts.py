"""Rules that fire, as they do: notifications for pages."""

from typing import Annotated, Any, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from sightline.web.alert_events import AlertFeed
from sightline.web.endpoint import Routes
from sightline.web.event_stream import EventStream, admit, last_event

ALERTS: Final = "/api/v1/alerts/events"
_EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events `alert`; comments in between keep it alive. It ends with the server only.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
}


async def watch_alerts(
    request: Request,
    after: Annotated[
        int | None, Query(ge=0, le=2**53, description="As Last-Event-ID; 0: all that is still news.")
    ] = None,
) -> Response:
    """Be told of rules with the action `browser` when they fire, as server-sent events.

    Whichever camera, watch, server or test made one fire: it is told for a minute. Who comes back with
    Last-Event-ID (or `after`) misses nothing that is younger; who comes without begins with what nobody was
    told yet. Being handed to one such connection makes a delivery `delivered`.
    """
    services = admit(request, "alerts")
    feed = AlertFeed(services.board, last_event(request.headers.get("last-event-id"), after))
    first, _ = await feed.more()
    return EventStream(services, feed, first)


_route: Final = Routes("Rules")
ENDPOINTS: Final = (
    _route(
        "GET",
        ALERTS,
        watch_alerts,
        "read",
        "Be told of rules that fire",
        None,
        "bad_option",
        "busy",
        "origin_refused",
        also=_EVENTS,
    ),
)
