"""The place of watches, over a camera on the loopback."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.browser.serving import running_server
from tests.browser.watch import Watch
from tests.watching.cameras import Camera
from tests.watching.conftest import colour_data

__all__ = ["colour_data"]
pytestmark = pytest.mark.browser


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
            page.get_by_label("Address of the camera").fill("rtsp://10.0.0.9/x")
            page.get_by_role("button", name="Watch", exact=True).click()
            expect(page.get_by_role("alert")).to_contain_text("List 10.0.0.9 in")
            context.close()
