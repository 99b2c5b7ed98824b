"""Models and catalogue entries as plain values: what ``models list`` and ``models show`` print."""

from typing import Any

from sightline.errors import NotFound
from sightline.registry import Bundle, Registry
from sightline.registry.catalogue import load_catalogue
from sightline.serving.pulling import is_pulled
from sightline.settings import Settings


def models(settings: Settings, *, all_versions: bool = False) -> list[dict[str, Any]]:
    """One dict a model (or a version), by name."""
    registry = Registry(settings)
    default = default_name(registry)
    bundles = registry.list()
    if all_versions:
        bundles = [version for bundle in bundles for version in registry.versions(bundle.name)]
    return [summary(bundle, default=default) for bundle in bundles]


def catalogue(settings: Settings) -> list[dict[str, Any]]:
    """One dict for each model that can be pulled."""
    registry = Registry(settings)
    return [
        {
            "name": entry.name,
            "version": "",
            "title": entry.title,
            "task": entry.task,
            "default": False,
            "label_count": 0,
            "sizes": [],
            "bytes": entry.bytes,
            "variants": [],
            "licence": entry.licence,
            "digest": f"sha256:{entry.file.sha256}",
            "from": "here already" if is_pulled(entry, registry) else entry.origin,
            "metrics": entry.metrics,
        }
        for _, entry in sorted(load_catalogue(settings).items())
    ]


def default_name(registry: Registry) -> str:
    """The name of the model that answers when none is named; empty if there is none."""
    try:
        return registry.resolve(None).name
    except NotFound:
        return ""


def summary(bundle: Bundle, *, default: str) -> dict[str, Any]:
    """What a listing says about a bundle."""
    return {
        "name": bundle.name,
        "version": bundle.version,
        "title": bundle.title,
        "task": bundle.task,
        "active": bundle.active,
        "default": bundle.active and bundle.name == default,
        "label_count": len(bundle.labels),
        "sizes": list(bundle.manifest.input.sizes),
        "bytes": bundle.size,
        "variants": [item.model_dump(mode="json") for item in bundle.manifest.variants],
        "licence": bundle.licence,
        "digest": bundle.digest,
        "from": "Sightline" if bundle.bundled else "imported",
        "metrics": bundle.metrics,
    }
