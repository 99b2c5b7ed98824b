"""``sightline models pull``: what the catalogue names is downloaded, proven and imported."""

from sightline.errors import NotFound
from sightline.registry import Registry
from sightline.registry.catalogue import Entry, find_entry
from sightline.registry.pull import Progress, download
from sightline.serving.hints import read_labels
from sightline.serving.importer import ImportReport, import_model
from sightline.settings import Settings


def pull(name: str, registry: Registry, settings: Settings, progress: Progress | None = None) -> ImportReport:
    """Download a model of the catalogue (resumed, checked, cached) and import it as ``name``.

    Raises:
        NotFound: The catalogue has no such model.
        FetchRefused: No place gave the right file.
        ModelRefused, StorageFull: As `import_model`.
    """
    entry = find_entry(name, settings)
    hints = dict(entry.hints)
    if entry.labels_file is not None:
        hints["labels"] = read_labels(download(entry.labels_file, settings))
    model = download(entry.file, settings, progress)
    return import_model(model, registry, settings, **hints, card=_card(entry))


def is_pulled(entry: Entry, registry: Registry) -> bool:
    """Whether these very weights are on the shelf under the entry's name."""
    try:
        return any(bundle.manifest.sha256 == entry.file.sha256 for bundle in registry.versions(entry.name))
    except NotFound:
        return False


def _card(entry: Entry) -> str:
    lines = [
        f"# {entry.title}",
        "",
        entry.description,
        "",
        f"- Origin: {entry.origin}",
        f"- Licence: {entry.licence}",
        f"- File: `{entry.file.name}`, {entry.file.bytes} bytes",
        f"- SHA-256: `{entry.file.sha256}`",
    ]
    lines += [f"- Published {name}: {value:.2%}" for name, value in entry.metrics.items()]
    return "\n".join([*lines, ""])
