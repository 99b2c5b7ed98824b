"""The films that a video job writes play in a browser."""

import base64
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from sightline.watching.writer import Film, fitted

pytestmark = pytest.mark.browser


def test_a_film_plays(chromium: Browser, tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="OpenCV (the extra `video`) is not installed.")
    path = tmp_path / "film.webm"
    with Film(path, fitted(321, 241, 960), 10.0) as film:
        for frame in range(30):
            pixels = np.zeros((241, 321, 3), np.uint8)
            pixels[:, :, 0 if frame < 15 else 2] = 255
            film.add(pixels)
    page = chromium.new_page()
    address = f"data:video/webm;base64,{base64.b64encode(path.read_bytes()).decode()}"
    told = page.evaluate(
        """async address => {
            const video = document.createElement('video');
            video.muted = true;
            document.body.append(video);
            const colour = () => {
                const canvas = document.createElement('canvas');
                [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
                const pen = canvas.getContext('2d');
                pen.drawImage(video, 0, 0);
                return [...pen.getImageData(10, 10, 1, 1).data];
            };
            const came = name => new Promise((done, failed) => {
                video.addEventListener(name, done, { once: true });
                video.addEventListener('error', () => failed(video.error.message), { once: true });
            });
            video.src = address;
            await came('loadeddata');
            // 'seeked' may come before the picture of that moment does, and then the last one is drawn again.
            const presented = (seconds, patience = 20_000) => new Promise((done, failed) => {
                const late = setTimeout(() => failed(`No picture of ${seconds} s came.`), patience);
                const look = (now, { mediaTime }) => {
                    if (Math.abs(mediaTime - seconds) > 0.11) return video.requestVideoFrameCallback(look);
                    clearTimeout(late);
                    done();
                };
                video.requestVideoFrameCallback(look);
            });
            const at = async seconds => {
                const there = presented(seconds);
                video.currentTime = seconds;
                await there;
                return colour();
            };
            const [first, last] = [await at(0.5), await at(2.5)];
            const ended = came('ended');
            video.currentTime = 0;
            await video.play();
            await ended;
            return { first, last, seconds: video.duration,
                     width: video.videoWidth, height: video.videoHeight };
        }""",
        address,
    )
    page.close()
    assert (told["width"], told["height"]) == (320, 240)
    assert told["seconds"] == pytest.approx(3.0, abs=0.15)
    assert told["first"][0] > 200 > told["first"][2], "red at first"
    assert told["last"][2] > 200 > told["last"][0], "blue at last"
