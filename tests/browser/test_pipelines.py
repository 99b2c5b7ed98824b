"""The place of pipelines: composed, tried, kept, changed and removed by people; wrong input has its words."""

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.serving import running_server
from tests.browser.steps import answer_dialog, ask
from tests.serving.test_pipelines import BLUE, RED, png
from tests.web import tiny

from sightline.settings import load_settings

pytestmark = pytest.mark.browser

Opening = Callable[..., Page]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a detector of fixed boxes and a classifier of colours."""
    folder = tmp_path_factory.mktemp("pipelines")
    settings = load_settings({"data_dir": str(folder / "data")}, environment={})
    tiny.install(settings, folder / "bundles")
    tiny.install_zoo(settings, folder / "bundles")
    with running_server(folder / "data", folder / "log.txt", "--model", "tiny") as url:
        yield url


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, Path]:
    """Somebody in red, somebody in blue."""
    made = {"red": tmp_path / "red.png", "blue": tmp_path / "blue.png"}
    made["red"].write_bytes(png(RED))
    made["blue"].write_bytes(png(BLUE))
    return made


def remove(place: str, name: str) -> None:
    request = urllib.request.Request(f"{place}/api/v1/pipelines/{name}", method="DELETE")
    urllib.request.urlopen(request, timeout=30).close()


def begin(page: Page, title: str) -> None:
    """What every pipeline of these tests begins with: `tiny` finds persons."""
    expect(page.get_by_label("Title")).to_be_visible()
    page.get_by_label("Title").fill(title)
    page.get_by_label("Model that looks at the whole picture").select_option("tiny")
    page.get_by_role("combobox", name="What goes on to the second stage").fill("person")
    page.get_by_role("combobox", name="What goes on to the second stage").press("Enter")


def fill_in(page: Page, title: str) -> None:
    """A whole one: red is a rider, blue is a human, green is nothing."""
    begin(page, title)
    page.get_by_label("Classifier", exact=True).select_option("colours")
    for colour, verdict in (("red", "rider"), ("blue", "human")):
        page.get_by_label(f"Verdict for {colour}").fill(verdict)
    page.get_by_role("button", name="Remove green").click()
    row = page.locator(".verdict-row").filter(has_text="rider")
    row.get_by_label("Sure from %").fill("40")
    row.get_by_label("Words for people").fill("somebody in red")
    page.locator(".verdict-row").filter(has_text="human").get_by_label("Sure from %").fill("40")


def with_picture(page: Page, file: Path) -> None:
    answer_dialog(page, page.get_by_role("button", name="Choose a picture").click, file)


@pytest.mark.parametrize("width", [390, 1280])
def test_one_is_composed_tried_kept_and_removed(
    opened: Opening, place: str, pictures: dict[str, Path], width: int
) -> None:
    page = opened("/pipelines", width=width)
    page.get_by_role("link", name="Compose a pipeline").click()
    fill_in(page, f"Riders in red {width}")
    name = f"riders-in-red-{width}"
    expect(page.get_by_label("Name", exact=True)).to_have_value(name)
    expect(page.get_by_text("This can be kept.")).to_be_visible()
    text = page.get_by_label("The text of the file")
    expect(text).to_contain_text(f'name = "{name}"')
    expect(text).to_contain_text('red = "rider"')
    expect(text).to_contain_text('order = ["rider", "human"]')
    with_picture(page, pictures["red"])
    trial = page.get_by_role("region", name="Try it")
    expect(trial.get_by_role("heading", name="somebody in red")).to_be_visible()
    expect(trial.locator(".verdict-chip")).to_have_text("somebody in red")
    with_picture(page, pictures["blue"])
    expect(trial.locator(".verdict-chip")).to_have_text("human")
    assert [one["name"] for one in ask(f"{place}/api/v1/pipelines")["pipelines"]] == ["visitors"]
    page.get_by_role("button", name="Keep it").click()
    card = page.get_by_role("article", name=f"Riders in red {width}")
    expect(card).to_contain_text("tiny finds person")
    expect(card).to_contain_text("colours judges each of them")
    sure = ask(f"{place}/api/v1/pipelines/{name}")["pipeline"]["second"]["sure"]
    assert sure == {"rider": 0.4, "human": 0.4}
    with page.expect_download() as found:
        card.get_by_role("link", name="Download").click()
    assert found.value.suggested_filename == f"{name}-1.zip"
    card.get_by_role("button", name="Remove").click()
    card.get_by_role("button", name="Keep").click()
    card.get_by_role("button", name="Remove").click()
    card.get_by_role("button", name="Delete for good?").click()
    expect(card).to_have_count(0)
    expect(page.get_by_role("article", name="Visitors at the door")).to_be_visible()
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)


def test_wrong_input_has_its_words_at_the_field(opened: Opening) -> None:
    page = opened("/pipelines/new")
    page.get_by_label("Title").wait_for()
    expect(page.get_by_text("things are missing or off")).to_be_visible()
    expect(page.locator("[aria-invalid]")).to_have_count(0)  # nobody has typed yet
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator("[aria-invalid]").first).to_be_focused()
    begin(page, "Off")
    labels = page.get_by_role("combobox", name="What goes on to the second stage")
    labels.fill("persno")
    labels.press("Enter")
    labels.blur()
    expect(page.locator(".field-fault").filter(has_text="no label 'persno'")).to_contain_text(
        "Did you mean person"
    )
    assert labels.get_attribute("aria-describedby") == page.locator(".field-fault").filter(
        has_text="persno"
    ).get_attribute("id")
    page.get_by_role("button", name="Remove persno").click()
    expect(page.locator(".field-fault").filter(has_text="persno")).to_have_count(0)
    page.get_by_label("Name", exact=True).fill("Not A Name")
    expect(page.locator(".field-fault").filter(has_text="lower-case letters")).to_be_visible()
    page.get_by_label("Classifier", exact=True).select_option("colours")
    page.get_by_label("There from %").fill("20")
    page.get_by_label("Not sure from %").fill("60")
    page.get_by_label("Not sure from %").blur()
    expect(page.locator(".field-fault").filter(has_text="must not be above")).to_be_visible()
    expect(page).to_have_url(re.compile("/pipelines/new$"))


def test_a_rule_is_composed_and_replaced_by_a_classifier(opened: Opening, place: str) -> None:
    page = opened("/pipelines/new")
    begin(page, "Dog walkers")
    page.get_by_label("A plain rule").check()
    page.get_by_label("Verdict when the signs are there").fill("walker")
    page.get_by_label("Verdict when they are not").fill("alone")
    page.get_by_role("combobox", name="A thing of these labels").fill("dog")
    page.get_by_role("combobox", name="A thing of these labels").press("Enter")
    expect(page.get_by_text("Without any sign the score is 12%")).to_be_visible()
    page.get_by_role("button", name="Add a sign").click()
    page.get_by_role("button", name="Remove this sign").last.click()
    expect(page.get_by_text("This can be kept.")).to_be_visible()
    page.get_by_role("button", name="alone: one up").press("Enter")
    expect(page.get_by_label("The text of the file")).to_contain_text('order = ["alone", "walker"]')
    page.get_by_role("button", name="Keep it").click()
    card = page.get_by_role("article", name="Dog walkers")
    expect(card).to_contain_text("a plain rule over what stands around")
    try:
        card.get_by_text("Another second stage").click()
        card.get_by_label("Verdict for red").select_option("walker")
        card.get_by_role("button", name="Put it in").click()
        expect(card.get_by_role("alert")).to_contain_text("stands for the verdict 'alone'")
        card.get_by_label("Verdict for blue").select_option("alone")
        card.get_by_role("button", name="Put it in").click()
        expect(card).to_contain_text("colours judges each of them")
        expect(card).to_contain_text("dog-walkers@2")
        told = ask(f"{place}/api/v1/pipelines/dog-walkers")["pipeline"]["second"]["verdicts"]
        assert told == {"red": "walker", "green": "walker", "blue": "alone"}
    finally:
        remove(place, "dog-walkers")


@pytest.mark.parametrize("width", [390, 1280])
def test_another_second_stage_may_have_many_labels(opened: Opening, place: str, width: int) -> None:
    page = opened("/pipelines/new", width=width)
    fill_in(page, "Riders in red")
    page.get_by_role("button", name="Keep it").click()
    try:
        card = page.get_by_role("article", name="Riders in red")
        card.get_by_text("Another second stage").click()
        expect(card.locator(".mapping-row")).to_have_count(3)
        expect(card.get_by_label("Find a label")).to_be_hidden()
        card.get_by_label("Classifier", exact=True).select_option("zoo")
        expect(card.locator(".mapping-row")).to_have_count(30)
        expect(card.get_by_role("status")).to_have_text(re.compile("The first 30 of 120 labels"))
        card.get_by_label("Find a label").fill("L 119")
        expect(card.locator(".mapping-row")).to_have_count(1)
        card.get_by_label("Verdict for animal 119").select_option("rider")
        card.get_by_label("Find a label").fill("giraffe")
        expect(card.get_by_role("status")).to_have_text("No label is called like that.")
        card.get_by_label("Find a label").fill("")
        expect(card.locator(".mapping-row").first).to_contain_text("animal 119")
        card.get_by_role("button", name="Put it in").click()
        expect(card).to_contain_text("zoo judges each of them")
        told = ask(f"{place}/api/v1/pipelines/riders-in-red")["pipeline"]["second"]["verdicts"]
        assert {label for label, verdict in told.items() if verdict == "rider"} == {"animal 119"}
        assert len(told) == 120
    finally:
        remove(place, "riders-in-red")


def test_a_copy_of_visitors_says_the_same_as_visitors(opened: Opening, place: str) -> None:
    page = opened("/pipelines")
    page.get_by_role("article", name="Visitors at the door").get_by_role("link", name="Edit a copy").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("visitors-copy")
    expect(page.get_by_text("This can be kept.")).to_be_visible()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("article")).to_have_count(2)
    try:
        copy, shipped = (ask(f"{place}/api/v1/pipelines/{name}") for name in ("visitors-copy", "visitors"))
        assert _without_order(copy) == _without_order(shipped)
        assert copy["pipeline"]["verdicts"]["order"] == shipped["pipeline"]["verdicts"]["order"]
        again = opened("/pipelines/new?copy=visitors-copy")
        again.get_by_label("Name", exact=True).fill("visitors-copy")
        expect(again.get_by_text("There is a pipeline visitors-copy already.")).to_be_visible()
    finally:
        remove(place, "visitors-copy")


def _without_order(detail: dict[str, Any]) -> dict[str, Any]:
    fields = json.loads(json.dumps(detail["pipeline"]))
    del fields["name"], fields["verdicts"]["order"]
    found: dict[str, Any] = fields
    return found


def test_what_another_tab_removed_is_said_to_be_gone(opened: Opening, place: str) -> None:
    page = opened("/pipelines/new?copy=visitors")
    expect(page.get_by_text("This can be kept.")).to_be_visible()
    page.get_by_role("button", name="Keep it").click()
    card = page.get_by_role("article").filter(has_text="visitors-copy@1")
    expect(card).to_be_visible()
    remove(place, "visitors-copy")
    card.get_by_role("button", name="Remove").click()
    card.get_by_role("button", name="Delete for good?").click()
    expect(page.get_by_role("alert").filter(has_text="no model 'visitors-copy'")).to_be_visible()
    expect(card).to_have_count(0)
    page.goto("/pipelines/new?copy=visitors-copy")
    expect(page.get_by_role("alert").filter(has_text="no model 'visitors-copy'")).to_be_visible()


def test_a_server_that_stops_loses_nothing_that_was_typed(
    chromium: Browser, tmp_path: Path, pictures: dict[str, Path]
) -> None:
    tiny.install(load_settings({"data_dir": str(tmp_path / "data")}, environment={}), tmp_path / "bundles")
    with running_server(tmp_path / "data", tmp_path / "log.txt", "--model", "tiny") as url:
        page = chromium.new_context(base_url=url, locale="en-GB").new_page()
        page.goto("/pipelines/new")
        fill_in(page, "Left alone")
        expect(page.get_by_text("This can be kept.")).to_be_visible()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("alert").filter(has_text="The server does not answer.").first).to_be_visible()
    with_picture(page, pictures["red"])
    expect(page.get_by_role("region", name="Try it")).to_contain_text("The server does not answer.")
    expect(page.get_by_label("Title")).to_have_value("Left alone")
    expect(page.get_by_label("Verdict for red")).to_have_value("rider")
    page.context.close()
