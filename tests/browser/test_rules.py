"""The place of rules, with a receiver on the loopback; and the verdict of a pipeline on its result's page."""

import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.serving import running_server
from tests.browser.steps import download, look_at
from tests.browser.watch import Watch
from tests.rules.receiver import Inbox, receiving
from tests.serving.test_pipelines import BLUE, DOOR, RED, png
from tests.web import tiny

from sightline.registry import Registry
from sightline.rules import signing
from sightline.serving.pipelines import import_pipeline
from sightline.settings import load_settings

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
    settings = load_settings({"data_dir": str(folder / "data")}, environment={})
    tiny.install(settings, folder / "bundles")
    (folder / "door.toml").write_text(DOOR)
    import_pipeline(folder / "door.toml", Registry(settings))
    options = ("--model", "door", "--set", f"fetch_allow={inbox.allow}")
    with running_server(folder / "data", folder / "log.txt", *options) as url:
        yield url


@pytest.fixture
def opened(chromium: Browser, place: str) -> Iterator[Opening]:
    """Opens watched pages of that server."""
    watches: list[tuple[Watch, int]] = []

    def make(path: str, *, width: int = 1280) -> Page:
        context = chromium.new_context(
            base_url=place, viewport={"width": width, "height": 900}, locale="en-GB"
        )
        watches.append((Watch(context.new_page()), width))
        watches[-1][0].page.goto(path)
        return watches[-1][0].page

    yield make
    for watch, width in watches:
        assert watch.complaints == []
        assert watch.hosts() == {place.removeprefix("http://")}
        assert watch.page.evaluate("document.documentElement.scrollWidth") <= width
        watch.page.context.close()


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


@pytest.mark.parametrize(
    ("label", "value", "words"),
    [
        ("Webhook", "http://10.0.0.1/hook", "not on the public internet"),
        ("E-mail", "jo@example.org", "mail_server"),
        ("of the last", "2", "can never be"),
    ],
)
def test_wrong_input_is_said_in_words(opened: Opening, label: str, value: str, words: str) -> None:
    page = opened("/rules")
    expect(page.get_by_text("There is no rule yet.")).to_be_visible()
    page.get_by_label("Label or verdict").fill("rider")
    page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Make the rule").click()
    expect(page.locator(".problem")).to_contain_text(words)
    expect(page.get_by_label("Label or verdict")).to_have_value("rider")
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
