"""Every model on the shelf, its digest, and one real picture along the whole road."""

import time
from collections.abc import Iterator
from pathlib import Path

from sightline.cli.checks.finding import Finding, ok
from sightline.cli.terminal import size
from sightline.errors import SightlineError
from sightline.registry import Registry
from sightline.serving.road import Road
from sightline.settings import Settings

_SAMPLES = Path(__file__).resolve().parents[2] / "web" / "static" / "samples"


def shelf(settings: Settings) -> Iterator[Finding]:
    """All models, with the digest of each read and compared."""
    registry = Registry(settings)
    for sentence in registry.problems(deep=True):
        yield Finding(
            "models", "problem", sentence, "Import the model again, or `sightline models remove` it."
        )
    bundles = [version for bundle in registry.list() for version in registry.versions(bundle.name)]
    if not bundles:
        yield Finding(
            "models", "problem", "There is no model.", "sightline models pull NAME, or models import FILE"
        )
        return
    names = ", ".join(bundle.reference for bundle in bundles)
    yield ok("models", f"{names} ({size(sum(bundle.size for bundle in bundles))}, digests read)")
    for bundle in bundles:
        if bundle.size > settings.memory_mb << 20:
            yield Finding(
                "models",
                "warning",
                f"{bundle.reference} alone is larger than memory_mb ({settings.memory_mb} MiB).",
                "Raise memory_mb, or use a smaller model.",
            )


def road(settings: Settings) -> Iterator[Finding]:
    """Open everything as the server does, and ask about a picture that ships with Sightline."""
    sample = min(_SAMPLES.glob("*.jpg"))
    began = time.perf_counter()
    try:
        with Road.open(settings) as way:
            result = way.predict(sample.read_bytes(), source=sample.name)
            first_s = time.perf_counter() - began
            again = way.predict(sample.read_bytes(), source=sample.name)
    except SightlineError as error:
        yield Finding("road", "problem", f"A picture could not be answered: {error.message}", error.next_step)
        return
    yield ok(
        "road",
        f"{result.model.name} answered {sample.name} after {first_s:.1f} s from cold, "
        f"then in {again.timing.total:.0f} ms, on {result.engine}",
    )
