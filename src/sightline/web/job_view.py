"""Jobs and their pictures as JSON; a job that is no longer here is said to be so."""

from collections import Counter
from typing import Any, Final

from starlette.responses import Response

from sightline.errors import NotFound
from sightline.storage.job_kept import Item, Job
from sightline.web.problems import Gone
from sightline.web.routes.predict import json_response
from sightline.web.services import Services

JOBS: Final = "/api/v1/jobs"


def find_job(services: Services, job_id: str) -> Job:
    """One job.

    Raises:
        Gone: It has expired or was removed, within the time that this is remembered.
        NotFound: There is no such job.
    """
    try:
        return services.ledger.get(job_id)
    except NotFound as error:
        if services.ledger.was_here(job_id):
            days = services.settings.job_days
            kept = f" Jobs are kept for {days:g} days after they end." if days else ""
            raise Gone(f"Job {job_id} is no longer here: it expired or was removed.{kept}") from error
        raise


def fresh(body: Any) -> Response:
    """JSON that is true now only."""
    response = json_response(body)
    response.headers["cache-control"] = "private, no-cache"
    return response


def job_body(job: Job) -> dict[str, Any]:
    """A job."""
    return job.to_json()


def item_body(item: Item, *, brief: bool) -> dict[str, Any]:
    """What became of one picture; ``brief`` leaves out the result itself, which may hold many masks."""
    place = f"{JOBS}/{item.job}/items/{item.index}"
    result = item.result or {}
    found: list[dict[str, Any]] = list(result.get("predictions", ()))
    seen = item.state == "done" and (not result or "task" in result)  # an epoch is no picture
    best = max(found, key=lambda one: float(one["score"]), default=None)
    body: dict[str, Any] = {
        "index": item.index,
        "source": item.source,
        "state": item.state,
        "task": result.get("task"),
        "verdict": result.get("verdict"),
        "counts": dict(Counter(str(one["label"]) for one in found)),
        "best": {"label": best["label"], "score": best["score"]} if best else None,
        "error": dict(item.error) if item.error else None,
        "thumbnail": f"{place}/thumbnail" if seen else None,
        "image": f"{place}/image" if seen else None,
    }
    return body if brief else body | {"result": dict(item.result) if item.result is not None else None}
