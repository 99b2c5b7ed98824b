"""Upload -> result -> filter -> download, and the other ways in."""

import base64
import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Page, Route, expect
from tests.browser.steps import ask, choose, download, look_at, rows, set_threshold, wait_for_result
from tests.browser.watch import Watch

pytestmark = pytest.mark.browser


def test_the_page_shows_what_the_api_says(page: Page, address: str, horses: Path) -> None:
    result = ask(f"{address}/api/v1/results/{look_at(page, horses)}")
    expected = [item for item in result["predictions"] if item["score"] >= result["min_score"]]
    shown = rows(page)
    assert [row.split(", ")[:2] for row in shown] == [
        [item["label"], f"{round(item['score'] * 100)}%"] for item in expected
    ]
    assert page.locator(".stage-boxes .object").count() == len(expected)
    expect(page.locator(".result-sentence")).to_have_text("2 horses, 2 people")


def test_boxes_lie_where_the_numbers_say(page: Page, address: str, horses: Path) -> None:
    result = ask(f"{address}/api/v1/results/{look_at(page, horses)}")
    picture = page.locator(".stage-image").bounding_box()
    assert picture is not None
    scale = picture["width"] / result["image"]["width"]
    for item in result["predictions"]:
        if item["score"] < result["min_score"]:
            continue
        shape = page.locator(
            f'.object[data-index="{result["predictions"].index(item)}"] .halo'
        ).bounding_box()
        assert shape is not None
        assert shape["x"] == pytest.approx(picture["x"] + item["box"]["x1"] * scale, abs=4)
        assert shape["y"] == pytest.approx(picture["y"] + item["box"]["y1"] * scale, abs=4)
        assert shape["width"] == pytest.approx((item["box"]["x2"] - item["box"]["x1"]) * scale, abs=7)


def test_filters_act_without_asking_the_server(watch: Watch, horses: Path) -> None:
    page = watch.page
    look_at(page, horses)
    page.wait_for_load_state("networkidle")
    before = watch.api_calls()
    many = len(rows(page))
    set_threshold(page, 5)
    assert len(rows(page)) > many
    set_threshold(page, 81)
    few = rows(page)
    assert 0 < len(few) < many
    set_threshold(page, 35)
    page.get_by_role("button", name="horse 2").click()
    assert all(row.startswith("person") for row in rows(page))
    expect(page.get_by_role("button", name="horse 2")).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Names").click()
    expect(page.locator(".chip")).to_have_count(0)
    page.get_by_role("button", name="Drawing").click()
    expect(page.locator(".stage-boxes")).to_have_css("visibility", "hidden")
    assert watch.api_calls() == before
    expect(page).to_have_url(re.compile("labels=person"))


def test_downloads_match_the_screen(page: Page, horses: Path, tmp_path: Path) -> None:
    look_at(page, horses)
    set_threshold(page, 79)
    page.get_by_role("button", name="person").click()
    shown = [row.split(", ")[0] for row in rows(page)]
    assert shown == ["horse", "horse"]

    taken = {name: download(page, name) for name in ("JSON", "CSV table", "COCO", "YOLO", "Pascal VOC")}
    text = {name: Path(found.path()).read_text("utf-8") for name, found in taken.items()}
    assert [item["label"] for item in json.loads(text["JSON"])["predictions"]] == shown
    assert len(list(csv.DictReader(io.StringIO(text["CSV table"].lstrip("\ufeff"))))) == 2
    assert len(json.loads(text["COCO"])["annotations"]) == 2
    assert len(text["YOLO"].strip().splitlines()) == 2
    assert len(ET.fromstring(text["Pascal VOC"]).findall("object")) == 2

    drawn = download(page, "Picture with drawing")
    assert drawn.suggested_filename.endswith(".jpg")
    assert "min_score=0.79" in drawn.url
    assert "labels=horse" in drawn.url
    plain = download(page, "Picture alone")
    with Image.open(drawn.path()) as one, Image.open(plain.path()) as other:
        assert one.size == other.size == (640, 424)
        changed = (
            ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
            .convert("L")
            .point(lambda value: 255 * (value > 60))
        )
    box = changed.getbbox()
    assert box is not None
    assert box[0] > 150, "nothing is drawn where nothing was seen"


