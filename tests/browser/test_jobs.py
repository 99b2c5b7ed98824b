"""The Jobs place with a real server and a real worker: start, watch, open, take away, retry, cancel."""

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.browser.serving import running_server
from tests.browser.steps import choose
from tests.browser.watch import Watch
from tests.web import tiny

from sightline.jobs.ledger import Ledger
from sightline.settings import Settings, load_settings
from sightline.storage.job_kept import Claim, Item

pytestmark = pytest.mark.browser

MANY = 10_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Settings]]:
    """A server with a worker and small models, and the settings of its data."""
    folder = tmp_path_factory.mktemp("jobs")
    settings = load_settings({"data_dir": str(folder / "data"), "disk_reserve_mb": 0}, environment={})
    tiny.install(settings, folder / "bundles")
    with running_server(folder / "data", folder / "log.txt", "--model", "tiny") as url:
        yield url, settings


@pytest.fixture
def ledger(place: tuple[str, Settings]) -> Iterator[Ledger]:
    """The jobs of that server, as another worker sees them."""
    with Ledger.open(place[1]) as opened:
        yield opened


@pytest.fixture
def visit(chromium: Browser, place: tuple[str, Settings]) -> Iterator[Callable[..., Page]]:
    """Opens watched pages of that server and checks at the end that they behaved."""
    watches: list[Watch] = []

    def open_one(path: str = "/jobs", *, width: int = 1280, height: int = 800) -> Page:
        context = chromium.new_context(
            base_url=place[0], viewport={"width": width, "height": height}, locale="en-GB"
        )
        watches.append(Watch(context.new_page()))
        watches[-1].page.goto(path)
        return watches[-1].page

    yield open_one
    for watch in watches:
        assert watch.complaints == []
        watch.page.context.close()


@pytest.fixture
def folder(tmp_path: Path, samples: Path) -> Path:
    """Five pictures, one of them broken, in two folders, with something else beside them."""
    root = tmp_path / "holiday"
    (root / "day 2").mkdir(parents=True)
    for name in ("photo-10.jpg", "photo-2.jpg", "photo-1.jpg", "day 2/photo-3.jpg"):
        (root / name).write_bytes((samples / "cat.jpg").read_bytes())
    (root / "photo-4.jpg").write_bytes(b"\xff\xd8\xff cut off")
    (root / "notes.txt").write_text("not a picture")
    return root


def state(page: Page, words: str) -> None:
    expect(page.locator(".job-title .job-state")).to_have_text(words, timeout=120_000)


def job_of(ledger: Ledger, kind: str = "test.nobody", total: int = 3) -> str:
    """A job that the server's own worker does not take."""
    return ledger.submit(kind, {"model": "tiny"}, total=total).id


def claimed(ledger: Ledger, job_id: str, kind: str = "test.nobody") -> Claim:
    found = ledger.claim("the test", [kind], job_id)
    assert found is not None
    return found


def test_a_folder_becomes_a_job_from_beginning_to_end(
    visit: Callable[..., Page], folder: Path, tmp_path: Path
) -> None:
    page = visit()
    page.locator("#folder-picker").set_input_files(folder)
    expect(page).to_have_url(re.compile("/jobs/[0-9a-f]{32}$"), timeout=30_000)
    state(page, "Done, some failed")
    expect(page.locator("h1")).to_have_text("holiday, 5 pictures")
    expect(page.locator(".job-progress-words")).to_contain_text(
        re.compile(r"5 of 5 · .+ pictures a second · 1 failed")
    )
    names = page.locator(".job-source")
    expect(names).to_have_text(
        [f"holiday/{name}" for name in ("day 2/photo-3.jpg", "photo-1.jpg", "photo-2.jpg")]
        + ["holiday/photo-4.jpg", "holiday/photo-10.jpg"]
    )
    expect(page.locator(".job-found").first).to_have_text("person, dog")
    expect(page.locator(".job-picture img")).to_have_count(4)
    page.get_by_role("button", name="Failed (1)").click()
    expect(page.locator(".job-failures li")).to_contain_text("holiday/photo-4.jpg")
    expect(page.locator(".job-failures li")).to_contain_text("damaged")
    page.get_by_role("button", name="All pictures").click()
    _take_all(page, tmp_path)
    _open_one(page)
    _remove(page)


