"""The camera, with a film in place of a lens: captures, live, a rule, and words where none can be had."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.browser.fake_camera import ALLOW, film, still, with_camera
from tests.browser.serving import chromium_path, running_chromium, running_server
from tests.browser.watch import Watch

from sightline.web.addresses import in_url, lan_addresses
from sightline.web.keys import load_secret

pytestmark = pytest.mark.browser

RATE = re.compile(r"^[\d.]+ pictures a second, [\d,]+ ms behind$")
Open = Callable[..., Watch]


@pytest.fixture(scope="module")
def camera_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the model that ships with Sightline, at its smallest size."""
    folder = tmp_path_factory.mktemp("camera")
    with running_server(folder / "data", folder / "log.txt") as url:
        yield url


@pytest.fixture(scope="module")
def filmed(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose camera sees riders on a beach."""
    if chromium_path() is None:
        pytest.skip("There is no Chromium here: apt-get install chromium, or set CHROMIUM to its path.")
    with with_camera(
        film(tmp_path_factory.mktemp("film") / "riders.mjpeg", samples / "horses.jpg")
    ) as browser:
        yield browser


def _opener(browser: Browser, server: str) -> Iterator[Open]:
    watches: list[Watch] = []

    def open_one(width: int = 1280, height: int = 800, **options: object) -> Watch:
        context = browser.new_context(
            base_url=server,
            viewport={"width": width, "height": height},
            locale="en-GB",
            **options,  # type: ignore[arg-type]
        )
        watches.append(Watch(context.new_page()))
        page = watches[-1].page
        page.goto("/camera")
        expect(page.get_by_label("Sees at")).to_be_visible()
        page.get_by_label("Sees at").select_option(index=0)  # machines that run tests are busy
        return watches[-1]

    yield open_one
    for watch in watches:
        assert watch.complaints == []
        assert watch.hosts() == {urlsplit(server).netloc}
        watch.page.context.close()


@pytest.fixture
def open_camera(filmed: Browser, camera_server: str) -> Iterator[Open]:
    """Opens watched pages at the camera."""
    yield from _opener(filmed, camera_server)


@pytest.fixture
def page(open_camera: Open) -> Page:
    return open_camera().page


def start(page: Page, seconds: str = "1") -> None:
    page.get_by_label("Seconds between captures").fill(seconds)
    page.get_by_role("button", name="Start the camera").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()


def test_a_capture_every_second_is_drawn_and_lined_up(page: Page) -> None:
    start(page)
    expect(page.locator(".capture").nth(2)).to_be_visible()
    expect(page.locator(".result-sentence")).to_contain_text(re.compile("horse|person|people"))
    assert page.locator(".camera-stage .stage-boxes .box").count() > 0
    expect(page.locator(".camera-stage img.stage-image")).to_have_attribute("src", re.compile("^blob:"))
    first = page.locator(".capture").last
    assert first.locator(".mini .box").count() > 0
    assert re.fullmatch(r"\d\d:\d\d:\d\d|\d+:\d\d:\d\d [AP]M", first.locator("time").inner_text())
    assert page.request.get("/api/v1/results").json()["total"] == 0, (
        "nothing is stored unless somebody keeps it"
    )
    size = page.evaluate(
        "() => { const v = document.querySelector('.camera-video'); return [v.videoWidth, v.videoHeight]; }"
    )
    assert size == [640, 480]


def test_captures_are_kept_downloaded_and_deleted(page: Page, tmp_path: Path) -> None:
    start(page, "3600")
    capture = page.locator(".capture")
    expect(capture).to_have_count(1)
    with page.expect_download() as found:
        capture.get_by_role("button", name="Download").click()
    assert re.fullmatch(r"camera-[\d-]+-seen\.jpg", found.value.suggested_filename)
    found.value.save_as(tmp_path / "seen.jpg")
    assert (tmp_path / "seen.jpg").read_bytes()[:2] == b"\xff\xd8"
    capture.get_by_role("button", name="Keep").click()
    link = capture.get_by_role("link", name="Kept")
    expect(link).to_be_focused()
    path = link.get_attribute("href")
    assert path
    stored = page.request.get(f"/api/v1/results/{path.removeprefix('/r/')}")
    assert stored.json()["source"].startswith("camera-")
    with page.expect_download() as again:
        capture.get_by_role("button", name="Download").click()
    assert "/annotated" in again.value.url
    capture.get_by_role("button", name="Delete").click()
    expect(capture).to_have_count(0)
    assert page.request.get(f"/api/v1/results/{path.removeprefix('/r/')}").status == 404
    expect(page.get_by_text("What you or the clock take appears here.")).to_be_visible()


def test_every_capture_is_kept_where_asked(page: Page) -> None:
    page.get_by_label("Keep every capture").check()
    expect(page.locator(".camera-sent")).to_contain_text("Every one is stored there.")
    start(page, "3600")
    link = page.locator(".capture").get_by_role("link", name="Kept")
    expect(link).to_be_visible()
    link.click()
    expect(page.get_by_role("button", name="Download")).to_be_visible()


def test_one_now_and_an_older_one_large(page: Page) -> None:
    start(page, "3600")
    expect(page.locator(".capture")).to_have_count(1)
    page.keyboard.press("t")
    expect(page.locator(".capture")).to_have_count(2)
    page.locator(".capture-open").last.click()
    back = page.get_by_role("button", name="Back to the camera")
    expect(back).to_be_visible()
    expect(page.locator(".camera-stage")).to_be_focused()
    assert page.locator(".camera-stage .box").count() > 0
    back.click()
    expect(back).to_be_hidden()


def test_what_one_points_at_does_not_move_away(page: Page) -> None:
    start(page, "0.5")
    expect(page.locator(".capture").first).to_be_visible()
    page.locator(".capture-open").first.hover()
    expect(page.locator(".captures")).to_contain_text(re.compile(r"[2-9] new ones wait"))
    many = page.locator(".capture").count()
    page.mouse.move(0, 0)
    expect(page.locator(".capture").nth(many + 1)).to_be_visible()
    expect(page.locator(".captures")).not_to_contain_text("wait")


def test_a_camera_has_a_name_of_its_own_that_rules_know(open_camera: Open, camera_server: str) -> None:
    pages = [open_camera().page, open_camera().page]
    names = [page.get_by_label("Name of this camera").input_value() for page in pages]
    assert names[0] != names[1], "two browsers must not be counted as one camera"
    assert all(re.fullmatch(r"(laptop|phone)-[a-z0-9]{4}", name) for name in names)
    page = pages[0]
    page.reload()
    field = page.get_by_label("Name of this camera")
    expect(field).to_have_value(names[0])
    field.fill("garage/left ")
    field.press("Tab")
    expect(field).to_have_value("garage left")
    field.fill("")
    field.press("Tab")
    expect(field).to_have_value("garage left")
    with page.expect_request(re.compile("/api/v1/predict")) as asked:
        start(page)
    assert parse_qs(urlsplit(asked.value.url).query)["capture"] == ["garage left"]
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda data: sent.append(str(data))))
    page.get_by_label("Live").check()
    expect(page.locator(".camera-status")).to_have_text(RATE)
    assert json.loads(sent[0])["source"] == "garage left"


def test_live_runs_and_says_how_fast(page: Page) -> None:
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.get_by_label("Live").check()
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator(".camera-status")).to_have_text(RATE)
    expect(page.locator(".result-sentence")).to_contain_text(re.compile("horse|person|people"))
    assert page.locator(".camera-stage .stage-boxes .box").count() > 0
    assert page.locator(".camera-still").bounding_box() is not None
    assert len(sockets) == 1
    assert sockets[0].endswith("/api/v1/live")
    assert page.locator(".capture").count() == 0
    page.get_by_role("button", name="Take one now").click()
    expect(page.locator(".capture").get_by_role("link", name="Kept")).to_be_visible()
    page.get_by_label("Minimum score").fill("95")
    expect(page.locator(".result-sentence")).to_have_text("Nothing found")
    page.get_by_role("radio", name="Every").check()
    expect(page.locator(".camera-status")).to_contain_text("Next capture in")
    page.get_by_label("Live").check()
    expect(page.locator(".camera-status")).to_have_text(RATE)
    assert len(sockets) == 2


def _hide(page: Page, state: str) -> None:
    page.evaluate(
        """(state) => {
          Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )


def test_a_hidden_page_sends_nothing(open_camera: Open) -> None:
    watch = open_camera()
    page = watch.page
    start(page, "0.5")
    expect(page.locator(".capture").first).to_be_visible()
    _hide(page, "hidden")
    expect(page.locator(".camera-status")).to_have_text("Paused while this page is hidden.")
    page.wait_for_load_state("networkidle")
    before = watch.api_calls()
    page.wait_for_timeout(1500)
    assert watch.api_calls() == before
    many = page.locator(".capture").count()
    _hide(page, "visible")
    expect(page.locator(".capture").nth(many)).to_be_visible()


def test_leaving_gives_the_camera_back(page: Page) -> None:
    page.get_by_label("Live").check()
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator(".camera-status")).to_have_text(RATE)
    page.evaluate("() => { window.track = document.querySelector('video').srcObject.getVideoTracks()[0]; }")
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
    assert page.evaluate("() => window.track.readyState") == "ended"
    page.go_back()
    expect(page.get_by_role("button", name="Start the camera")).to_be_enabled()
    expect(page.get_by_role("radio", name="Live")).to_be_checked()


