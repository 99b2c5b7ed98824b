"""Jobs of one piece that another room knows how to do: judge a model, take a model in."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from sightline.jobs.orders import EvaluateOrder, ImportOrder, read
from sightline.registry import Bundle
from sightline.storage.job_kept import Claim
from sightline.worker.desk import Desk
from sightline.worker.places import data_set_of, file_of

_TELL_S: Final = 0.5


def evaluate(desk: Desk, claim: Claim) -> Mapping[str, Any]:
    """Every picture of a data set along the served road; the report is the result.

    Raises:
        SightlineError: The data set or the model is off.
    """
    from sightline.evaluation import Rules  # noqa: PLC0415 - most workers never judge a model
    from sightline.evaluation import evaluate as judge  # noqa: PLC0415

    order: EvaluateOrder = read(EvaluateOrder, claim.job.payload)
    bundle = desk.road.registry.resolve(order.model)
    bundle.manifest.at(order.size)
    desk.road.load(bundle.reference)
    rules = Rules(
        min_score=order.min_score,
        rounds=order.rounds,
        first=order.first,
        pictures=order.pictures,
        strange=order.data.type == "blob",
        callers=min(desk.settings.decoder_count + 2, desk.settings.waiting_max),
        size=order.size,
    )
    with data_set_of(desk, order.data, lambda: desk.check(claim)) as path:
        report = judge(desk.road, bundle.reference, path, rules=rules, progress=teller(desk, claim))
    return report.to_json()


def import_model(desk: Desk, claim: Claim) -> Mapping[str, Any]:
    """A model file, proven in a child process before it is taken in.

    Raises:
        SightlineError: The model is refused, and why.
    """
    from sightline.serving.importer import import_model as take_in  # noqa: PLC0415
    from sightline.serving.pipelines import import_pipeline, is_pipeline  # noqa: PLC0415

    order: ImportOrder = read(ImportOrder, claim.job.payload)
    registry = desk.road.registry
    hints: dict[str, Any] = {
        name: tuple(it) if isinstance(it, list) else it for name, it in order.hints.items()
    }
    with file_of(desk, order.model) as path:
        if is_pipeline(path):
            return _told(import_pipeline(path, registry, **hints))
        report = take_in(path, registry, desk.settings, **hints)
    said = [{"field": name, "value": str(value), "why": why} for name, value, why in report.proposals]
    return _told(report.bundle) | {"proposals": said}


def _told(bundle: Bundle) -> dict[str, Any]:
    return {
        "name": bundle.name,
        "version": bundle.version,
        "task": bundle.task,
        "digest": bundle.digest,
        "labels": len(bundle.labels),
    }


def teller(desk: Desk, claim: Claim) -> Callable[[int, int], None]:
    """Progress for people twice a second, and the question whether to go on, each time it is called."""
    told = float("-inf")

    def tell(done: int, total: int) -> None:
        nonlocal told
        desk.check(claim)
        if time.monotonic() - told >= _TELL_S or done == total:
            told = time.monotonic()
            desk.ledger.progress(claim, done, total)

    return tell
