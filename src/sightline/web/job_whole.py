"""Jobs of one piece over HTTP: an evaluation, an import, a training run.

Nothing here can name a place on the server or on a worker: data and models are uploads, recipes ship, and of
a recipe only what is a number or a word for people may be changed.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from sightline.errors import BadOption, ConfigError, how_to_add
from sightline.jobs.orders import (
    EVALUATE,
    IMPORT,
    TRAIN,
    EvaluateOrder,
    ImportOrder,
    Order,
    Place,
    TrainOrder,
)
from sightline.web.job_schemas import EvaluateWish, ImportWish, TrainWish, UploadWish, Wish
from sightline.web.problems import BadRequest, complaint
from sightline.web.services import Services
from sightline.web.uploads import Arrived, clean_path

WHOLE: Final = (EVALUATE, IMPORT, TRAIN)
CHANGES: Final = (
    "bundle.description",
    "bundle.title",
    "name",
    "optimiser.batch",
    "optimiser.epochs",
    "optimiser.rate",
    "optimiser.stop",
    "seed",
    "version",
)
"""What HTTP may change of a recipe: nothing that names a place or another network."""
_WISHES: Final[dict[str, type[Wish]]] = {EVALUATE: EvaluateWish, IMPORT: ImportWish, TRAIN: TrainWish}
_FIELDS: Final = frozenset({"kind", "priority", "options"})


class KindWish(BaseModel):
    """Of which kind a job is to be; the rest is read as that kind wants it."""

    model_config = ConfigDict(strict=True)
    kind: Literal["predict", "evaluate", "import", "train"] = "predict"


def whole_of(kind: str, body: bytes | str) -> tuple[Order, int]:
    """The order in a request's JSON, and its priority.

    Raises:
        ValidationError: It is not what this kind takes.
        BadOption: It names what there is not.
    """
    wish = _WISHES[kind].model_validate_json(body)
    match wish:
        case EvaluateWish():
            options = wish.options
            rest = (options.min_score, options.rounds, options.first, options.size)
            data = _place(wish.inputs.archive, "data.zip")
            return EvaluateOrder(options.model, data, "", *rest), wish.priority
        case ImportWish():
            hints = wish.options.model_dump(exclude_none=True)
            return ImportOrder(_place(wish.inputs.bundle, "model.onnx"), hints), wish.priority
        case TrainWish():
            changes = tuple(f"{key}={json.dumps(value)}" for key, value in wish.options.changes.items())
            return TrainOrder(wish.options.recipe, changes, (), wish.options.add), wish.priority
    raise BadOption(f"There is no kind {kind!r}.")


def from_form(arrived: Arrived, query: bytes) -> Order:
    """The order of a form: its file, and `options` as JSON.

    Raises:
        SightlineError: Something of it is off.
    """
    if query:
        raise BadOption("The options of this kind stand in the field `options`, not in the query.")
    fields = dict(arrived.fields)
    strange = sorted(set(fields) - _FIELDS)
    if strange:
        raise BadOption(
            f"There is no field {strange[0][:60]!r}: options go into the field `options`, as JSON."
        )
    kind = fields.get("kind", IMPORT)
    if kind == TRAIN:
        raise BadOption("A training run takes no files.", next_step="Send its options as JSON.")
    name = "archive" if kind == EVALUATE else "bundle"
    kept = arrived.archive if kind == EVALUATE else arrived.bundle
    others = [arrived.bundle if kind == EVALUATE else arrived.archive, arrived.video, *arrived.pictures]
    if kept is None or any(others) or kind not in WHOLE:
        raise BadOption(f"A job of the kind {kind[:60]!r} takes one file {name!r} and no other.")
    wish = {"kind": kind, "inputs": {name: {"id": kept.id, "name": kept.name}}}
    try:
        options = json.loads(fields.get("options") or "{}")
        return whole_of(kind, json.dumps(wish | {"options": options}))[0]
    except ValidationError as error:
        raise complaint(error, "a job") from error
    except (ValueError, RecursionError) as error:
        raise BadRequest("The field options is not JSON, or is longer than 1000 characters.") from error


def check_whole(services: Services, order: Order) -> None:
    """Say what is off before a worker has it.

    Raises:
        NotFound: There is no such model.
        BadOption: It has no such size; no such recipe ships, or a change is off or not for HTTP.
        ConfigError: Nobody here can train.
    """
    match order:
        case EvaluateOrder():
            services.road.registry.find(order.model).manifest.at(order.size)
        case TrainOrder():
            _check_training(order)
            if services.settings.queue == "local" and find_spec("torch") is None:
                raise ConfigError(
                    "Training needs torch, which is not installed on this server.",
                    next_step=how_to_add("train"),
                )


def _check_training(order: TrainOrder) -> None:
    from sightline.training.recipe import RECIPES, load_recipe  # noqa: PLC0415 - few jobs train

    shipped = sorted(path.stem for path in RECIPES.glob("*.toml"))
    if order.recipe not in shipped:
        raise BadOption(
            f"No recipe {order.recipe!r} ships with Sightline.", next_step=f"There are {', '.join(shipped)}."
        )
    changes = dict(change.split("=", 1) for change in order.changes)
    for key in changes:
        if key not in CHANGES:
            raise BadOption(
                f"options.changes: {key[:100]!r} may not be changed over HTTP.",
                next_step=f"These may: {', '.join(CHANGES)}. The command line may change everything.",
            )
    try:
        load_recipe(
            Path(RECIPES / f"{order.recipe}.toml"), {key: json.loads(text) for key, text in changes.items()}
        )
    except ConfigError as error:
        raise BadOption(f"options.changes: {error.message}", next_step=error.next_step) from error


def _place(upload: UploadWish, usual: str) -> Place:
    return Place("blob", upload.id, clean_path(upload.name) or usual)
