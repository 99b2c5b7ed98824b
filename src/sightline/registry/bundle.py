"""A bundle: one folder with ``model.onnx``, ``model.json`` and, by custom, ``CARD.md``."""

import hashlib
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sightline.errors import ModelRefused
from sightline.manifest import Manifest, Task, Variant
from sightline.types import ModelRef

MODEL_FILE = "model.onnx"
INT8_FILE = "model.int8.onnx"
MANIFEST_FILE = "model.json"
CARD_FILE = "CARD.md"
PIPELINE_FILE = "pipeline.toml"
MODEL_BYTES_MAX = 1 << 30
MANIFEST_BYTES_MAX = 8 << 20
CARD_BYTES_MAX = 256 << 10
_CHUNK = 1 << 20
_TABLES = ("first", "crop", "second", "verdicts")
"""What of pipeline.toml says how the stages are chained; the rest is about the pipeline as a whole."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """One version of one model on disk. ``bundled`` ones ship with Sightline and cannot be removed."""

    manifest: Manifest
    folder: Path
    bundled: bool = False
    active: bool = False
    """Whether this version answers when only the name is given."""

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def reference(self) -> str:
        """``name@version``, which names exactly this bundle."""
        return f"{self.name}@{self.version}"

    @property
    def ref(self) -> ModelRef:
        """What a result says about the model that made it."""
        return ModelRef(self.name, self.version, self.manifest.digest)

    @property
    def title(self) -> str:
        """The name for people."""
        return self.manifest.title or self.name

    @property
    def task(self) -> Task:
        return self.manifest.task

    @property
    def labels(self) -> tuple[str, ...]:
        return self.manifest.labels

    @property
    def licence(self) -> str:
        return self.manifest.licence

    @property
    def metrics(self) -> dict[str, Any]:
        return self.manifest.metrics

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the weights, as the manifest states it."""
        return self.manifest.digest

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the models that a pipeline chains; empty for a model of its own."""
        pipeline = self.manifest.pipeline
        if pipeline is None:
            return ()
        return tuple(name for name in (pipeline.first.model, pipeline.second.model) if name)

    @property
    def model_path(self) -> Path:
        return self.folder / MODEL_FILE

    @property
    def files(self) -> tuple[Path, ...]:
        """All weights: ``model.onnx``, and the variants that the manifest names. A pipeline has none."""
        if self.manifest.pipeline is not None:
            return ()
        return (self.model_path, *(self.folder / item.file for item in self.manifest.variants))

    def weights(self, precision: str) -> Path:
        """The file that runs when a plan says ``precision``: a variant's, or ``model.onnx``."""
        variant = self.manifest.variant(precision)
        return self.folder / variant.file if variant else self.model_path

    @property
    def size(self) -> int:
        """Bytes of all weights, variants too; what has gone counts nothing."""
        return sum(_bytes(path) for path in self.files)

    @property
    def card(self) -> str:
        """The model card, Markdown; empty if there is none. Text of others: escape it before showing it."""
        return _read_card(self.folder / CARD_FILE)

    def verify(self) -> None:
        """Compare ``model.onnx`` and each variant with the digests in the manifest (reads all of them).

        Raises:
            ModelRefused: The file is missing, is no regular file, or is not what the manifest promises.
        """
        manifest = self.manifest
        if manifest.pipeline is not None:
            return  # its digest is computed from what was read
        if not manifest.sha256 and is_regular(self.model_path):
            raise ModelRefused(
                f"The manifest of {self.reference} states no SHA-256, so nothing vouches for its weights.",
                next_step="Import the folder with `sightline models import`, which computes it.",
            )
        self._verify(self.model_path, manifest)
        for variant in manifest.variants:
            self._verify(self.folder / variant.file, variant)

    def _verify(self, path: Path, promised: Manifest | Variant) -> None:
        if not is_regular(path):
            raise ModelRefused(
                f"The model {self.reference} has no regular file {path.name}.",
                next_step="Import the model again.",
            )
        size = path.stat().st_size
        if promised.bytes and size != promised.bytes:
            raise ModelRefused(
                f"{path.name} of {self.reference} should have {promised.bytes} bytes, but has {size}: "
                "it was cut or replaced.",
                next_step="Import the model again from an intact copy.",
            )
        found = file_sha256(path)
        if found != promised.sha256:
            raise ModelRefused(
                f"{path.name} of {self.reference} should have SHA-256 {promised.sha256}, but has {found}: "
                "it is damaged or was replaced.",
                next_step="Import the model again from an intact copy.",
            )


def read_bundle(folder: Path, *, bundled: bool = False) -> Bundle:
    """Read and check ``model.json`` of a folder; the weights are not read (see `Bundle.verify`).

    Raises:
        ModelRefused: A file is missing, a link, too large, or does not follow the manifest's rules.
    """
    if is_regular(folder / PIPELINE_FILE) and not os.path.lexists(folder / MANIFEST_FILE):
        return Bundle(read_pipeline(folder / PIPELINE_FILE), folder, bundled)
    _check_file(folder / MANIFEST_FILE, MANIFEST_BYTES_MAX)
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
    except (ValidationError, OSError, RecursionError) as error:
        raise ModelRefused(
            f"{MANIFEST_FILE} of {folder.name!r} cannot be used: {first_line(error)}.",
            next_step="Mend model.json; docs/reference/manifest.md lists every field.",
        ) from error
    if manifest.pipeline is not None:
        return Bundle(manifest, folder, bundled)
    _check_file(folder / MODEL_FILE, MODEL_BYTES_MAX)
    for variant in manifest.variants:
        _check_file(folder / variant.file, MODEL_BYTES_MAX)
    return Bundle(manifest, folder, bundled)


def read_pipeline(path: Path) -> Manifest:
    """A pipeline as people write it: ``pipeline.toml``, the fields of ``model.json`` in tables.

    Raises:
        ModelRefused: It cannot be read, or breaks a rule; the message names the place.
    """
    _check_file(path, MANIFEST_BYTES_MAX)
    try:
        return pipeline_manifest(tomllib.loads(path.read_text("utf-8")))
    except (ValidationError, OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ModelRefused(
            f"{path.name} of {path.parent.name!r} cannot be used: {first_line(error)}.",
            next_step="docs/how-to/pipelines.md shows a whole one.",
        ) from error


def pipeline_manifest(given: Mapping[str, Any]) -> Manifest:
    """The fields of ``pipeline.toml`` as a manifest.

    Raises:
        ValidationError: They break a rule.
    """
    about = {key: value for key, value in given.items() if key not in _TABLES}
    stages = {key: value for key, value in given.items() if key in _TABLES}
    return Manifest.model_validate({"task": "pipeline", **about, "pipeline": stages})


def _check_file(path: Path, limit: int) -> None:
    if not is_regular(path):
        raise ModelRefused(
            f"The folder {path.parent.name!r} holds no regular file {path.name}.",
            next_step="A bundle is a folder with model.onnx, model.json and the variants that it names; "
            "links are not followed.",
        )
    if path.stat().st_size > limit:
        raise ModelRefused(
            f"{path.name} of {path.parent.name!r} may have {limit} bytes, got {path.stat().st_size}."
        )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, lower-case hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def is_regular(path: Path) -> bool:
    """Whether the path itself (not what a link points to) is a regular file."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _read_card(path: Path) -> str:
    if not is_regular(path):
        return ""
    with path.open("rb") as stream:
        return stream.read(CARD_BYTES_MAX).decode("utf-8", "replace")


def first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        return f"{place}: {first['msg']}".rstrip(".")[:300]
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
