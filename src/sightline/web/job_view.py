"""Jobs and their pictures as JSON."""

from collections import Counter
from typing import Any, Final

from sightline.storage.job_kept import Item, Job

JOBS: Final = "/api/v1/jobs"


def job_body(job: Job) -> dict[str, Any]:
    """A job."""
    return job.to_json()


def item_body(item: Item, *, brief: bool) -> dict[str, Any]:
    """What became of one picture; ``brief`` leaves out the result itself, which may hold many masks."""
    place = f"{JOBS}/{item.job}/items/{item.index}"
    result = item.result or {}
    found: list[dict[str, Any]] = list(result.get("predictions", ()))
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
        "thumbnail": f"{place}/thumbnail" if item.state == "done" else None,
        "image": f"{place}/image" if item.state == "done" else None,
    }
    return body if brief else body | {"result": dict(item.result) if item.result is not None else None}
