"""Names to bundles: which models there are, which version answers, and where new ones come from."""

from sightline.registry.bundle import (
    CARD_FILE,
    INT8_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    PIPELINE_FILE,
    Bundle,
    file_sha256,
    read_bundle,
)
from sightline.registry.shelf import Registry

__all__ = [
    "CARD_FILE",
    "INT8_FILE",
    "MANIFEST_FILE",
    "MODEL_FILE",
    "PIPELINE_FILE",
    "Bundle",
    "Registry",
    "file_sha256",
    "read_bundle",
]
