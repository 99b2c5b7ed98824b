"""What the pages of other jobs show: an evaluation, an import, a training run as it goes, a video."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.browser.serving import running_server
from tests.browser.test_jobs import place, state, visit
from tests.browser.watch import Watch
from tests.web import tiny
from tests.web.test_whole_jobs import colours, zipped

from sightline.jobs.ledger import Ledger
from sightline.registry import Registry
from sightline.settings import Settings, load_settings
from sightline.storage.job_kept import Item

__all__ = ["place", "visit"]
pytestmark = pytest.mark.browser
JOB = re.compile("/jobs/[0-9a-f]{32}$")


@pytest.mark.parametrize("width", [390, 1280])
def test_a_model_is_judged_from_the_page(visit: Callable[..., Page], tmp_path: Path, width: int) -> None:
    (tmp_path / "labelled.zip").write_bytes(colours())
    page = visit(width=width)
    page.get_by_text("Other work").click()
    page.get_by_label("Which one").select_option("colours")
    page.locator("#other-judge-picker").set_input_files(tmp_path / "labelled.zip")
    expect(page).to_have_url(JOB, timeout=60_000)
    state(page, "Done")
    expect(page.locator("h1")).to_have_text("An evaluation: labelled.zip")
    result = page.get_by_role("region", name="What came out")
    expect(result).to_contain_text("colours@1 on set, 6 pictures")
    row = result.get_by_role("row").filter(has_text="top1")
    expect(row).to_contain_text(re.compile(r"\d+\.\d%\s*\d+\.\d% to \d+\.\d%"))
    result.locator("summary").filter(has_text="What was taken for what").click()
    expect(result.get_by_role("region", name="What was taken for what").get_by_role("row")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=tmp_path / "evaluation.png", full_page=True)


def test_a_model_is_taken_in_from_the_page(
    visit: Callable[..., Page], place: tuple[str, Settings], tmp_path: Path
) -> None:
    bundle = Registry(place[1]).find("colours")
    files = {
        "model.onnx": bundle.model_path.read_bytes(),
        "model.json": bundle.manifest.model_dump_json().encode(),
    }
    (tmp_path / "net.zip").write_bytes(zipped(files))
    page = visit()
    page.get_by_text("Other work").click()
    page.get_by_label("What it shall be called").fill("nets")
    page.locator("#other-import-picker").set_input_files(tmp_path / "net.zip")
    expect(page).to_have_url(JOB, timeout=60_000)
    state(page, "Done")
    result = page.get_by_role("region", name="What came out")
    result.get_by_role("link", name="nets@1").click()
    expect(page.get_by_role("article", name="nets")).to_be_visible()


def test_a_file_that_is_no_model_says_why(visit: Callable[..., Page], tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x80\x04 a pickle")
    page = visit()
    page.get_by_text("Other work").click()
    page.locator("#other-import-picker").set_input_files(tmp_path / "net.onnx")
    expect(page).to_have_url(JOB, timeout=60_000)
    state(page, "Failed")
    expect(page.get_by_role("alert")).to_contain_text("Python pickle")


def test_a_video_becomes_a_film_with_counts(visit: Callable[..., Page], tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV (the extra `video`) is not installed.")
    path = tmp_path / "street.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    for shade in range(8):
        writer.write(np.full((48, 64, 3), 20 * shade, np.uint8))
    writer.release()
    page = visit("/")  # dropped on Look it becomes a job all the same
    page.locator("#picker").set_input_files(path)
    expect(page).to_have_url(JOB, timeout=60_000)
    state(page, "Done")
    expect(page.locator("h1")).to_contain_text("A video")
    result = page.get_by_role("region", name="What came out")
    expect(result.locator("video")).to_have_js_property("readyState", 4, timeout=30_000)
    expect(result).to_contain_text("Distinct objects")
    expect(result).to_contain_text("8 frames were looked at")
    with page.expect_download() as found:
        result.get_by_role("link", name=re.compile("street.csv")).click()
    assert found.value.suggested_filename == "street.csv"
    expect(page.locator(".job-cell")).to_have_count(0)


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Settings]]:
    """A server on whose jobs nobody works but the test."""
    folder = tmp_path_factory.mktemp("idle")
    settings = load_settings({"data_dir": str(folder / "data"), "disk_reserve_mb": 0}, environment={})
    tiny.install(settings, folder / "bundles")
    options = ("--model", "tiny", "--set", "workers=0")
    with running_server(folder / "data", folder / "log.txt", *options) as url:
        yield url, settings


def test_a_training_run_shows_its_epochs_as_they_come(chromium: Browser, idle: tuple[str, Settings]) -> None:
    url, settings = idle
    with Ledger.open(settings) as ledger:
        job = ledger.submit("train", {"recipe": "toy"})
        claim = ledger.claim("the test", ["train"], job.id)
        assert claim is not None

        def epoch(number: int) -> None:
            record = {
                "number": number,
                "epochs": 2,
                "loss": {"box": 0.5 / number},
                "metrics": {"ap50": 0.1 * number},
            }
            record |= {"pictures_per_s": 12.0, "seconds": 3.0, "rate": 0.01}
            item = Item(job.id, number - 1, f"epoch {number}", "done", result=record)
            ledger.put_items(claim, [item])
            ledger.progress(claim, number, 2)

        context = chromium.new_context(base_url=url, viewport={"width": 390, "height": 800}, locale="en-GB")
        watch = Watch(context.new_page())
        page = watch.page
        page.goto(f"/jobs/{job.id}")
        state(page, "Running")
        epoch(1)
        rows = page.get_by_role("region", name="Epochs").last.get_by_role("row")
        expect(rows).to_have_count(2, timeout=30_000)
        epoch(2)
        expect(rows).to_have_count(3, timeout=30_000)
        expect(rows.nth(1)).to_contain_text("2 of 2")
        expect(rows.nth(1)).to_contain_text("0.25")
        ledger.finish(claim, {"epochs": 2, "model": "toy@1", "log": []})
        state(page, "Done")
        expect(page.get_by_role("link", name="toy@1")).to_have_attribute("href", "/models#toy")
        page.reload()
        expect(rows).to_have_count(3)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert watch.complaints == []
        context.close()


def test_a_video_that_begins_again_says_so(chromium: Browser, idle: tuple[str, Settings]) -> None:
    url, settings = idle
    with Ledger.open(settings) as ledger:
        job = ledger.submit("video", {"model": "tiny"})
        first = ledger.claim("one", ["video"], job.id)
        assert first is not None
        page = chromium.new_context(base_url=url, locale="en-GB").new_page()
        page.goto(f"/jobs/{job.id}")
        state(page, "Running")
        words = page.get_by_text("who is who follows from all frames before")
        expect(words).to_be_hidden()
        ledger.fail(first, {"code": "broke", "message": "It broke.", "next_step": "-"}, retry=True)
        until = time.monotonic() + 120
        while (second := ledger.claim("two", ["video"], job.id)) is None and time.monotonic() < until:
            time.sleep(0.1)  # a pause lies between two attempts
        assert second is not None
        expect(words).to_be_visible(timeout=30_000)
        ledger.cancel(job.id)
        page.context.close()
