"""``sightline models quantize`` without labelled pictures: an int8 model of its own beside the float one.

The pictures take the served road up to the tensor, so the calibration sees what the model will see.
"""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sightline.errors import BadOption, InputError, NotFound
from sightline.manifest import Manifest
from sightline.registry import CARD_FILE, MANIFEST_FILE, MODEL_FILE, Bundle, Registry
from sightline.registry.room import room_for_it
from sightline.runtime.engine import Tensor
from sightline.runtime.quantize import HELD_OUT, Quantised, quantize
from sightline.serving.decoder import Decoder
from sightline.serving.importer import import_model
from sightline.settings import Settings

_QUANTISED = ", quantised to int8"


@dataclass(frozen=True, slots=True)
class Smaller:
    """What became of it: the new bundle, and how far it is from the float one."""

    bundle: Bundle
    made: Quantised
    pictures: int


def make_smaller(
    reference: str,
    name: str,
    pictures: Iterable[bytes],
    settings: Settings,
    tell: Callable[[str], None] = lambda _: None,
) -> Smaller:
    """Quantise the model ``reference`` and put the result on the shelf as ``name``.

    Raises:
        NotFound: No such model.
        BadOption: Too few pictures, or a name that is taken by something else.
        ModelRefused, ModelFailed: It is quantised already, or int8 differs too much.
        StorageFull: No room for it.
    """
    registry = Registry(settings)
    source = registry.resolve(reference)
    if source.stages:
        raise BadOption(
            f"{source.reference} is a pipeline: it has no network of its own.", next_step="Name a model."
        )
    _check_free(registry, source, name)
    tell("Reading the calibration pictures")
    tensors = calibration(source.manifest, pictures, settings)
    full = room_for_it(f"write an int8 version of {source.reference}")
    with full, tempfile.TemporaryDirectory(prefix="sightline-int8-") as place:
        folder = Path(place) / name
        folder.mkdir()
        made = quantize(source.model_path, folder / MODEL_FILE, tensors, source.manifest, tell)
        _describe(folder, source, name, made, len(tensors))
        bundle = import_model(folder, registry, settings).bundle
    return Smaller(bundle, made, len(tensors))


def _check_free(registry: Registry, source: Bundle, name: str) -> None:
    if name == source.name:
        raise BadOption(
            f"The int8 model needs a name of its own, not {name!r}.", next_step=f"As in --name {name}-int8."
        )
    try:
        taken = registry.versions(name)
    except NotFound:
        return
    if any(bundle.bundled for bundle in taken):
        raise BadOption(f"{name} ships with Sightline.", next_step="Choose another name.")
    other = next((bundle for bundle in taken if not _is_made_from(source, bundle)), None)
    if other is not None:
        raise BadOption(
            f"{other.reference} is another model, not an int8 version of {source.name}.",
            next_step=f"Choose another name with --name, or remove it: sightline models remove {name}.",
        )


def _is_made_from(source: Bundle, bundle: Bundle) -> bool:
    """Whether a bundle is what this module made of some version of the source."""
    said = bundle.manifest.initialisation
    return said.startswith(f"{source.name}@") and _QUANTISED in said


def calibration(manifest: Manifest, pictures: Iterable[bytes], settings: Settings) -> list[Tensor]:
    """The pictures as the model's inputs, by the served road.

    Of a model with several sizes, every few pictures have another one: its ranges must hold for all.
    """
    tensors: list[Tensor] = []
    sizes = manifest.input.sizes or (None,)
    with Decoder(settings) as decoder:
        for data in pictures:
            contract = manifest.at(sizes[len(tensors) // HELD_OUT % len(sizes)]).input
            try:
                tensor = decoder.prepare(data, contract).tensor
            except InputError:
                continue  # a picture that cannot be read calibrates nothing; too few are refused below
            tensors.append(tensor if manifest.input.layout == "CHW" else tensor[None])
    return tensors


def _describe(folder: Path, source: Bundle, name: str, made: Quantised, pictures: int) -> None:
    manifest = source.manifest.model_copy(
        update={
            "name": name,
            "title": f"{source.title}, int8",
            "sha256": "",
            "bytes": 0,
            "variants": (),
            "created": "",
            "initialisation": f"{source.reference}{_QUANTISED} with {pictures} calibration pictures",
            "metrics": {
                "agreement": {"alike": made.chosen.alike, "distance": round(made.chosen.distance, 4)}
            },
        }
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1), "utf-8")
    words = (
        f"# {manifest.title}\n\nMade from {source.reference} by `sightline models quantize` "
        f"({made.chosen.title}) with {pictures} calibration pictures. On pictures that were held back, "
        f"{made.chosen.alike:.0%} are read as by the float model. Its accuracy was not measured: "
        f"`sightline evaluate {name} DATA` does.\n\n{source.card}"
    )
    (folder / CARD_FILE).write_text(words, "utf-8")