def test_rows_and_boxes_are_one(page: Page, horses: Path) -> None:
    look_at(page, horses)
    page.locator(".object-row").nth(2).hover()
    expect(page.locator(".object.active")).to_have_count(1)
    first = page.locator(".object").first
    index = first.get_attribute("data-index")
    first.locator(".halo").hover(position={"x": 3, "y": 3}, force=True)
    expect(page.locator(f"#object-{index}")).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_pictures_come_in_by(page: Page, way: str, horses: Path) -> None:
    page.evaluate(
        """([way, data]) => {
          const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "pasted.jpg", { type: "image/jpeg" }));
          const event = way === "paste"
            ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true })
            : new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true });
          document.body.dispatchEvent(event);
        }""",
        [way, base64.b64encode(horses.read_bytes()).decode()],
    )
    wait_for_result(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("pasted.jpg")
    assert rows(page)


def test_a_sample_opens_with_what_was_seen_in_it(page: Page) -> None:
    expect(page.locator(".samples-note")).to_have_text("Seen just now by yolox-nano on this machine.")
    assert page.locator(".sample .mini rect.box").count() > 6
    page.get_by_role("button", name="Look at: Riders on a beach. 2 horses, 2 people").click()
    wait_for_result(page)


def test_an_address_that_is_refused_says_why(page: Page) -> None:
    page.get_by_label("Address of a picture").fill("ftp://somewhere/cat.jpg")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="not a web address")).to_be_visible()
    page.get_by_label("Address of a picture").fill("http://127.0.0.1/cat.jpg")
    page.keyboard.press("Enter")
    problem = page.locator(".problem")
    expect(problem).to_contain_text("127.0.0.1")
    expect(problem).to_contain_text("Id for a report")
    page.get_by_role("button", name="Choose another picture").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What is in your picture?")