def test_settings_are_remembered_and_wrong_ones_are_said(page: Page) -> None:
    field = page.get_by_label("Seconds between captures")
    for wrong in ("0.4", "3601", ""):
        field.fill(wrong)
        expect(page.get_by_text("Between 0.5 and 3600 seconds.")).to_be_visible()
    field.fill("7.5")
    expect(page.get_by_text("Between 0.5 and 3600 seconds.")).to_be_hidden()
    page.get_by_label("Skip pictures").check()
    page.reload()
    expect(field).to_have_value("7.5")
    expect(page.get_by_label("Skip pictures")).to_be_checked()


def test_a_rule_that_comes_true_tells(page: Page) -> None:
    page.get_by_label("Tell me when something is seen").check()
    page.get_by_label("What", exact=True).fill("unicorn")
    page.keyboard.press("Tab")
    expect(page.locator(".rule-trouble")).to_contain_text("has no label “unicorn”")
    page.get_by_label("What", exact=True).fill("horse")
    page.get_by_label("Scoring at least").fill("40")
    page.get_by_label("In captures").fill("2")
    page.get_by_label("Of the last").fill("3")
    page.keyboard.press("Tab")
    expect(page.locator(".rule-words")).to_contain_text(
        "When horse scores 40% or more in 2 of the last 3 captures."
    )
    start(page, "0.5")
    expect(page.locator("#live")).to_contain_text(re.compile(r"horse was seen \(\d+%\)"))
    expect(page.locator(".rule-now")).to_contain_text("Quiet until")
    expect(page.locator(".capture-rule")).to_have_count(1)
    expect(page.locator(".capture").nth(3)).to_be_visible()
    assert page.locator(".capture-rule").count() == 1, "it is quiet now"


