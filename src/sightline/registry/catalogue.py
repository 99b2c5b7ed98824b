"""The catalogue: which models can be pulled, where they lie, and what they must hash to."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sightline.errors import ConfigError, NotFound
from sightline.manifest import NAME_PATTERN, Task
from sightline.registry.bundle import MODEL_BYTES_MAX
from sightline.registry.labels import COCO, VOC
from sightline.settings import Settings

LABEL_LISTS = {"coco": COCO, "voc": VOC, "face": ("face",), "person": ("person",)}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Frozen):
    """One file to download: its addresses, in the order they are tried, and what decides about it."""

    path: str = Field(pattern=r"^[A-Za-z0-9._/-]+$")
    urls: tuple[str, ...] = ()
    bytes: int = Field(gt=0, le=MODEL_BYTES_MAX)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Entry(_Frozen):
    """One model that can be pulled. ``hints`` are the import options that go with it."""

    name: str = Field(pattern=NAME_PATTERN)
    title: str
    description: str
    task: Task
    licence: str
    origin: str
    file: File
    labels_file: File | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    hints: dict[str, Any]

    @property
    def bytes(self) -> int:
        """What has to be downloaded in all."""
        return self.file.bytes + (self.labels_file.bytes if self.labels_file else 0)


def load_catalogue(settings: Settings) -> dict[str, Entry]:
    """The catalogue that ships with Sightline, or the one that the settings name.

    Raises:
        ConfigError: It cannot be read, or breaks a rule.
    """
    path = (
        Path(settings.catalogue).expanduser()
        if settings.catalogue
        else Path(__file__).with_name("catalogue.toml")
    )
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        return {name: _entry(name, values, table, settings) for name, values in table["models"].items()}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"The catalogue {path.name} cannot be read: {error}.") from error
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"The catalogue {path.name} breaks a rule: {type(error).__name__}: {reason}.",
            next_step="docs/how-to/models.md shows the fields of an entry.",
        ) from error


def find_entry(name: str, settings: Settings) -> Entry:
    """One entry by name.

    Raises:
        NotFound: No such entry; the message names the valid ones.
    """
    catalogue = load_catalogue(settings)
    if name not in catalogue:
        raise NotFound(
            f"The catalogue has no model {name[:100]!r}. It has: {', '.join(sorted(catalogue))}.",
            next_step="Pull one of these, or import a file with `sightline models import`.",
        )
    return catalogue[name]


def _entry(name: str, values: dict[str, Any], table: dict[str, Any], settings: Settings) -> Entry:
    rest = dict(values)
    file = _file({key: rest.pop(key) for key in ("hub", "path", "bytes", "sha256")}, table, settings)
    labels = rest.pop("labels")
    contract = dict(table["contracts"][rest.pop("contract")]) if "contract" in rest else {}
    shown = {key: rest[key] for key in ("title", "description", "task", "licence", "origin")}
    metrics = rest.pop("metrics", {})
    hints = {"name": name, **shown, **contract, **rest, "sha256": file.sha256}
    if metrics:
        hints["metrics"] = {"published": metrics}
    if labels in LABEL_LISTS:
        hints["labels"] = LABEL_LISTS[labels]
        return Entry(name=name, **shown, file=file, metrics=metrics, hints=hints)
    labels_file = _file(table["files"][labels], table, settings)
    return Entry(name=name, **shown, file=file, labels_file=labels_file, metrics=metrics, hints=hints)


def _file(values: dict[str, Any], table: dict[str, Any], settings: Settings) -> File:
    mirrors = [base.strip().rstrip("/") + "/" for base in settings.mirrors.split(",") if base.strip()]
    bases = [*mirrors, *table["hubs"][values["hub"]]]
    rest = {key: value for key, value in values.items() if key != "hub"}
    return File(**rest, urls=tuple(base + values["path"] for base in bases))