def test_what_is_no_picture_is_said_in_words(page: Page, tmp_path: Path) -> None:
    paper = tmp_path / "paper.pdf"
    paper.write_bytes(b"%PDF-1.7 not a picture")
    choose(page, paper)
    expect(page.locator(".problem")).to_contain_text("PDF")
    expect(page.get_by_role("button", name="Choose another picture")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_several_pictures_make_a_list(page: Page, samples: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 nothing more")
    look_at(page, samples / "coffee.jpg")
    page.get_by_role("link", name="Look", exact=True).click()
    choose(page, samples / "horses.jpg", samples / "cat.jpg", broken, samples / "buses.jpg")
    cards = page.locator(".batch-card")
    expect(cards).to_have_count(4)
    expect(page.locator(".batch-card a")).to_have_count(3)
    expect(cards.filter(has_text="broken.jpg").locator(".problem")).to_be_visible()
    page.get_by_role("link", name="cat.jpg").click()
    wait_for_result(page)
    first = page.url
    page.keyboard.press("ArrowRight")
    expect(page).not_to_have_url(first)
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(first)


def test_a_key_between_two_places_is_meant_for_the_one_that_comes(page: Page, samples: Path) -> None:
    look_at(page, samples / "coffee.jpg")
    page.get_by_role("link", name="Look", exact=True).click()
    look_at(page, samples / "cat.jpg")
    first = page.url
    page.evaluate("""() => {
        const push = history.pushState;
        history.pushState = (...words) => {
            history.pushState = push;
            push.apply(history, words);
            const key = new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true, cancelable: true });
            queueMicrotask(() => document.body.dispatchEvent(key)); // the old place is left by then
        };
    }""")
    with page.expect_event("framenavigated", lambda frame: frame.url != first):
        page.keyboard.press("ArrowRight")
    expect(page).to_have_url(first)


def test_opening_one_of_many_does_not_cost_the_others(page: Page, samples: Path) -> None:
    names = ("horses.jpg", "cat.jpg", "buses.jpg", "coffee.jpg", "astronaut.jpg")
    choose(page, *(samples / name for name in names))
    page.locator(".batch-card a").first.click()
    wait_for_result(page)
    page.go_back()
    expect(page.locator(".batch-card")).to_have_count(5)
    expect(page.locator(".batch-card a")).to_have_count(5)
    page.get_by_role("button", name="Clear this list").click()
    page.reload()
    expect(page.locator(".batch-card")).to_have_count(0)


def test_a_list_keeps_the_model_that_it_began_with_and_says_so(page: Page, samples: Path) -> None:
    held: list[Route] = []
    asked: list[str] = []

    def hold(route: Route) -> None:
        if "store=true" not in route.request.url:  # a sample
            route.continue_()
            return
        asked.append(route.request.url)
        if len(asked) <= 2:
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/v1/predict?*", hold)
    title = page.locator(".picker-name")
    expect(title).not_to_have_text("…")
    before = title.inner_text()
    choose(page, *(samples / f"{name}.jpg" for name in ("horses", "cat", "buses", "coffee")))
    expect(page.locator(".batch-with")).to_contain_text(f"All looked at with {before}")
    while len(held) < 2:
        page.wait_for_timeout(50)
    page.locator(".picker-line").click()
    page.locator(".picker-choice input:not(:checked)").first.check()
    expect(title).not_to_have_text(before)
    expect(page.locator(".batch-with")).to_contain_text(before)
    for route in held:
        route.continue_()
    expect(page.locator(".batch-card a")).to_have_count(4)
    assert len(asked) == 4
    assert len({re.findall(r"[?&]model=([^&]*)", url)[0] for url in asked}) == 1


def test_previews_of_a_list_are_given_back(page: Page, samples: Path) -> None:
    page.evaluate(
        """() => {
            window.held = new Set();
            const { createObjectURL, revokeObjectURL } = URL;
            URL.createObjectURL = (file) => {
                const url = createObjectURL.call(URL, file);
                window.held.add(url);
                return url;
            };
            URL.revokeObjectURL = (url) => {
                window.held.delete(url);
                revokeObjectURL.call(URL, url);
            };
        }"""
    )
    for names in (("horses", "cat"), ("buses", "coffee", "astronaut")):
        choose(page, *(samples / f"{name}.jpg" for name in names))
        expect(page.locator(".batch-card")).to_have_count(len(names))
        assert page.evaluate("window.held.size") == len(names)
    page.get_by_role("button", name="Clear this list").click()
    assert page.evaluate("window.held.size") == 0


def test_odd_addresses_are_answered_in_words(page: Page) -> None:
    field = page.get_by_role("textbox").first
    field.fill("http://[x")
    field.press("Enter")
    expect(page.locator(".address-wrong")).not_to_be_empty()


def test_nothing_found_offers_the_best_guess(page: Page, horses: Path) -> None:
    look_at(page, horses)
    set_threshold(page, 100)
    expect(page.locator(".nothing")).to_contain_text("The best guess is horse")
    page.get_by_role("button", name="Show down to").click()
    assert len(rows(page)) == 1


def test_a_link_keeps_the_filter(open_page: Callable[..., Watch], horses: Path) -> None:
    page = open_page().page
    name = look_at(page, horses)
    again = open_page(f"/r/{name}?min=80&labels=horse").page
    expect(again.locator(".object-row")).to_have_count(2)
    expect(again.get_by_label("Minimum score")).to_have_value("80")


def test_copies_are_commands_that_work(open_page: Callable[..., Watch], address: str, horses: Path) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"]).page
    look_at(page, horses)
    for entry in ("curl command", "Python"):
        page.get_by_role("button", name="Copy").click()
        page.get_by_role("button", name=entry).click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        expect(page.get_by_role("button", name="Copied")).to_have_count(0)
    code = page.evaluate("() => navigator.clipboard.readText()")
    assert f"{address}/api/v1/predict?min_score=0.35&model=yolox-nano" in code
    printed: list[str] = []
    space = {"print": lambda *words: printed.append(str(words[0]))}
    exec(compile(code.replace('"horses.jpg"', repr(str(horses))), "copied.py", "exec"), space)
    assert sorted(printed) == ["horse", "horse", "person", "person"]
