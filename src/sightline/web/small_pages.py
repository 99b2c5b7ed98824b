"""Pages of a few words, without a script: the question for the key, and a refusal that a browser shows."""

from html import escape
from typing import Final

from starlette.types import Scope

from sightline.web.intake import header
from sightline.web.problems import Problem

_HEAD: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark"><link rel="icon" href="/static/icon.svg">'
    '<link rel="stylesheet" href="/static/css/tokens.css"><link rel="stylesheet" href="/static/css/base.css">'
    '<link rel="stylesheet" href="/static/css/small.css">'
)
_FORM: Final = (
    '<form method="post" action="/signin"><label for="key">Key</label>'
    '<input class="field" id="key" type="password" name="key" required autofocus '
    'autocomplete="current-password"><button class="button main-action">Sign in</button></form>'
)
_WAY_BACK: Final = '<p><a class="button" href="/">To the start page</a></p>'


def wants_page(scope: Scope) -> bool:
    """Whether a browser asks in order to show the answer.

    All of them name XHTML then, and neither for pictures nor for scripts. Programs do not, though some
    (Java's by default) ask for text/html.
    """
    return b"application/xhtml+xml" in header(scope, b"accept")


def key_page(problem: str = "") -> str:
    """The question for the key as HTML, with what was wrong about the last one."""
    told = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    words = "Open the link that <code>sightline serve</code> printed, or paste the key that stands in it."
    return _page("This server wants its key", f"{told}<p>{words}</p>{_FORM}")


def problem_page(problem: Problem) -> str:
    """A refusal as HTML: all that the JSON says, and a way back."""
    said = {name: escape(str(value)) for name, value in problem.body.items()}
    return _page(
        said["title"],
        f"<p>{said['detail']}</p><p>{said['next_step']}</p>{_WAY_BACK}"
        f'<p class="small">{said["status"]} · {said["code"]} · request {said["request_id"]}</p>',
    )


def _page(title: str, body: str) -> str:
    return (
        f"{_HEAD}<title>{title} · Sightline</title></head>"
        f'<body><main class="few-words"><h1>{title}</h1>{body}</main></body></html>'
    )
