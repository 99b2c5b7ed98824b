"""A bundle: one folder with ``model.onnx``, ``model.json`` and, by custom, ``CARD.md``."""

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sightline.errors import ModelRefused
from sightline.manifest import Manifest, Task
from sightline.types import ModelRef

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "model.json"
CARD_FILE = "CARD.md"
MODEL_BYTES_MAX = 1 << 30
MANIFEST_BYTES_MAX = 8 << 20
CARD_BYTES_MAX = 256 << 10
_CHUNK = 1 << 20


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
    def model_path(self) -> Path:
        return self.folder / MODEL_FILE

    @property
    def size(self) -> int:
        """Bytes of ``model.onnx``; 0 if it has gone."""
        try:
            return self.model_path.stat().st_size
        except OSError:
            return 0

    @property
    def card(self) -> str:
        """The model card, Markdown; empty if there is none. Text of others: escape it before showing it."""
        return _read_card(self.folder / CARD_FILE)

    def verify(self) -> None:
        """Compare ``model.onnx`` with the digest in the manifest (reads the whole file).

        Raises:
            ModelRefused: The file is missing, is no regular file, or is not what the manifest promises.
        """
        path, manifest = self.model_path, self.manifest
        if not is_regular(path):
            raise ModelRefused(
                f"The model {self.reference} has no regular file {MODEL_FILE}.",
                next_step="Import the model again.",
            )
        if not manifest.sha256:
            raise ModelRefused(
                f"The manifest of {self.reference} states no SHA-256, so nothing vouches for its weights.",
                next_step="Import the folder with `sightline models import`, which computes it.",
            )
        size = path.stat().st_size
        if manifest.bytes and size != manifest.bytes:
            raise ModelRefused(
                f"{MODEL_FILE} of {self.reference} should have {manifest.bytes} bytes, but has {size}: "
                "it was cut or replaced.",
                next_step="Import the model again from an intact copy.",
            )
        found = file_sha256(path)
        if found != manifest.sha256:
            raise ModelRefused(
                f"{MODEL_FILE} of {self.reference} should have SHA-256 {manifest.sha256}, but has {found}: "
                "it is damaged or was replaced.",
                next_step="Import the model again from an intact copy.",
            )


def read_bundle(folder: Path, *, bundled: bool = False) -> Bundle:
    """Read and check ``model.json`` of a folder; the weights are not read (see `Bundle.verify`).

    Raises:
        ModelRefused: A file is missing, a link, too large, or does not follow the manifest's rules.
    """
    for name, limit in ((MANIFEST_FILE, MANIFEST_BYTES_MAX), (MODEL_FILE, MODEL_BYTES_MAX)):
        path = folder / name
        if not is_regular(path):
            raise ModelRefused(
                f"The folder {folder.name!r} holds no regular file {name}.",
                next_step="A bundle is a folder with model.onnx and model.json; links are not followed.",
            )
        if path.stat().st_size > limit:
            raise ModelRefused(
                f"{name} of {folder.name!r} may have {limit} bytes, got {path.stat().st_size}."
            )
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
    except (ValidationError, OSError, RecursionError) as error:
        raise ModelRefused(
            f"{MANIFEST_FILE} of {folder.name!r} cannot be used: {_first_line(error)}.",
            next_step="Mend model.json; docs/reference/manifest.md lists every field.",
        ) from error
    return Bundle(manifest, folder, bundled)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, lower-case hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


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


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        return f"{place}: {first['msg']}".rstrip(".")[:300]
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
