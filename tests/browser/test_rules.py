"""The place of rules, with a receiver on the loopback; and the verdict of a pipeline on its result's page."""

import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.browser.serving import door_data, running_server
from tests.browser.steps import ask, download, look_at
from tests.rules.receiver import Inbox, receiving
from tests.serving.test_pipelines import BLUE, RED, png

from sightline.rules import signing

pytestmark = pytest.mark.browser

Opening = Callable[..., Page]


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    with receiving() as here:
        yield here


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, inbox: Inbox) -> Iterator[str]:
    """A server with the pipeline `door`, which may send to the receiver."""
    folder = tmp_path_factory.mktemp("rules")
    data = door_data(folder)
    options = ("--model", "door", "--set", f"fetch_allow={inbox.allow}")
    with running_server(data, folder / "log.txt", *options) as url:
        yield url


@pytest.mark.parametrize("width", [390, 1280])
def test_a_rule_is_made_tested_and_removed(opened: Opening, inbox: Inbox, width: int) -> None:
    inbox.messages.clear()
    page = opened("/rules", width=width)
    expect(page.get_by_text("There is no rule yet.")).to_be_visible()
    page.get_by_label("Label or verdict").fill("rider")
    page.get_by_label("Least score in %").fill("75")
    page.get_by_label("Webhook", exact=True).fill(inbox.url)
    page.get_by_role("button", name="Make the rule").click()
    card = page.get_by_role("article")
    expect(card).to_contain_text("When rider scores 75% or more in 3 of 5 captures of every camera")
    secret = page.locator(".rule-secret code").inner_text()
    assert secret.startswith("whsec_")
    card.get_by_role("button", name="Test").click()
    inbox.wait()
    headers, body = inbox.messages[0]
    assert signing.verify(secret, headers, body, now=float(headers["webhook-timestamp"]))
    row = page.get_by_role("row").filter(has_text=inbox.url)
    expect(row).to_contain_text("delivered", timeout=30_000)
    expect(row).to_contain_text("200 thank you")
    page.reload()
    expect(page.get_by_role("article")).to_be_visible()
    assert secret not in page.content(), "a secret is shown once"
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("There is no rule yet.")).to_be_visible()


def test_a_delivery_that_failed_is_tried_again_by_hand(opened: Opening, place: str, inbox: Inbox) -> None:
    inbox.messages.clear()
    inbox.statuses[:] = [410]
    page = opened("/rules")
    page.get_by_label("Label or verdict").fill("human")
    page.get_by_label("Webhook", exact=True).fill(inbox.url)
    page.get_by_role("button", name="Make the rule").press("Enter")
    page.get_by_role("article").get_by_role("button", name="Test").press("Enter")
    row = page.get_by_role("row").filter(has_text=inbox.url)
    expect(row).to_contain_text("failed", timeout=30_000)
    expect(row).to_contain_text("410 not now")
    row.get_by_role("button", name="Try again").press("Enter")
    expect(row).to_contain_text("delivered", timeout=30_000)
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("article")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    ("label", "value", "words"),
    [
        ("Webhook", "http://10.0.0.1/hook", "not on the public internet"),
        ("Webhook", "example.org", "such as https://example.org/hook"),
        ("E-mail", "jo@example.org", "mail_server"),
        ("E-mail", "jo", "such as jo@example.org"),
        ("of the last", "2", "3 of 2 captures can never be"),
        ("Least score in %", "", "A number from 0 to 100"),
        ("Minutes of quiet then", "", "A number from 0 to 43,200"),
        ("Label or verdict", "", "This is needed"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    opened: Opening, width: int, label: str, value: str, words: str
) -> None:
    page = opened("/rules", width=width)
    expect(page.get_by_text("There is no rule yet.")).to_be_visible()
    page.get_by_label("Label or verdict").fill("rider")
    field = page.get_by_label(label, exact=True)
    field.fill(value)
    page.get_by_role("button", name="Make the rule").click()
    fault = page.locator(".field-fault")
    expect(fault).to_contain_text(words)
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(fault).to_be_in_viewport()
    assert page.evaluate(
        "a => a.nextElementSibling.className.includes('field-fault')", field.element_handle()
    )
    expect(page.get_by_role("article")).to_have_count(0)


def test_the_second_rule_begins_with_what_the_first_began_with(opened: Opening, place: str) -> None:
    page = opened("/rules")
    for count, what in enumerate(("rider", "human"), start=1):
        page.get_by_label("Label or verdict").fill(what)
        page.get_by_role("button", name="Make the rule").click()
        expect(page.get_by_role("article")).to_have_count(count)
        expect(page.get_by_label("Least score in %")).to_have_value("80")
        expect(page.get_by_label("In so many captures")).to_have_value("3")
        expect(page.get_by_label("of the last")).to_have_value("5")
        expect(page.get_by_label("Minutes of quiet then")).to_have_value("10")
        expect(page.get_by_label("Notification in browsers")).to_be_checked()
    rules = ask(f"{place}/api/v1/rules")["rules"]
    told = [(it["min_score"], it["hits"], it["of"], it["quiet_s"], len(it["actions"])) for it in rules]
    assert told == 2 * [(0.8, 3, 5, 600, 2)]
    for left in (1, 0):
        page.get_by_role("button", name="Remove").first.click()
        expect(page.get_by_role("article")).to_have_count(left)


def test_words_are_offered_and_a_strange_one_is_warned_of(opened: Opening) -> None:
    page = opened("/rules", width=390)
    page.get_by_label("Label or verdict").fill("unicorn")
    expect(page.locator("#new-words option[value=rider]").first).to_be_attached()
    page.get_by_role("button", name="Make the rule").click()
    expect(page.get_by_role("article")).to_contain_text("No model here says 'unicorn'")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("article")).to_have_count(0)


