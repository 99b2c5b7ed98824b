"""No place scrolls sideways on a phone, and least of all once there is something in it."""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from tests.browser.serving import door_data, running_server
from tests.browser.watch import Watch
from tests.rules.receiver import receiving
from tests.watching.cameras import Camera

pytestmark = pytest.mark.browser

LONG = "a-camera-with-a-name-that-somebody-typed-without-any-space-because-nobody-said-otherwise"


@dataclass(frozen=True)
class Full:
    """A server with something in every place."""

    url: str
    result: str
    job: str


def _sent(url: str, body: bytes, kind: str = "application/json") -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=120) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def _ended(url: str, job: str) -> None:
    """The stream of a job's events ends when the job does."""
    with urllib.request.urlopen(f"{url}/api/v1/jobs/{job}/events", timeout=300) as events:
        events.read()


def _filled(url: str, picture: bytes, hook: str, camera: Camera) -> Full:
    api = f"{url}/api/v1"
    boundary = "edge"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{LONG}.jpg"\r\n\r\n'
    form = head.encode() + picture + f"\r\n--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    result = _sent(f"{api}/predict?store=true", form, kind)["id"]
    job = _sent(f"{api}/jobs", form, kind)["id"]
    _ended(url, job)
    actions = [{"kind": "webhook", "url": hook}, {"kind": "browser"}, {"kind": "log"}]
    wish = {"what": "unicorn", "name": LONG, "sources": [LONG], "actions": actions}
    rule = _sent(f"{api}/rules", json.dumps(wish).encode())["id"]
    _sent(f"{api}/rules/{rule}/test", b"")
    _sent(f"{api}/watches", json.dumps({"source": camera.url(), "name": LONG, "every_s": 1}).encode())
    return Full(url, result, job)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory, samples: Path) -> Iterator[Full]:
    folder = tmp_path_factory.mktemp("full")
    data = door_data(folder)
    with receiving() as inbox, Camera() as camera:
        allow = f"fetch_allow={inbox.allow}, 127.0.0.1:{camera.port}"
        options = ("--model", "door", "--set", allow)
        with running_server(data, folder / "log.txt", *options) as url:
            yield _filled(url, (samples / "cat.jpg").read_bytes(), inbox.url, camera)


PLACES = {
    "/": ".samples-note",
    "/camera": "#camera-name",
    "/jobs": ".job-row",
    "/jobs/{job}": ".job-title",
    "/jobs/{job}/0": "h1",
    "/history": ".seen",
    "/models": "article, .model-card, h2",
    "/pipelines": "article",
    "/pipelines/new?copy=door": "form",
    "/rules": ".rules-scroll td",
    "/watches": "article",
    "/r/{result}": ".result-body",
    "/r/nowhere": "h1",
    f"/{LONG}": ".few-words h1",
}
"""Address -> what is there once it is full."""


TOO_WIDE = """(width) => document.documentElement.scrollWidth <= width ? [] :
  [...document.querySelectorAll('main *')]
    .filter((one) => one.getBoundingClientRect().right > width + 1)
    .map((one) => `${one.tagName}.${one.className}`).slice(0, 5)
"""
"""What reaches beyond the page, where anything does."""


TOO_LONG = """() => [...document.querySelectorAll('main .button')]
  .filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).textOverflow != "ellipsis")
  .map((one) => one.textContent)
"""
"""Buttons whose words run out of them."""


@pytest.mark.parametrize("width", [390, 360, 320])
@pytest.mark.parametrize("path", PLACES)
def test_no_place_scrolls_sideways(full: Full, chromium: Browser, path: str, width: int) -> None:
    context = chromium.new_context(
        base_url=full.url, viewport={"width": width, "height": 844}, locale="en-GB"
    )
    watch = Watch(context.new_page())
    page = watch.page
    page.goto(path.format(job=full.job, result=full.result))
    expect(page.locator(PLACES[path]).first).to_be_visible()
    page.evaluate("document.fonts.ready")
    assert page.evaluate(TOO_WIDE, width) == []
    assert page.evaluate(TOO_LONG) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert watch.complaints == []
    context.close()
