"""What people do, as short sentences."""

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Download, Page, expect


def choose(page: Page, *files: Path) -> None:
    """Choose files with the button."""
    answer_dialog(page, page.get_by_role("button", name="Choose pictures").click, *files)


def answer_dialog(page: Page, opening: Callable[[], object], *files: Path) -> None:
    """Choose files in the dialog that `opening` opens.

    A busy page takes a key before it hears that its dialogs are to be caught. So it is asked something first:
    its answer comes after that.
    """
    with page.expect_file_chooser() as chooser:
        page.evaluate("0")
        opening()
    chooser.value.set_files(list(files))


def look_at(page: Page, file: Path) -> str:
    """Choose one file and wait for its result; its id."""
    choose(page, file)
    return wait_for_result(page)


def wait_for_result(page: Page) -> str:
    """Wait for the result page; its id."""
    expect(page).to_have_url(re.compile(r"/r/[^/?]+"))
    expect(page.get_by_role("button", name="Download")).to_be_visible()
    return re.split(r"[/?]", page.url.partition("/r/")[2])[0]


def rows(page: Page) -> list[str]:
    """The listed objects as they are read out: "dog, 93%, bottom left"."""
    parts = ".object-label, .object-score, .unseen"
    return [", ".join(row.locator(parts).all_inner_texts()) for row in page.locator(".object-row").all()]


def set_threshold(page: Page, percent: int) -> None:
    """Move the slider."""
    page.get_by_label("Minimum score").fill(str(percent))


def download(page: Page, entry: str) -> Download:
    """Take an entry of the download menu."""
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as found:
        page.locator(".menu-list").get_by_text(entry, exact=True).click()
    return found.value


def ask(url: str) -> Any:
    """The JSON at an address, asked without the browser."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def remove_all(url: str, kind: str) -> None:
    """Delete all `watches`, or all of another such kind, of the server at this address."""
    for one in ask(f"{url}/api/v1/{kind}")[kind]:
        gone = urllib.request.Request(f"{url}/api/v1/{kind}/{one['id']}", method="DELETE")
        urllib.request.urlopen(gone, timeout=30).close()