def test_a_notification_waits_while_no_page_wants_it(opened: Opening) -> None:
    page = opened("/rules", width=320)
    page.get_by_label("Label or verdict").fill("rider")
    page.get_by_role("button", name="Make the rule").click()
    page.get_by_role("button", name="Test").click()
    row = page.get_by_role("row").filter(has_text="Notification")
    expect(row).to_contain_text("waits for an open page")
    expect(row.get_by_role("button")).to_have_count(0)
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("article")).to_have_count(0)


def test_what_another_tab_removed_is_said_to_be_gone(opened: Opening, place: str) -> None:
    page, other = opened("/rules"), opened("/rules")
    page.get_by_label("Label or verdict").fill("rider")
    page.get_by_role("button", name="Make the rule").click()
    expect(page.get_by_role("article")).to_have_count(1)
    expect(other.get_by_role("article")).to_have_count(1, timeout=30_000)
    other.get_by_role("button", name="Remove").click()
    expect(other.get_by_role("article")).to_have_count(0)
    expect(page.get_by_role("article")).to_have_count(0, timeout=30_000)


@pytest.mark.parametrize(("colour", "title"), [(RED, "a rider in red"), (BLUE, "human")])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_verdict_is_on_the_picture_and_beside_it(
    opened: Opening, place: str, tmp_path: Path, width: int, colour: tuple[int, int, int], title: str
) -> None:
    (tmp_path / f"{title}.png").write_bytes(png(colour))
    page = opened("/", width=width)
    name = look_at(page, tmp_path / f"{title}.png")
    expect(page.locator(".verdict-chip")).to_have_text(title)
    box = page.get_by_role("region", name=title)
    expect(box.get_by_role("heading", name=title)).to_be_visible()
    expect(box).to_contain_text(re.compile(r"Seen\s*90%"))
    expect(box).to_contain_text(re.compile(r"Judged\s*[4-9]\d%"))
    expect(page.get_by_text("by a plain rule")).to_have_count(0)
    stage, chip = (page.locator(one).bounding_box() for one in (".stage", ".verdict-chip"))
    assert stage is not None
    assert chip is not None
    assert chip["x"] >= stage["x"] - 1
    assert chip["y"] + chip["height"] <= stage["y"] + stage["height"] + 1
    taken = download(page, "Picture with drawing")
    assert Path(taken.path()).read_bytes()[:2] in {b"\xff\xd8", b"\x89P"}
    with urllib.request.urlopen(f"{place}/api/v1/results/{name}", timeout=30) as answer:
        assert title.encode() in answer.read()
    page.goto("/history")
    expect(page.locator(".seen").first).to_contain_text(title)
