"""`python -m tests.browser.contact_sheet`: every place in every state, three widths, light and dark, in out/.

Needs Chromium and a data folder with at least one model; without `--data-dir` the pretrained YOLOX-Nano of
the shared material is imported into a temporary one.
"""

import argparse
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, Page, expect
from tests.browser.fake_camera import film, with_camera
from tests.browser.serving import running_server
from tests.browser.steps import choose, look_at, set_threshold

from sightline.registry import Registry
from sightline.serving.importer import import_model
from sightline.settings import load_settings

ROOT: Final = Path(__file__).resolve().parents[2]
SAMPLES: Final = ROOT / "src" / "sightline" / "web" / "static" / "samples"
SIZES: Final = {"390": (390, 844), "768": (768, 1024), "1440": (1440, 900)}
HEIGHT: Final = 620


def _look(page: Page) -> None:
    expect(page.locator(".samples-note")).to_contain_text("Seen just now")


def _picker(page: Page) -> None:
    page.locator(".picker-line").click()


def _result(page: Page) -> None:
    look_at(page, SAMPLES / "buses.jpg")
    page.mouse.move(0, 0)


def _object(page: Page) -> None:
    _result(page)
    page.keyboard.press("ArrowDown")


def _nothing(page: Page) -> None:
    look_at(page, SAMPLES / "coffee.jpg")
    set_threshold(page, 99)


def _menu(page: Page) -> None:
    look_at(page, SAMPLES / "horses.jpg")
    page.get_by_role("button", name="Download").click()


def _details(page: Page) -> None:
    look_at(page, SAMPLES / "horses.jpg")
    page.get_by_text("How this was done").click()
    page.get_by_role("button", name="Delete").click()
    page.locator(".details").scroll_into_view_if_needed()


def _failed(page: Page) -> None:
    choose(page, Path(__file__))
    expect(page.locator(".problem")).to_be_visible()


def _batch(page: Page) -> None:
    choose(page, SAMPLES / "cat.jpg", SAMPLES / "horses.jpg", SAMPLES / "motorcycle.jpg", Path(__file__))
    expect(page.locator(".batch-card .problem")).to_be_visible()
    expect(page.locator(".batch-card a")).to_have_count(3)


def _keys(page: Page) -> None:
    page.keyboard.press("?")


def _history(page: Page) -> None:
    page.get_by_role("link", name="History").click()
    expect(page.locator(".seen").first).to_be_visible()


def _not_found(page: Page) -> None:
    page.goto("/history?label=unicorn")
    expect(page.locator(".empty")).to_be_visible()


def _camera(page: Page) -> None:
    page.get_by_role("link", name="Camera").click()
    expect(page.locator(".place-camera").get_by_label("Sees at")).to_be_visible()


def _captures(page: Page) -> None:
    _camera(page)
    page.get_by_label("Seconds between captures").fill("1")
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator(".capture").nth(3)).to_be_visible(timeout=30_000)
    page.get_by_label("Seconds between captures").fill("60")
    page.locator(".capture").nth(2).get_by_role("button", name="Keep").click()
    expect(page.locator(".capture .kept")).to_be_visible(timeout=30_000)
    page.mouse.move(0, 0)


def _live(page: Page) -> None:
    _camera(page)
    page.get_by_label("Live").check()
    page.get_by_label("Tell me when").check()
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator(".camera-status")).to_contain_text("pictures a second", timeout=30_000)


def _doctor(page: Page) -> None:
    """What a phone would see over http; the browser here is on the server's own machine."""
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    page.goto("/camera")
    expect(page.locator(".doctor")).to_be_visible()


def _models(page: Page) -> None:
    page.get_by_role("link", name="Models").click()
    page.get_by_text("All about it").first.click()


def _jobs(page: Page) -> None:
    _job(page)
    page.goto("/jobs")
    expect(page.locator(".job-row").first).to_be_visible()


def _job(page: Page) -> None:
    page.goto("/jobs")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose pictures").click()
    chooser.value.set_files([*sorted(SAMPLES.glob("*.jpg")), Path(__file__)])
    expect(page.locator(".job-title .job-state.partly")).to_be_visible(timeout=60_000)
    expect(page.locator(".job-picture img")).to_have_count(6)


def _job_failed(page: Page) -> None:
    _job(page)
    page.get_by_role("button", name="Failed (1)").click()
    expect(page.locator(".job-failures li")).to_be_visible()


def _job_item(page: Page) -> None:
    _job(page)
    page.locator(".job-link").nth(1).click()
    expect(page.locator(".result-sentence")).to_contain_text(re.compile(r"\w"))


def _job_gone(page: Page) -> None:
    page.goto(f"/jobs/{'0' * 32}")
    expect(page.locator(".empty")).to_be_visible()