def _take_all(page: Page, tmp_path: Path) -> None:
    for entry, ending in (
        ("Everything, as a zip", "zip"),
        ("CSV table", "csv"),
        ("COCO", "json"),
        ("JSON lines", "jsonl"),
    ):
        page.get_by_role("button", name="Download").click()
        with page.expect_download() as found:
            page.locator(".menu-list").get_by_text(entry, exact=True).click()
        file = tmp_path / f"all.{ending}"
        found.value.save_as(file)
        assert file.stat().st_size > 100
        assert found.value.suggested_filename.endswith(f".{ending}")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert sum(name.endswith("_annotated.jpg") for name in archive.namelist()) == 4


def _open_one(page: Page) -> None:
    page.locator(".job-link").nth(1).click()
    expect(page.locator("h1")).to_have_text("holiday/photo-1.jpg")
    expect(page.locator(".result-sentence")).to_have_text("person, dog")
    expect(page.locator(".object-row")).to_have_count(2)
    assert page.locator(".stage-image").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1")).to_have_text("holiday/photo-2.jpg")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".problem")).to_contain_text("damaged")
    page.get_by_role("link", name="Back to the job").click()
    state(page, "Done, some failed")


def _remove(page: Page) -> None:
    address = page.url
    page.get_by_role("button", name="Remove the job and its results").click()
    page.get_by_role("button", name="Delete for good?").click()
    expect(page).to_have_url(re.compile("/jobs$"))
    page.goto(address)
    expect(page.get_by_role("heading")).to_have_text("This job is no longer here")
    expect(page.locator(".empty")).to_contain_text("expired")


def test_a_zip_and_many_pictures_on_look_become_jobs(
    visit: Callable[..., Page], tmp_path: Path, samples: Path
) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(samples / "cat.jpg", "deep/cat.jpg")
    page = visit("/")
    choose(page, archive)
    state(page, "Done")
    expect(page.locator(".job-source")).to_have_text(["all.zip/deep/cat.jpg"])
    files = []
    for number in range(25):
        files.append(tmp_path / f"{number}.jpg")
        files[-1].write_bytes((samples / "cat.jpg").read_bytes())
    page.goto("/")
    choose(page, *files)
    state(page, "Done")
    expect(page.locator("h1")).to_have_text("25 pictures: 0.jpg, 1.jpg, …")
    page.goto("/jobs")
    expect(page.locator(".job-row").first).to_contain_text("25 pictures")


def test_a_lost_portion_is_sent_again(visit: Callable[..., Page], folder: Path) -> None:
    page = visit()
    lost: list[str] = []

    def lose_once(route: Route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route.request.url)
            route.abort("connectionreset")

    page.route("**/api/v1/uploads", lose_once)
    page.locator("#folder-picker").set_input_files(folder)
    expect(page).to_have_url(re.compile("/jobs/[0-9a-f]{32}$"), timeout=30_000)
    state(page, "Done, some failed")
    assert lost


def test_what_is_refused_is_said(visit: Callable[..., Page], tmp_path: Path) -> None:
    page = visit()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("x")
    page.locator("#folder-picker").set_input_files(tmp_path / "empty")
    expect(page.locator(".job-trouble .problem")).to_contain_text("There are no pictures among these files.")
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 no zip")
    page.locator("#zip-picker").set_input_files(tmp_path / "bad.zip")
    expect(page.locator(".job-upload .problem")).to_contain_text("cannot be read as a zip")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    page.get_by_role("button", name="Put away").click()
    expect(page.locator(".job-upload")).to_have_count(0)


