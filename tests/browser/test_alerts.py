"""Notifications of rules that fire anywhere: in every open page a line, in the browser one notification."""

import json
import re
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.browser.fake_camera import film, with_camera
from tests.browser.serving import camera_server, running_chromium, running_server
from tests.browser.steps import ask, remove_all
from tests.browser.watch import Watch
from tests.watching.cameras import Camera
from tests.watching.conftest import colour_data

__all__ = ["colour_data"]
pytestmark = pytest.mark.browser

NOTED = """
globalThis.Notification = class extends Notification {
  constructor(title, options) {
    super(title, options);
    globalThis.noted({ title, ...options });
  }
};
"""
STREAM = re.compile(r"/api/v1/alerts/events")


@dataclass(frozen=True)
class Served:
    """A server that may look at one camera."""

    url: str
    camera: Camera

    def send(self, path: str, wish: dict[str, Any] | None = None) -> dict[str, Any]:
        """POST to the API."""
        body = b"" if wish is None else json.dumps(wish).encode()
        kind = {"content-type": "application/json"} if wish else {}
        asked = urllib.request.Request(f"{self.url}/api/v1/{path}", body, kind, method="POST")
        with urllib.request.urlopen(asked, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def rule(self, **more: Any) -> str:
        """A rule that notifies browsers; its id."""
        wish = {"what": "red", "name": "Red at the door", "actions": [{"kind": "browser"}], "quiet_s": 3600}
        return str(self.send("rules", wish | more)["id"])

    def clear(self) -> None:
        """Nothing is watched, and no rule waits."""
        for kind in ("watches", "rules"):
            remove_all(self.url, kind)


@dataclass
class Tabs:
    """One browser's pages, and the notifications that it has shown."""

    context: BrowserContext
    noted: list[dict[str, Any]] = field(default_factory=list)
    pages: list[Watch] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.pages.append(Watch(self.context.new_page()))
        self.pages[-1].page.goto(path)
        return self.pages[-1].page


Opening = Callable[..., Tabs]


@pytest.fixture(scope="module")
def served(colour_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with camera_server(colour_data, tmp_path_factory.mktemp("alerts")) as (url, camera):
        yield Served(url, camera)


@pytest.fixture
def door(served: Served) -> Iterator[Served]:
    """The server, which forgets the test."""
    yield served
    served.clear()


def _tabs(browser: Browser, url: str, *, width: int = 1280, allowed: bool = True, **more: Any) -> Tabs:
    context = browser.new_context(
        base_url=url, viewport={"width": width, "height": 800}, locale="en-GB", **more
    )
    if allowed:
        context.grant_permissions(["notifications", "camera"])
    tabs = Tabs(context)
    context.expose_binding("noted", lambda _, told: tabs.noted.append(told))
    context.add_init_script(NOTED)
    return tabs


@pytest.fixture
def browsing(chromium: Browser, door: Served) -> Iterator[Opening]:
    """Opens a browser of its own; at the end its pages must not have complained."""
    made: list[Tabs] = []

    def begin(**more: Any) -> Tabs:
        made.append(_tabs(chromium, door.url, **more))
        return made[-1]

    yield begin
    for tabs in made:
        for watch in tabs.pages:
            assert watch.complaints == []
            assert watch.hosts() <= {door.url.removeprefix("http://")}
        tabs.context.close()


def line(page: Page, words: str | re.Pattern[str]) -> Any:
    return page.get_by_role("region", name="Notifications").locator(".alert-line").filter(has_text=words)


def switch_on(page: Page) -> None:
    page.get_by_label("Notify me in this browser").check()


def listened(tabs: Tabs) -> int:
    """How many of the browser's pages listen, or did."""
    return sum(any(STREAM.search(request.url) for request in watch.requests) for watch in tabs.pages)


def test_a_watch_is_told_of_in_every_page_and_notified_once(browsing: Opening, door: Served) -> None:
    tabs = browsing()
    first = tabs.open("/")
    second = tabs.open("/rules")
    rule = door.rule(sources=["front door"])
    switch_on(second)
    expect(second.locator(".alert-switch").get_by_role("status")).to_be_empty()
    door.send("watches", {"source": door.camera.url(), "name": "front door", "every_s": 0.2, "store": True})
    for page in (first, second):
        expect(line(page, "red was seen")).to_contain_text("front door · Red at the door")
    (noted,) = tabs.noted
    assert re.fullmatch(r"red was seen \(\d+%\)", noted["title"])
    assert noted["body"] == "front door · Red at the door"
    assert listened(tabs) == 1, "one page listens for all"
    row = second.get_by_role("row").filter(has_text="front door")
    expect(row).to_contain_text("delivered")
    expect(row).to_contain_text("handed to an open page")
    second.get_by_role("button", name="Close").click()
    for page in (first, second):
        expect(line(page, "red")).to_have_count(0)
    door.send(f"rules/{rule}/test")
    expect(line(first, "Test of the rule “Red at the door”")).to_be_visible()
    tabs.pages.pop(0).page.close()
    door.send(f"rules/{rule}/test")
    expect(line(second, "Test of the rule")).to_have_count(2)
    assert [one["title"][:4] for one in tabs.noted] == ["red ", "Test", "Test"], (
        "one for each, whoever listens"
    )
    assert len({one["tag"] for one in tabs.noted}) == 3


def test_a_line_leads_to_what_was_seen(browsing: Opening, door: Served) -> None:
    tabs = browsing()
    page = tabs.open("/watches")
    switch_on(page)
    page.goto("/models")
    door.rule(sources=["gate"])
    door.send("watches", {"source": door.camera.url(), "name": "gate", "every_s": 0.2, "store": True})
    line(page, "red was seen").get_by_role("link", name="Look at it").click()
    expect(page).to_have_url(re.compile(r"/r/[^/?]+$"))
    expect(page.get_by_role("button", name="Download")).to_be_visible()
    expect(line(page, "red")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_lines_fit_and_can_be_closed_by_keyboard(
    browsing: Opening, door: Served, width: int, scheme: str, tmp_path: Path
) -> None:
    page = browsing(width=width, color_scheme=scheme).open("/rules")
    rule = door.rule(name="Somebody who is not expected stands at the garden gate and waits " * 2)
    switch_on(page)
    for _ in range(4):
        door.send(f"rules/{rule}/test")
    lines = line(page, "Test of the rule")
    expect(lines).to_have_count(3)
    expect(page.locator(".alerts")).to_have_attribute("aria-live", "polite")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = lines.first.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    page.screenshot(path=tmp_path / "alerts.png")
    close = lines.first.get_by_role("button", name="Close")
    size = close.bounding_box()
    assert size is not None
    assert min(size["width"], size["height"]) >= 43.5
    for left in (2, 1):
        close.press("Enter")
        expect(lines).to_have_count(left)
        expect(close).to_be_focused()
    close.press("Enter")
    expect(lines).to_have_count(0)
    expect(page.locator("#main")).to_be_focused()


def test_where_notifications_are_blocked_the_page_says_so_and_shows_a_line(
    browsing: Opening, door: Served
) -> None:
    tabs = browsing(allowed=False)
    page = tabs.open("/rules")
    rule = door.rule()
    switch_on(page)
    status = page.locator(".alert-switch").get_by_role("status")
    expect(status).to_contain_text("Notifications are blocked")
    expect(status).to_contain_text("Open pages show a message instead.")
    expect(page.get_by_label("Play a sound too")).not_to_be_checked()
    door.send(f"rules/{rule}/test")
    expect(line(page, "Test of the rule")).to_be_visible()
    assert tabs.noted == []


def test_what_is_switched_off_costs_nothing_and_tells_nothing(browsing: Opening, door: Served) -> None:
    tabs = browsing()
    rule = door.rule()
    page = tabs.open("/rules")
    other = tabs.open("/")
    door.send(f"rules/{rule}/test")
    expect(page.get_by_role("row").filter(has_text="Notification")).to_contain_text("waits for an open page")
    assert listened(tabs) == 0
    assert not [request for request in tabs.pages[1].requests if "parts/alert" in request.url]
    switch_on(page)
    expect(line(page, "Test of the rule")).to_be_visible()  # nobody had it, and it is still news
    expect(line(other, "Test of the rule")).to_be_visible()
    page.get_by_label("Notify me in this browser").uncheck()
    for each in (page, other):
        expect(line(each, "Test")).to_have_count(0)
    door.send(f"rules/{rule}/test")
    row = page.get_by_role("row").filter(has_text="waits for an open page")
    expect(row).to_have_count(1)
    page.reload()
    expect(page.get_by_label("Notify me in this browser")).not_to_be_checked()
    assert len(tabs.noted) == 1


def test_the_page_that_took_the_capture_notifies_once(door: Served, tmp_path: Path) -> None:
    Image.new("RGB", (320, 240), (255, 0, 0)).save(tmp_path / "red.png")
    with with_camera(film(tmp_path / "red.mjpeg", tmp_path / "red.png")) as filmed:
        tabs = _tabs(filmed, door.url)
        page = tabs.open("/rules")
        switch_on(page)
        page.goto("/camera")
        page.get_by_label("Tell me when something is seen").check()
        page.get_by_label("Show a notification").check()
        page.get_by_label("Tell me when something is seen").uncheck()
        page.get_by_label("Name of this camera").fill("phone at the door")
        page.get_by_label("Name of this camera").press("Tab")
        other = tabs.open("/history")
        door.rule(sources=["phone at the door"])
        page.get_by_role("button", name="Start the camera").click()
        for each in (page, other):
            expect(line(each, "red was seen")).to_contain_text("phone at the door")
        assert len(tabs.noted) == 1
        (told,) = ask(f"{door.url}/api/v1/deliveries")["deliveries"]
        assert told["answer"] == "handed to the page that took the capture"
        assert [watch.complaints for watch in tabs.pages] == [[], []]
        tabs.context.close()


def test_an_address_without_encryption_gets_lines(colour_data: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(colour_data, tmp_path / "data"))
    log = tmp_path / "log.txt"
    options = ("--model", "colour", "--set", "allowed_hosts=door.test")
    with (
        running_server(data, log, *options) as url,
        running_chromium("--host-resolver-rules=MAP door.test 127.0.0.1") as browser,
    ):
        link = re.search(r"https?://\S+", log.read_text())
        assert link
        tabs = _tabs(browser, url.replace("127.0.0.1", "door.test"), allowed=False)
        page = tabs.open(link[0].replace("127.0.0.1", "door.test"))
        page.goto("/rules")
        assert not page.evaluate("isSecureContext")
        switch_on(page)
        expect(page.locator(".alert-switch").get_by_role("status")).to_contain_text("came over https")
        page.get_by_label("Label or verdict").fill("red")
        page.get_by_role("button", name="Make the rule").click()
        page.get_by_role("button", name="Test").click()
        expect(line(page, "Test of the rule")).to_be_visible()
        expect(page.get_by_role("row").filter(has_text="handed to an open page")).to_have_count(1)
        own = [it for it in tabs.pages[0].complaints if "Cross-Origin-Opener-Policy" not in it]
        assert own == [], "Chromium itself says that the header does nothing without encryption"
        tabs.context.close()