def test_nothing_new_is_not_sent(samples: Path, camera_server: str, tmp_path: Path) -> None:
    with with_camera(still(tmp_path / "still.mjpeg", samples / "cat.jpg")) as browser:
        opener = _opener(browser, camera_server)
        page = next(opener)().page
        page.get_by_label("Skip pictures").check()
        start(page, "0.5")
        expect(page.locator(".camera-status")).to_contain_text(
            re.compile(r"Nothing changed: \d+ pictures were not sent")
        )
        expect(page.locator(".capture")).to_have_count(1)
        page.get_by_role("button", name="Take one now").click()
        expect(page.locator(".capture")).to_have_count(2)
        assert next(opener, None) is None


def test_everything_by_keyboard(open_camera: Open) -> None:
    page = open_camera().page
    page.goto("/")
    page.keyboard.press("c")
    expect(page).to_have_url(re.compile("/camera$"))
    expect(page.get_by_role("button", name="Start the camera")).to_be_enabled()
    page.keyboard.press("s")
    expect(page.locator(".capture").first).to_be_visible()
    page.keyboard.press("s")
    expect(page.get_by_role("button", name="Start the camera")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="Every")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Live")).to_be_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1440])
def test_it_fits_and_fingers_reach_it(open_camera: Open, width: int, scheme: str) -> None:
    page = open_camera(width=width, height=844, color_scheme=scheme, has_touch=width < 500).page
    start(page)
    page.get_by_label("Tell me when something is seen").check()
    expect(page.locator(".capture").nth(1)).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0
    small = page.evaluate(
        """() => [...document.querySelectorAll(
            "main button:not(.link), main select, main input, .segment, .check")]
          .filter((node) => node.checkVisibility() && !node.closest("label"))
          .filter((node) => node.getBoundingClientRect().height < 43.5)
          .map((node) => node.outerHTML.slice(0, 90))"""
    )
    assert small == []
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "link", "slider", "textbox", "spinbutton", "combobox", "radio", "checkbox"}
    nameless = [
        node
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in roles
        and not node.get("name", {}).get("value", "").strip()
    ]
    assert nameless == []


@pytest.mark.parametrize(("name", "title"), [("Watches", "Watches"), ("Rules", "Rules")])
def test_the_ways_to_other_cameras_and_to_rules(page: Page, name: str, title: str) -> None:
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    page.go_back()
    expect(page.locator(".place-camera").get_by_role("button", name="Start the camera")).to_be_visible()


def _doctor(page: Page, title: str, *words: str) -> None:
    box = page.locator(".doctor")
    expect(box.get_by_role("heading", level=2)).to_have_text(title)
    for word in words:
        expect(box).to_contain_text(word)