def _taken(ledger: Ledger) -> Claim:
    """A job of pictures that this test works on; the server's worker may be quicker, then another one."""
    while True:
        job_id = job_of(ledger, "predict", MANY)
        mine = ledger.claim("the test", ["predict"], job_id)
        if mine is not None:
            return mine
        ledger.cancel(job_id)


def test_ten_thousand_pictures_are_a_few_elements(visit: Callable[..., Page], ledger: Ledger) -> None:
    mine = _taken(ledger)
    job_id = mine.job.id
    result = {"task": "detect", "predictions": [{"label": "dog", "label_id": 1, "score": 0.9}]}
    for first in range(0, MANY, 1000):
        indexes = range(first, first + 1000)
        ledger.put_items(mine, [Item(job_id, at, f"{at}.jpg", "done", result=result) for at in indexes])
    ledger.finish(mine, {"parts": 1})
    page = visit(f"/jobs/{job_id}")
    cells = page.locator(".job-cell")
    expect(page.locator(".job-source", has_text=re.compile("^0.jpg$"))).to_be_visible()
    assert cells.count() < 150
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    last = page.locator(f".job-cell[aria-posinset='{MANY}']")
    expect(last.locator(".job-source")).to_have_text(f"{MANY - 1}.jpg")
    expect(last).to_have_attribute("aria-setsize", str(MANY))
    assert cells.count() < 150
    last.get_by_role("link").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    focused = page.evaluate("document.activeElement.closest('.job-cell').dataset.index")
    columns = page.evaluate("new Set([...document.querySelectorAll('.job-cell')].map((cell) => "
                            "cell.style.translate.split(' ')[0])).size")  # fmt: skip
    assert int(focused) == MANY - 2 - columns


def test_a_lost_connection_comes_back_to_the_end(visit: Callable[..., Page], ledger: Ledger) -> None:
    job_id = job_of(ledger)
    page = visit(f"/jobs/{job_id}")
    state(page, "Waiting")
    mine = claimed(ledger, job_id)
    ledger.progress(mine, 1)
    state(page, "Running")
    expect(page.locator(".job-progress-words")).to_contain_text("1 of 3")
    page.context.set_offline(True)
    expect(page.locator("#banner")).to_contain_text("The server does not answer", timeout=30_000)
    ledger.progress(mine, 3)
    ledger.finish(mine, {"answer": 42, "label": "yes"})
    page.context.set_offline(False)
    state(page, "Done")
    expect(page.locator(".job-outcome")).to_contain_text("42")


def test_a_job_that_fails_says_why_and_is_tried_again(visit: Callable[..., Page], ledger: Ledger) -> None:
    job_id = job_of(ledger)
    page = visit(f"/jobs/{job_id}", width=390, height=844)
    ledger.fail(
        claimed(ledger, job_id), {"code": "x", "message": "It broke.", "next_step": "Mend it."}, retry=False
    )
    state(page, "Failed")
    expect(page.locator(".job-panel .problem")).to_contain_text("It broke.")
    expect(page.locator(".job-panel .problem")).to_contain_text("Mend it.")
    page.get_by_role("button", name="Try again").click()
    state(page, "Waiting")
    page.get_by_role("button", name="Cancel").click()
    state(page, "Cancelled")
    page.get_by_role("button", name="Try again").click()
    state(page, "Waiting")
    ledger.cancel(job_id)
    state(page, "Cancelled")
    wide = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wide, "nothing sticks out on a phone"


