"""The place of watches, over a camera on the loopback."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.serving import camera_server, door_data, running_server
from tests.browser.steps import ask, remove_all
from tests.browser.watch import Watch
from tests.watching.cameras import Camera
from tests.watching.conftest import colour_data

__all__ = ["colour_data"]
pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Served:
    """A server that may look at one camera."""

    url: str
    camera: Camera

    def watches(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ask(f"{self.url}/api/v1/watches")["watches"]
        return found


Opening = Callable[..., Page]


@pytest.fixture(scope="module")
def served(colour_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with camera_server(colour_data, tmp_path_factory.mktemp("watches")) as (url, camera):
        yield Served(url, camera)


@pytest.fixture
def one(served: Served) -> Iterator[Served]:
    """The server, which watches nothing after the test."""
    yield served
    remove_all(served.url, "watches")


@pytest.fixture
def place(one: Served) -> str:
    """Where its pages are."""
    return one.url


@pytest.mark.parametrize("width", [390, 1280])
def test_a_camera_is_watched_and_ended(
    chromium: Browser, colour_data: Path, tmp_path: Path, width: int
) -> None:
    with Camera() as camera:
        allow = f"fetch_allow=127.0.0.1:{camera.port}"
        with running_server(colour_data, tmp_path / "log.txt", "--model", "colour", "--set", allow) as url:
            context = chromium.new_context(base_url=url, viewport={"width": width, "height": 800})
            watch = Watch(context.new_page())
            page = watch.page
            page.goto("/watches")
            expect(page.get_by_text("This server watches no camera yet.")).to_be_visible()
            page.get_by_label("Address of the camera").fill(camera.url(login="joe:secret@"))
            page.get_by_label("Name, for you").fill("front door")
            page.get_by_label("Seconds from look").fill("0.2")
            page.get_by_role("button", name="Watch", exact=True).click()
            card = page.get_by_role("article", name="front door")
            expect(card).to_contain_text("Watching")
            expect(card).to_contain_text("red")
            expect(card.get_by_role("img")).to_be_visible()
            assert "secret" not in page.content()
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width
            page.screenshot(path=tmp_path / "watches.png")
            card.get_by_role("button", name="End").click()
            expect(card).to_have_count(0)
            for address, words in (("rtsp://10.0.0.9/x", "List 10.0.0.9 in"), ("abc", "such as rtsp://")):
                page.get_by_label("Address of the camera").fill(address)
                page.get_by_role("button", name="Watch", exact=True).click()
                expect(page.get_by_role("alert")).to_contain_text(words)
                expect(page.get_by_label("Address of the camera")).to_be_focused()
            context.close()


def test_the_card_of_a_pipeline_shows_its_verdict(chromium: Browser, tmp_path: Path) -> None:
    with Camera() as camera:
        allow = f"fetch_allow=127.0.0.1:{camera.port}"
        with running_server(
            door_data(tmp_path), tmp_path / "log.txt", "--model", "door", "--set", allow
        ) as url:
            page = chromium.new_page(base_url=url)
            page.goto("/watches")
            page.get_by_label("Address of the camera").fill(camera.url())
            page.get_by_label("Name, for you").fill("door")
            page.get_by_role("button", name="Watch", exact=True).click()
            card = page.get_by_role("article", name="door")
            expect(card.locator(".watch-verdict")).to_have_text("a rider in red")
            expect(card).to_contain_text("person, dog")
            expect(card.get_by_role("img")).to_have_attribute("alt", re.compile("a rider in red"))
            (watch,) = ask(f"{url}/api/v1/watches")["watches"]
            assert (watch["verdict"], watch["verdict_title"]) == ("rider", "a rider in red")
            page.context.close()


def test_the_second_camera_is_looked_at_as_seldom_as_the_first(opened: Opening, one: Served) -> None:
    page = opened("/watches")
    for count, name in enumerate(("door", "yard"), start=1):
        page.get_by_label("Address of the camera").fill(one.camera.url())
        page.get_by_label("Name, for you").fill(name)
        page.get_by_role("button", name="Watch", exact=True).click()
        expect(page.get_by_role("article")).to_have_count(count)
        expect(page.get_by_label("Seconds from look")).to_have_value("10")
    assert [it["every_s"] for it in one.watches()] == [10, 10]
    page.get_by_label("Address of the camera").fill(one.camera.url())
    page.get_by_label("Seconds from look").fill("")
    page.get_by_role("button", name="Watch", exact=True).click()
    expect(page.locator(".field-fault")).to_have_text("A number from 0 to 86,400.")
    expect(page.get_by_label("Seconds from look")).to_be_focused()
    page.get_by_label("Seconds from look").fill("5")
    page.get_by_label("Name, for you").fill("door")
    page.get_by_role("button", name="Watch", exact=True).click()
    expect(page.locator(".field-fault")).to_contain_text("There is a watch called 'door' already")
    expect(page.get_by_label("Name, for you")).to_be_focused()
    assert len(one.watches()) == 2


@pytest.mark.parametrize("width", [390, 1280])
def test_a_watch_is_made_with_a_model_and_changed(opened: Opening, one: Served, width: int) -> None:
    page = opened("/watches", width=width)
    page.get_by_label("Address of the camera").fill(one.camera.url(login="joe:secret@"))
    page.get_by_label("Name, for you").fill("gate")
    page.get_by_label("Looks with").select_option("colour")
    page.get_by_label("Minimum score").fill("35")
    page.get_by_role("button", name="Watch", exact=True).click()
    card = page.get_by_role("article", name="gate")
    expect(card).to_contain_text("colour")
    (made,) = (it for it in one.watches() if it["name"] == "gate")
    assert (made["model"], made["min_score"], made["size"]) == ("colour", 0.35, None)
    card.get_by_role("button", name="Change").press("Enter")
    expect(page.get_by_role("heading", name="Change gate")).to_be_focused()
    expect(page.get_by_label("Minimum score")).to_have_value("35")
    page.get_by_label("Seconds from look").fill("7")
    page.get_by_label("Name, for you").fill("back gate")
    page.get_by_label("Minimum score").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("article", name="back gate")).to_contain_text("every 7 s")
    expect(page.get_by_role("heading", name="Watch a camera")).to_be_visible()
    (after,) = (it for it in one.watches() if it["name"] == "back gate")
    assert (after["id"], after["min_score"], after["every_s"]) == (made["id"], None, 7)
    assert after["source"] == one.camera.url()


def test_a_rule_on_a_watch_may_notify(opened: Opening, one: Served) -> None:
    page = opened("/watches", width=390)
    page.get_by_label("Address of the camera").fill(one.camera.url())
    page.get_by_label("Name, for you").fill("gate")
    page.get_by_role("button", name="Watch", exact=True).click()
    expect(page.get_by_role("article", name="gate")).to_be_visible()
    page.goto("/rules")
    expect(page.locator("#new-cameras option[value=gate]")).to_be_attached()
    page.get_by_label("Camera", exact=True).fill("gate")
    page.get_by_label("Camera", exact=True).press("Tab")
    expect(page.get_by_label("Notification in browsers")).to_be_checked()