def _other_work(page: Page) -> None:
    page.goto("/jobs")
    page.get_by_text("Other work").click()
    expect(page.get_by_label("Which one").locator("option").first).to_be_attached()


def _rules(page: Page) -> None:
    page.goto("/rules")
    expect(page.get_by_role("button", name="Make the rule")).to_be_visible()


def _watches(page: Page) -> None:
    page.goto("/watches")
    expect(page.get_by_role("button", name="Watch", exact=True)).to_be_visible()


def _pipelines(page: Page) -> None:
    page.goto("/pipelines")
    expect(page.get_by_role("article").first).to_be_visible()


def _compose(page: Page) -> None:
    page.goto("/pipelines/new?copy=visitors")
    expect(page.get_by_text("This can be kept.")).to_be_visible()
    page.get_by_role("button", name="Try it on: A motorcyclist").click()
    expect(page.locator(".verdict-chip")).to_be_visible(timeout=60_000)


def _compose_wrong(page: Page) -> None:
    page.goto("/pipelines/new")
    expect(page.get_by_label("Title")).to_be_visible()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator(".field-fault").first).to_be_visible()


def _gone(page: Page) -> None:
    page.goto("/r/never")
    expect(page.locator(".empty")).to_be_visible()


def _offline(page: Page) -> None:
    _result(page)
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    expect(page.locator("#banner")).to_contain_text(re.compile(r"\w"))


STATES: Final[dict[str, Callable[[Page], None]]] = {
    "look": _look,
    "picker": _picker,
    "result": _result,
    "object": _object,
    "nothing": _nothing,
    "menu": _menu,
    "details": _details,
    "failed": _failed,
    "batch": _batch,
    "keys": _keys,
    "history": _history,
    "not-found": _not_found,
    "camera": _camera,
    "captures": _captures,
    "live": _live,
    "doctor": _doctor,
    "models": _models,
    "jobs": _jobs,
    "job": _job,
    "job-failed": _job_failed,
    "job-item": _job_item,
    "job-gone": _job_gone,
    "other-work": _other_work,
    "rules": _rules,
    "watches": _watches,
    "pipelines": _pipelines,
    "compose": _compose,
    "compose-wrong": _compose_wrong,
    "gone": _gone,
    "offline": _offline,
}


def shoot(
    browser: Browser, address: str, folder: Path, states: dict[str, Callable[[Page], None]]
) -> Iterator[tuple[str, list[Path]]]:
    """One picture per state, size and scheme; yields (name of the row, its pictures)."""
    for size, (width, height) in SIZES.items():
        for scheme in ("light", "dark"):
            row = []
            for name, reach in states.items():
                context = browser.new_context(
                    base_url=address,
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                    locale="en-GB",
                    is_mobile=size == "390",
                    has_touch=size == "390",
                )
                page = context.new_page()
                page.goto("/")
                reach(page)
                page.wait_for_timeout(400)  # transitions end
                row.append(folder / f"{size}-{scheme}-{name}.png")
                page.screenshot(path=row[-1])
                context.close()
            yield f"{size}-{scheme}", row


def join(pictures: list[Path], target: Path) -> None:
    """Put pictures side by side at one height."""
    images = [Image.open(path).convert("RGB") for path in pictures]
    small = [image.resize((round(image.width * HEIGHT / image.height), HEIGHT)) for image in images]
    sheet = Image.new("RGB", (sum(image.width + 8 for image in small), HEIGHT), (120, 120, 120))
    left = 0
    for image in small:
        sheet.paste(image, (left, 0))
        left += image.width + 8
    sheet.save(target)


def _with_yolox(folder: Path) -> Path:
    settings = load_settings({"data_dir": str(folder)}, environment={})
    weights = ROOT.parent / "shared" / "weights" / "yolox_nano_416.onnx"
    import_model(weights, Registry(settings), settings, name="yolox-nano")
    return folder


def main() -> None:
    """Shoot everything and join it, one sheet per width and scheme."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="a data folder with a model; it gains a few results")
    parser.add_argument("--only", default="", help="states, comma separated; default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "contact-sheet")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        data = options.data_dir or _with_yolox(Path(temporary) / "data")
        with (
            running_server(data, options.out / "server.log") as address,
            with_camera(
                film(options.out / "film.mjpeg", SAMPLES / "horses.jpg", SAMPLES / "buses.jpg")
            ) as browser,
        ):
            states = {name: STATES[name] for name in options.only.split(",") if name} or STATES
            for name, row in shoot(browser, address, options.out, states):
                join(row, options.out / f"sheet-{name}.png")
                print(options.out / f"sheet-{name}.png")


if __name__ == "__main__":
    main()
