"""A real `sightline serve` in its own process and Debian's Chromium, for the tests and the contact sheet."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Playwright, sync_playwright
from tests.serving.test_pipelines import DOOR
from tests.watching.cameras import Camera
from tests.web import tiny

from sightline.registry import Registry
from sightline.serving.pipelines import import_pipeline
from sightline.settings import load_settings

_START_S: Final = 180.0


def chromium_path() -> str | None:
    """Where Chromium is: $CHROMIUM, or Debian's."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


def door_data(folder: Path) -> Path:
    """A new data folder with models that need no time, and the pipeline `door` of both."""
    settings = load_settings({"data_dir": str(folder / "data")}, environment={})
    tiny.install(settings, folder / "bundles")
    (folder / "door.toml").write_text(DOOR)
    import_pipeline(folder / "door.toml", Registry(settings))
    return folder / "data"


@contextmanager
def running_server(data: Path, log: Path, *options: str) -> Iterator[str]:
    """The address of a server over this data folder, without a slash at the end.

    Its engine is given: "auto" would measure all of them, in a child that takes all cores for seconds.
    """
    words = [sys.executable, "-m", "sightline", "serve", "--port", "0", "--data-dir", str(data)]
    words += ["--engine", "onnxruntime", *options]
    with log.open("w") as file:
        process = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        process.wait(40)


@contextmanager
def camera_server(models: Path, folder: Path) -> Iterator[tuple[str, Camera]]:
    """A server over a copy of this data folder, and the one camera on the loopback that it may look at."""
    data = Path(shutil.copytree(models, folder / "data"))
    with Camera() as camera:
        allow = f"fetch_allow=127.0.0.1:{camera.port}"
        with running_server(data, folder / "log.txt", "--model", "colour", "--set", allow) as url:
            yield url, camera


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        found = re.search(r"at (https?://[^\s/]+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"The server did not start: {log.read_text()}")


@contextmanager
def running_chromium(*options: str) -> Iterator[Browser]:
    """Chromium without its sandbox: the tests may run as root in a container, and open our own pages only."""
    with _driver() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox", *options])
        try:
            yield browser
        finally:
            browser.close()


_DRIVERS: Final[list[Playwright]] = []


@contextmanager
def _driver() -> Iterator[Playwright]:
    """Playwright starts once a thread: a browser within the life of another one shares its driver."""
    if _DRIVERS:
        yield _DRIVERS[-1]
        return
    with sync_playwright() as playwright:
        _DRIVERS.append(playwright)
        try:
            yield playwright
        finally:
            _DRIVERS.pop()
