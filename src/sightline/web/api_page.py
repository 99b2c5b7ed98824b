"""``/api/docs``: the OpenAPI document as one plain page. No script, nothing from another host."""

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from sightline.web.problems import CODES

_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sightline: HTTP interface</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<link rel="stylesheet" href="/api/docs/style.css"></head><body><main>'
)


def render(document: Mapping[str, Any]) -> str:
    """The whole page as HTML; every text of the document is escaped."""
    parts = [_HEAD, f"<h1>{escape(document['info']['title'])} {escape(document['info']['version'])}</h1>"]
    parts.append(f"<p>{_words(document['info'].get('description', ''))}</p>")
    parts.append('<p><a href="/api/openapi.json">openapi.json</a> · <a href="/">back to the page</a></p>')
    tag = None
    for path, verb, way in _ways(document):
        if way.get("tags", [""])[0] != tag:
            tag = way.get("tags", [""])[0]
            parts.append(f"<h2>{escape(tag)}</h2>")
        parts.append(_way(path, verb, way))
    parts += [_problems(), _schemas(document), "</main></body></html>"]
    return "".join(parts)


def _ways(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in document["paths"].items():
        for verb, way in item.items():
            yield path, verb.upper(), way


def _way(path: str, verb: str, way: Mapping[str, Any]) -> str:
    rows = [
        (f"<code>{escape(one['name'])}</code>", escape(one["in"]), _words(one.get("description", "")))
        for one in way.get("parameters", [])
    ]
    kinds = [f"<code>{escape(kind)}</code>" for kind in way.get("requestBody", {}).get("content", {})]
    answers = [
        (
            escape(str(status)),
            _words(answer.get("description", "")),
            escape(", ".join(answer.get("content", {}))),
        )
        for status, answer in sorted(way.get("responses", {}).items(), key=lambda pair: str(pair[0]))
    ]
    return (
        f'<section class="way" id="{escape(way["operationId"])}">'
        f'<span class="needs">{escape(way.get("x-sightline-scope", ""))}</span>'
        f'<h3><span class="verb">{verb}</span>{escape(path)}</h3><p>{_words(way.get("description", ""))}</p>'
        + _table(("parameter", "in", "meaning"), rows)
        + (f"<p>Body: {', '.join(kinds)}</p>" if kinds else "")
        + _table(("status", "meaning", "type"), answers)
        + "</section>"
    )


def _problems() -> str:
    rows = [
        (f'<code id="{escape(code)}">{escape(code)}</code>', str(status), escape(title))
        for code, (status, title) in CODES.items()
    ]
    return "<h2>Refusals</h2>" + _table(("code", "status", "meaning"), rows)


def _schemas(document: Mapping[str, Any]) -> str:
    parts = ["<h2>Shapes</h2>"]
    for name, schema in sorted(document.get("components", {}).get("schemas", {}).items()):
        rows = [
            (f"<code>{escape(field)}</code>", escape(_kind(one)), _words(one.get("description", "")))
            for field, one in schema.get("properties", {}).items()
        ]
        parts.append(f'<section class="way" id="{escape(name)}"><h3>{escape(name)}</h3>')
        parts += [
            f"<p>{_words(schema.get('description', ''))}</p>",
            _table(("field", "type", "meaning"), rows),
        ]
        parts.append("</section>")
    return "".join(parts)


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", schema.get("const", "any")))


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _words(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