def test_a_refused_permission_is_said_and_can_be_tried_again(
    camera_server: str, samples: Path, tmp_path: Path
) -> None:
    path = film(tmp_path / "riders.mjpeg", samples / "horses.jpg", frames=4)
    fake = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={path}")
    with running_chromium(*fake) as browser:  # without somebody who says yes, Chromium hears a no
        page = browser.new_page(base_url=camera_server, locale="en-GB")
        page.goto("/camera")
        page.get_by_role("button", name="Start the camera").click()
        _doctor(
            page,
            "This page may not use the camera.",
            "Click the sign beside the address, set Camera to Allow",
        )
        page.context.grant_permissions(["camera"])
        page.locator(".doctor").get_by_role("button", name="Try again").click()
        expect(page.get_by_role("button", name="Stop")).to_be_visible()
        expect(page.locator(".doctor")).to_have_count(0)


def test_no_camera_is_said(camera_server: str) -> None:
    with running_chromium(ALLOW) as browser:
        page = browser.new_page(base_url=camera_server, locale="en-GB")
        page.goto("/camera")
        page.get_by_role("button", name="Start the camera").click()
        _doctor(page, "No camera was found.", "Plug one in")


def test_a_policy_that_blocks_it_is_said(filmed: Browser, camera_server: str) -> None:
    page = filmed.new_page(base_url=camera_server, locale="en-GB")

    def proxy(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "permissions-policy": "camera=()"})

    page.route("**/camera", proxy)
    page.goto("/camera")
    _doctor(page, "The camera is blocked for this page.", "Open the page in a tab of its own.")
    expect(page.get_by_role("button", name="Start the camera")).to_be_disabled()
    page.context.close()


def test_a_camera_that_stops_is_said(page: Page) -> None:
    start(page)
    expect(page.locator(".capture").first).to_be_visible()
    page.evaluate(
        """() => {
          const [track] = document.querySelector("video").srcObject.getVideoTracks();
          track.dispatchEvent(new Event("ended"));
        }"""
    )
    _doctor(page, "The camera stopped.", "Plug it in again")
    page.locator(".doctor").get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()


@pytest.fixture
def lan() -> str:
    """An address of this machine that is not loopback."""
    found = lan_addresses()
    if not found:
        pytest.skip("This machine has no address but loopback.")
    return in_url(str(found[0]))


def test_an_insecure_origin_is_said_with_the_way_out(filmed: Browser, lan: str, tmp_path: Path) -> None:
    with running_server(tmp_path / "data", tmp_path / "log.txt", "--host", "0.0.0.0") as url:
        port = url.rpartition(":")[2]
        page = filmed.new_page(base_url=f"http://{lan}:{port}", locale="en-GB")
        page.goto(f"/?key={load_secret(tmp_path / 'data')}")
        page.goto("/camera")
        _doctor(
            page,
            "Browsers give no camera to an address that is not encrypted.",
            f"This page came from http://{lan}:{port}.",
            "sightline serve --host 0.0.0.0 --tls",
            f"http://localhost:{port}/camera",
        )
        expect(page.get_by_role("button", name="Start the camera")).to_be_disabled()
        expect(page.locator(".camera-sent")).to_contain_text("without encryption")
        page.context.close()


def test_with_tls_the_same_address_has_a_camera(filmed: Browser, lan: str, tmp_path: Path) -> None:
    with running_server(tmp_path / "data", tmp_path / "log.txt", "--host", "0.0.0.0", "--tls") as url:
        port = url.rpartition(":")[2]
        context = filmed.new_context(
            base_url=f"https://{lan}:{port}", locale="en-GB", ignore_https_errors=True
        )
        page = context.new_page()
        page.goto(f"/?key={load_secret(tmp_path / 'data')}")
        page.goto("/camera")
        expect(page.locator(".camera-sent")).to_contain_text(
            f"Captures are sent to {lan}:{port} and nowhere else."
        )
        start(page)
        expect(page.locator(".capture").first).to_be_visible()
        page.get_by_label("Live").check()
        expect(page.locator(".camera-status")).to_have_text(RATE)
        context.close()


def test_a_server_that_stops_is_said_in_live(filmed: Browser, tmp_path: Path) -> None:
    with running_server(tmp_path / "data", tmp_path / "log.txt") as url:
        assert httpx.get(f"{url}/health/live").status_code == 200
        page = filmed.new_page(base_url=url, locale="en-GB")
        page.goto("/camera")
        page.get_by_label("Live").check()
        page.get_by_role("button", name="Start the camera").click()
        expect(page.locator(".camera-status")).to_have_text(RATE)
    expect(page.locator(".camera-status")).to_have_text("The connection was lost; trying again…")
    page.context.close()
