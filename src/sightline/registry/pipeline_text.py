"""A pipeline as people read it: the text of ``pipeline.toml``. The other way is `read_pipeline`."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sightline.manifest import Manifest

_ABOUT: Final = ("name", "version", "title", "description", "licence", "origin")
_USUAL: Final = {"version": "1", "licence": "unknown"}


def pipeline_text(manifest: Manifest) -> str:
    """The TOML of a pipeline; what has its usual value is left out.

    Reading it again gives the same stages, numbers and words; measured figures stay with the manifest.
    """
    pipeline = manifest.pipeline
    assert pipeline is not None
    about = {key: value for key in _ABOUT if (value := getattr(manifest, key)) != _USUAL.get(key, "")}
    return toml_text(about | pipeline.model_dump(mode="json", exclude_defaults=True))


def pipeline_fields(manifest: Manifest) -> dict[str, Any]:
    """The same with every value spelt out, as plain values."""
    assert manifest.pipeline is not None
    about = {key: getattr(manifest, key) for key in _ABOUT}
    return about | manifest.pipeline.model_dump(mode="json")


def toml_text(given: Mapping[str, Any]) -> str:
    """TOML of plain values: what is not there (None) is left out, plain values come before tables."""
    plain = [_line(key, value) for key, value in given.items() if not _is_table(value) and value is not None]
    tables = {key: value for key, value in given.items() if _is_table(value)}
    return "\n".join([*plain, *_tables(tables, "")]).lstrip("\n") + "\n"


def _tables(given: Mapping[str, Any], above: str) -> Iterator[str]:
    """Each table under its head: first its plain values, then its tables, then its lists of tables."""
    for key, value in given.items():
        name = f"{above}{_key(key)}"
        if isinstance(value, Mapping):
            inner = {word: it for word, it in value.items() if _is_table(it)}
            plain = {word: it for word, it in value.items() if word not in inner and it is not None}
            if plain or not inner:
                yield f"\n[{name}]"
                yield from (_line(word, it) for word, it in plain.items())
            yield from _tables(inner, f"{name}.")
        else:
            for one in value:
                yield f"\n[[{name}]]"
                yield from (_line(word, it) for word, it in one.items() if it is not None)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)
    )


def _line(key: str, value: Any) -> str:
    return f"{_key(key)} = {_value(value)}"


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _value(key)


def _value(value: Any) -> str:
    """Strings, numbers and lists of JSON are TOML too; TOML alone also wants DEL escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
