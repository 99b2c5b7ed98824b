"""A recipe: everything that decides what a training run computes, in one TOML file.

The same recipe, inputs and versions give the same weights on the same machine. Paths in a recipe
are relative to ``data.root``, which is relative to the working directory. The key ``task`` says which
kind it is: each has a module of its own, ``recipe_<task>.py``.
"""

import copy
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from sightline.errors import ConfigError
from sightline.manifest.words import first_fault
from sightline.training.recipe_classify import ClassifyRecipe
from sightline.training.recipe_detect import Augment, DetectRecipe, Source
from sightline.training.recipe_features import FeatureRecipe
from sightline.training.recipe_form import Recipe

__all__ = ["Augment", "Recipe", "Source", "load_recipe"]

RECIPES = Path(__file__).parent / "recipes"
AnyRecipe: TypeAlias = Annotated[DetectRecipe | ClassifyRecipe | FeatureRecipe, Field(discriminator="task")]
_RECIPE: TypeAdapter[Recipe] = TypeAdapter(AnyRecipe)


def load_recipe(path: Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe; ``overrides`` maps dotted keys to values: ``{"optimiser.epochs": 2}``.

    A bare name such as ``everyday`` means the recipe of that name that ships with Sightline.

    Raises:
        ConfigError: No such file, no TOML, or a key or value that a recipe does not have.
    """
    if not path.is_file() and path.suffix == "" and (RECIPES / f"{path}.toml").is_file():
        path = RECIPES / f"{path}.toml"
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        shipped = ", ".join(sorted(item.stem for item in RECIPES.glob("*.toml")))
        raise ConfigError(
            f"The recipe {path} cannot be read: {error}.",
            next_step=f"Give a TOML file, or one of: {shipped}.",
        ) from error
    for key, value in (overrides or {}).items():
        _put(table, key, copy.deepcopy(value))  # another key may go into it
    try:
        return _RECIPE.validate_python(table)
    except ValidationError as error:
        where, words = first_fault(error)
        # pydantic puts the kind of recipe in front of every key, and names no key where the kind is off.
        where = where.partition(".")[2] or "task"
        raise ConfigError(f"{path.name}: {where}: {words}.") from error


def _put(table: dict[str, Any], key: str, value: Any) -> None:
    *folders, last = key.split(".")
    for folder in folders:
        table = table.setdefault(folder, {})
        if not isinstance(table, dict):
            raise ConfigError(
                f"The override {key!r} goes through {folder!r}, which is no table of the recipe."
            )
    table[last] = value
