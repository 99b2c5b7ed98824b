"""History, models, errors of the network, keys, and the ways a page must behave everywhere."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from tests.browser.steps import answer_dialog, look_at, rows, wait_for_result
from tests.browser.watch import Watch

pytestmark = pytest.mark.browser

PLACES = ("/", "/camera", "/history", "/models")

OBJECT = re.compile(r"^(horse|person), \d+%, (middle|top|bottom) ")

FIRST_KEY = """new MutationObserver((_, observer) => {
  if (!document.querySelector(".object-row")) return;
  observer.disconnect();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
}).observe(document, { childList: true, subtree: true })"""
"""Presses a key as soon as there are objects."""

BUSY = """() => setTimeout(() => {
  const end = performance.now() + 300;
  while (performance.now() < end);
})"""
"""A page that hears nothing for a while, as on a busy machine."""


def test_history_finds_opens_and_deletes(page: Page, horses: Path, samples: Path, tmp_path: Path) -> None:
    look_at(page, horses)
    page.get_by_role("link", name="Look", exact=True).click()
    one = tmp_path / "only one like this.jpg"
    one.write_bytes((samples / "cat.jpg").read_bytes())
    look_at(page, one)
    page.get_by_role("link", name="History").click()
    field = page.get_by_label("Search by label or file name")
    field.fill("cat")
    expect(page.get_by_role("link", name=re.compile("only one like this"))).to_be_visible()
    with page.expect_response(re.compile("q=one")):
        field.fill("one like")
    card = page.locator(".seen").filter(has_text="only one like this")
    expect(card).to_have_count(1)
    card.get_by_role("button", name="Delete").click()
    card.get_by_role("button", name="Keep").click()
    card.get_by_role("button", name="Delete").click()
    card.get_by_role("button", name="Delete for good?").click()
    expect(card).to_have_count(0)
    field.fill("no such thing")
    expect(page.get_by_role("heading", level=2)).to_have_text("Nothing found for “no such thing”")
    page.get_by_role("button", name="Show everything").click()
    expect(page.get_by_role("heading", level=2).first).to_have_text("Today")


def test_a_deleted_result_says_that_it_is_gone(page: Page, horses: Path) -> None:
    name = look_at(page, horses)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete for good?").click()
    expect(page).not_to_have_url(re.compile(name))
    page.goto(f"/r/{name}")
    expect(page.get_by_role("heading", level=1)).to_have_text("This result is no longer here")


def test_models_say_what_decides(page: Page) -> None:
    page.get_by_role("link", name="Models").click()
    card = page.get_by_role("article", name="yolox-nano")
    expect(card).to_contain_text("80 labels")
    expect(card).to_contain_text("3.7 MB")
    expect(page.get_by_role("article").first).to_contain_text("yolox-nano")  # the default leads
    expect(card.get_by_role("button", name="In use")).to_be_visible()
    expect(page.get_by_role("button", name="Look with this")).to_have_count(
        page.get_by_role("article").count() - 1
    )
    card.get_by_text("All about it").click()
    card.get_by_label("Find a label").fill("gira")
    expect(card.locator(".model-labels")).to_have_text("giraffe")


def test_without_the_server_the_page_still_filters_and_says_so(page: Page, horses: Path) -> None:
    look_at(page, horses)
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    expect(page.locator("#banner")).to_contain_text("The server does not answer")
    many = len(rows(page))
    page.get_by_label("Minimum score").fill("81")
    assert len(rows(page)) < many
    page.get_by_role("link", name="History").click()
    expect(page.locator(".problem")).to_contain_text("The server does not answer.")
    page.context.set_offline(False)
    expect(page.locator("#banner")).to_be_empty()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".seen").first).to_be_visible()


def test_everything_by_keyboard(page: Page, horses: Path) -> None:
    expect(page.locator(".samples-note")).to_have_text("Seen just now by yolox-nano on this machine.")
    page.evaluate(BUSY)
    answer_dialog(page, lambda: page.keyboard.press("u"), horses)
    wait_for_result(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".object-row").nth(1)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#live")).to_have_text(OBJECT)
    for _ in range(9):
        page.keyboard.press("=")
    expect(page.get_by_label("Minimum score")).to_have_value("80")
    page.keyboard.press("l")
    expect(page.get_by_role("button", name="Names")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("?")
    panel = page.get_by_role("dialog", name="Keys")
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    _tab_to(page, "Download")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    with page.expect_download() as found:
        page.keyboard.press("Enter")
    assert "min_score=0.8" in found.value.url


def _tab_to(page: Page, name: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement?.textContent") == name:
            return
    raise AssertionError(f"Tab never reached {name}.")


def test_what_a_key_asks_for_is_not_talked_over(page: Page, horses: Path) -> None:
    name = look_at(page, horses)
    page.add_init_script(FIRST_KEY)
    page.goto(f"/r/{name}")
    expect(page.locator(".object-row").first).to_have_attribute("aria-selected", "true")
    page.evaluate("() => new Promise((later) => setTimeout(later, 500))")  # due after all that is due by then
    expect(page.locator("#live")).to_have_text(OBJECT)


def test_a_key_that_comes_before_the_first_place_is_obeyed(page: Page) -> None:
    held: list[Route] = []
    page.route("**/api/v1/palette", lambda route: held.append(route))  # noqa: PLW0108 - playwright marks it
    with page.expect_request("**/api/v1/palette"):
        page.goto("/history")
    page.keyboard.press("j")
    expect(page).to_have_url(re.compile("/jobs$"))
    held.pop().continue_()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_focused()


def test_single_letter_keys_can_be_switched_off(page: Page) -> None:
    page.keyboard.press("?")
    page.get_by_label("Use single-letter keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    expect(page).to_have_url(re.compile(r"/$"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_no_place_is_wider_than_the_window(
    open_page: Callable[..., Watch], horses: Path, width: int, scheme: str
) -> None:
    page = open_page(width=width, height=700, color_scheme=scheme).page
    look_at(page, horses)
    page.get_by_text("How this was done").click()
    assert _overhang(page) <= 0
    for place in PLACES:
        page.goto(place)
        page.wait_for_load_state("networkidle")
        assert _overhang(page) <= 0, place


def _overhang(page: Page) -> int:
    found: int = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    return found


def test_targets_are_large_enough_for_fingers(open_page: Callable[..., Watch], horses: Path) -> None:
    page = open_page(width=390, height=844, has_touch=True).page
    look_at(page, horses)
    small = page.evaluate(
        """() => [...document.querySelectorAll(
            "button:not(.link), select, input, summary, [role=option], .place-link")]
          .filter((node) => node.checkVisibility() && node.getBoundingClientRect().height < 43.5)
          .map((node) => node.outerHTML.slice(0, 90))"""
    )
    assert small == []


def test_every_control_has_a_name(open_page: Callable[..., Watch], horses: Path) -> None:
    page = open_page().page
    for place in (*PLACES, f"/r/{look_at(page, horses)}"):
        page.goto(place)
        page.wait_for_load_state("networkidle")
        session = page.context.new_cdp_session(page)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        nameless = [
            node
            for node in nodes
            if not node["ignored"]
            and node["role"]["value"]
            in {"button", "link", "slider", "textbox", "searchbox", "combobox", "radio"}
            and not node.get("name", {}).get("value", "").strip()
        ]
        assert nameless == [], place
        assert page.locator("h1").count() == 1
        assert page.locator("img:not([alt])").count() == 0


def test_nothing_moves_by_itself(open_page: Callable[..., Watch], horses: Path) -> None:
    for width in (390, 1440):
        watch = open_page(width=width, height=850)
        page = watch.page
        expect(page.locator(".samples-note")).to_have_text("Seen just now by yolox-nano on this machine.")
        assert watch.shifts() == []
        result = look_at(page, horses)
        for place in (f"/r/{result}", "/history", "/models"):
            page.goto(place)
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(300)
            assert watch.shifts() == [], place


def test_the_first_page_is_light_and_quick(open_page: Callable[..., Watch]) -> None:
    watch = open_page()
    page = watch.page
    page.wait_for_load_state("networkidle")
    sizes: list[tuple[str, int]] = page.evaluate(  # without what is fetched ahead for other places, later
        """() => {
          const stood = performance.getEntriesByType("navigation")[0].loadEventEnd;
          return performance.getEntries()
            .filter((entry) => "decodedBodySize" in entry && entry.startTime < stood + 990)
            .map((entry) => [entry.name, entry.decodedBodySize]);
        }"""
    )
    weight = sum(size for name, size in sizes if not re.search(r"\.(jpg|png|svg)$|/predict", name))
    assert weight < 150_000
    paints = []
    for _ in range(5):
        page.reload()
        page.wait_for_load_state("networkidle")
        entry = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
        paints.append(page.evaluate(entry))
    assert min(paints) < 500, "the best of five, because machines that run tests are busy"


def test_motion_can_be_reduced(open_page: Callable[..., Watch]) -> None:
    page = open_page(reduced_motion="reduce").page
    expect(page.locator(".samples-note")).to_have_text("Seen just now by yolox-nano on this machine.")
    moving = "() => document.getAnimations().filter((a) => a.effect.getComputedTiming().duration > 0).length"
    assert page.evaluate(moving) == 0
