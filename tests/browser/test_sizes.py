"""The choice of a size beside the model: only where there is one, kept, sent, and said in the result."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.serving import running_server
from tests.browser.steps import ask, look_at
from tests.browser.watch import Watch
from tests.runtime import graphs
from tests.runtime.graphs import FOUND

from sightline.registry import Registry
from sightline.settings import load_settings

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def sized(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server whose default model runs at 16, 32 and 64; one of a single size is its neighbour."""
    folder = tmp_path_factory.mktemp("sized")
    registry = Registry(load_settings({"data_dir": str(folder / "data")}, environment={}))
    registry.add(graphs.sized_bundle(folder / "cells", title="Cells"))
    registry.add(graphs.sized_bundle(folder / "one", name="one", title="One size", sizes=()))
    with running_server(folder / "data", folder / "log.txt", "--model", "cells") as url:
        yield url


@pytest.fixture
def open_sized(chromium: Browser, sized: str) -> Iterator[Callable[..., Watch]]:
    """Opens a watched page of that server and checks at the end that it behaved."""
    watches: list[Watch] = []

    def open_one(width: int = 1280) -> Watch:
        context = chromium.new_context(
            base_url=sized, viewport={"width": width, "height": 800}, locale="en-GB"
        )
        watches.append(Watch(context.new_page()))
        watches[-1].page.goto("/")
        return watches[-1]

    yield open_one
    for watch in watches:
        assert watch.complaints == []
        watch.page.context.close()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "square.png"
    path.write_bytes(graphs.red_square())
    return path


def _seen_at(page: Page) -> str:
    page.get_by_text("How this was done").click()
    return page.locator(".facts div").filter(has_text="Seen at").locator("dd").inner_text()


def test_a_size_is_chosen_sent_kept_and_said(
    open_sized: Callable[..., Watch], sized: str, picture: Path
) -> None:
    page = open_sized().page
    choice = page.get_by_label("Sees at")
    expect(choice).to_have_value("32")
    assert choice.locator("option").all_inner_texts() == ["Fast 16", "Normal 32", "Fine 64"]
    with page.expect_request(re.compile("size=64")):  # the samples are looked at again
        choice.select_option("Fine 64")
    result = ask(f"{sized}/api/v1/results/{look_at(page, picture)}")
    assert result["size"] == 64
    assert len([thing for thing in result["predictions"] if thing["score"] > 0.6]) == FOUND[64]
    assert _seen_at(page) == "64 \u00d7 64 pixels"
    page.goto("/")
    expect(choice).to_have_value("64")


def test_the_same_picture_is_looked_at_again_at_another_size(
    open_sized: Callable[..., Watch], picture: Path
) -> None:
    page = open_sized().page
    first = look_at(page, picture)
    again = page.get_by_label("Look again with")
    expect(again.locator("option", has_text="Cells, Fine 64")).to_have_count(1)
    words = again.locator("option").all_inner_texts()
    assert {"Cells, Fast 16", "One size"} <= set(words)
    assert "Cells, Normal 32" not in words
    again.select_option("Cells, Fast 16")
    expect(page).not_to_have_url(re.compile(first))
    page.wait_for_url(re.compile("/r/"))
    assert _seen_at(page) == "16 \u00d7 16 pixels"


def test_a_copied_command_asks_at_the_size_of_the_result(
    open_sized: Callable[..., Watch], sized: str, picture: Path
) -> None:
    page = open_sized().page
    body = ask(f"{sized}/api/v1/results/{look_at(page, picture)}")
    script = """async (body) => {
      const { toResult } = await import('/static/js/filter.js');
      const { curlFor } = await import('/static/js/parts/snippets.js');
      return curlFor(toResult(body), { min: 0.5, hidden: new Set() });
    }"""
    assert "size=32" in page.evaluate(script, body)
    del body["size"]
    assert "size=" not in page.evaluate(script, body)


def test_models_of_one_size_offer_no_choice(open_sized: Callable[..., Watch]) -> None:
    page = open_sized().page
    expect(page.get_by_label("Sees at")).to_be_visible()
    page.locator(".picker-line").click()
    page.get_by_label("One size").check()
    expect(page.get_by_label("Sees at")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_choice_moves_nothing_and_fits(open_sized: Callable[..., Watch], width: int) -> None:
    watch = open_sized(width)
    expect(watch.page.locator(".samples-note")).to_contain_text("Seen just now")
    expect(watch.page.get_by_label("Sees at")).to_be_visible()
    assert watch.shifts() == []
    assert watch.page.evaluate("() => document.documentElement.scrollWidth") <= width
    box = watch.page.get_by_label("Sees at").bounding_box()
    assert box is not None
    assert box["height"] >= 24