def test_what_trying_again_cannot_help_is_not_tried_again(visit: Callable[..., Page], ledger: Ledger) -> None:
    error = {"code": "bad_option", "message": "Too many times its own size.", "next_step": "Leave out x.bmp."}
    job_id = job_of(ledger)
    ledger.fail(claimed(ledger, job_id), error, retry=False)
    page = visit(f"/jobs/{job_id}")
    expect(page.locator(".job-panel .problem")).to_contain_text("Leave out x.bmp.")
    expect(page.get_by_role("link", name="Start another job")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


@pytest.mark.parametrize(("code", "helps"), [("not_a_picture", False), ("fetch_refused", True)])
def test_pictures_that_failed_are_tried_again_where_it_may_help(
    visit: Callable[..., Page], ledger: Ledger, code: str, helps: bool
) -> None:
    mine = _taken(ledger)
    job_id = mine.job.id
    words = {"message": "It failed.", "next_step": "Do this."}
    items = [("not_a_picture", 0), (code, 1)]
    ledger.put_items(
        mine, [Item(job_id, at, f"{at}.jpg", "failed", error=words | {"code": one}) for one, at in items]
    )
    ledger.finish(mine, {"parts": 1})
    page = visit(f"/jobs/{job_id}")
    expect(page.get_by_role("button", name="Remove the job and its results")).to_be_visible()
    expect(page.get_by_role("button", name="Try the failed ones again")).to_have_count(int(helps))
    expect(page.get_by_role("link", name="Start another job")).to_have_count(int(not helps))


def test_a_job_that_is_removed_elsewhere_is_gone(visit: Callable[..., Page], ledger: Ledger) -> None:
    job_id = job_of(ledger)
    page = visit(f"/jobs/{job_id}")
    state(page, "Waiting")
    ledger.cancel(job_id)
    state(page, "Cancelled")
    ledger.remove(job_id)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading")).to_have_text("This job is no longer here")


def test_the_list_is_live_and_reached_by_keys(visit: Callable[..., Page], ledger: Ledger) -> None:
    page = visit("/history")
    page.keyboard.press("j")
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_focused()
    expect(page.get_by_role("link", name="Jobs", exact=True)).to_have_attribute("aria-current", "page")
    job_id = job_of(ledger)
    row = page.locator(".job-row", has=page.locator(f"a[href='/jobs/{job_id}']"))
    expect(row).to_contain_text("Waiting", timeout=20_000)
    ledger.cancel(job_id)
    expect(row).to_contain_text("Cancelled", timeout=20_000)
    row.get_by_role("link").focus()
    page.keyboard.press("Enter")
    state(page, "Cancelled")
    ledger.remove(job_id)


def test_jobs_in_the_list_have_names_and_say_how_they_ended(
    visit: Callable[..., Page], samples: Path, tmp_path: Path
) -> None:
    long = "a-very-long-name-of-a-picture-that-somebody-has-called-like-this-without-any-space.jpg"
    for name, data in ((long, (samples / "cat.jpg").read_bytes()), ("broken.jpg", b"\xff\xd8\xff cut off")):
        (tmp_path / name).write_bytes(data)
    page = visit("/jobs", width=320)
    for name, end in ((long, "Done"), ("broken.jpg", "All failed")):
        page.goto("/jobs")
        choose(page, tmp_path / name)
        state(page, end)
        expect(page.get_by_role("heading", name=name)).to_be_visible()
    page.goto("/jobs")
    failed = page.locator(".job-row").filter(has_text="broken.jpg")
    expect(failed).to_contain_text("All failed")
    expect(failed).not_to_contain_text("Waiting")
    expect(page.locator(".job-row").filter(has_text=long)).to_contain_text("Done")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_job_that_failed_before_it_counted_waits_for_nobody(
    visit: Callable[..., Page], ledger: Ledger
) -> None:
    page = visit("/jobs")
    words = """async (state) => {
      const { idleWords } = await import('/static/js/parts/job-words.js');
      return idleWords({ state });
    }"""
    told = {state: page.evaluate(words, state) for state in ("queued", "failed", "dead", "cancelled", "done")}
    assert told.pop("queued") == "Waiting for a worker"
    assert set(told.values()) == {""}
