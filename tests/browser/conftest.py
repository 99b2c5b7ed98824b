"""The browser, the server, and a watched page per test."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.serving import chromium_path, running_chromium, running_server
from tests.browser.watch import Watch

expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if chromium_path() is None:
        pytest.skip("There is no Chromium here: apt-get install chromium, or set CHROMIUM to its path.")
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def address(yolox_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the pretrained YOLOX-Nano; the tests of a session share its history."""
    folder = tmp_path_factory.mktemp("served")
    data = Path(shutil.copytree(yolox_data, folder / "data"))
    with running_server(data, folder / "log.txt", "--model", "yolox-nano") as url:
        yield url


@pytest.fixture
def open_page(chromium: Browser, address: str) -> Iterator[Callable[..., Watch]]:
    """Opens watched pages, `open_page("/history", width=390)`, and checks at the end that they behaved."""
    watches: list[Watch] = []

    def open_one(path: str = "/", *, width: int = 1280, height: int = 800, **options: object) -> Watch:
        context = chromium.new_context(
            base_url=address,
            viewport={"width": width, "height": height},
            locale="en-GB",
            **options,  # type: ignore[arg-type]
        )
        watch = Watch(context.new_page())
        watches.append(watch)
        watch.page.goto(path)
        return watch

    yield open_one
    for watch in watches:
        assert watch.complaints == []
        assert watch.hosts() == {address.removeprefix("http://")}
        watch.page.context.close()


@pytest.fixture
def opened(chromium: Browser, place: str) -> Iterator[Callable[..., Page]]:
    """Opens watched pages of the module's own server, its fixture `place`.

    At the end: no complaint, no stranger, nothing wider than the screen.
    """
    watches: list[tuple[Watch, int]] = []

    def make(path: str, *, width: int = 1280) -> Page:
        context = chromium.new_context(
            base_url=place, viewport={"width": width, "height": 900}, locale="en-GB"
        )
        watch = Watch(context.new_page())
        watches.append((watch, width))
        watch.page.goto(path)
        return watch.page

    yield make
    for watch, width in watches:
        assert watch.complaints == []
        assert watch.hosts() == {place.removeprefix("http://")}
        assert watch.page.evaluate("document.documentElement.scrollWidth") <= width
        watch.page.context.close()


@pytest.fixture
def watch(open_page: Callable[..., Watch]) -> Watch:
    """The first page, at 1280 x 800."""
    return open_page()


@pytest.fixture
def page(watch: Watch) -> Page:
    return watch.page


@pytest.fixture(scope="session")
def horses(samples: Path) -> Path:
    """Two riders on horses on a beach: YOLOX-Nano sees all four."""
    return samples / "horses.jpg"
