"""OpenCV in its child: real files, a real RTSP server on the loopback, and what hostile or dying ones do."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.watching.cameras import COLOURS, SIZE, RtspCamera
from tests.watching.conftest import MakeVideo

from sightline.errors import ConfigError, FetchRefused, NotAPicture, PictureTooLarge
from sightline.settings import Settings, load_settings
from sightline.types import Frame
from sightline.watching import capture
from sightline.watching.capture import Capture, Patience
from sightline.watching.shot import Shot
from sightline.watching.source import parse

Open = Callable[..., Capture]


def colour_of(shot: Shot | None) -> str:
    assert shot is not None
    assert isinstance(shot.picture, Frame)
    mean = shot.picture.pixels.mean((0, 1))
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


def often(eye: Capture) -> None:
    """Frames that were on their way still come; then there is an end."""
    for _ in range(100):
        eye.look()


@pytest.fixture
def opened(request: pytest.FixtureRequest, settings: Settings) -> Open:
    pytest.importorskip("cv2", reason="OpenCV (the extra `video`) is not installed.")

    def open_it(word: object, **options: object) -> Capture:
        made = Capture(parse(str(word)), settings, **options)  # type: ignore[arg-type]
        request.addfinalizer(made.close)
        return made

    return open_it


def test_every_frame_of_a_file_in_its_order(opened: Open, video: MakeVideo) -> None:
    eye = opened(video("red", "green", "blue"))
    about = eye.about()
    assert (about.width, about.height, about.fps, about.frames) == (*SIZE, 10.0, 30)
    shots = [shot for shot in iter(eye.look, None) if shot is not None]
    assert [shot.index for shot in shots] == list(range(30))
    assert [round(shot.time_s, 3) for shot in shots] == [round(number / 10, 3) for number in range(30)]
    assert [colour_of(shot) for shot in shots[::10]] == ["red", "green", "blue"], "RGB, not BGR"
    assert eye.look() is None, "over stays over"


def test_a_file_at_a_pace(opened: Open, video: MakeVideo) -> None:
    eye = opened(video("red", "green", "blue"), pace_s=0.75)
    shots = [shot for shot in iter(eye.look, None) if shot is not None]
    assert [shot.index for shot in shots] == [0, 8, 15, 23]


@pytest.mark.parametrize("data", [b"", b"no video at all" * 100, b"\x1a\x45\xdf\xa3" + b"\0" * 500])
def test_what_is_no_video(opened: Open, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.webm"
    path.write_bytes(data)
    with pytest.raises(NotAPicture, match="no video that can be read"):
        opened(path).look()


def test_a_play_list_opens_nothing_else(opened: Open, video: MakeVideo, tmp_path: Path) -> None:
    """FFmpeg would follow these to any file of the user; here neither the format nor the descriptor is
    there."""
    inner = video("red")
    lists = {
        "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{inner}\n#EXT-X-ENDLIST\n",
        "b.txt": f"ffconcat version 1.0\nfile '{inner}'\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(NotAPicture):
            opened(tmp_path / name).look()


def test_the_child_of_a_file_can_open_nothing(opened: Open, video: MakeVideo) -> None:
    eye = opened(video("red"))
    assert eye.look() is not None
    limits = Path(f"/proc/{eye._child._process.pid}/limits").read_text()
    most = int(next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3])
    used = {int(path.name) for path in Path(f"/proc/{eye._child._process.pid}/fd").iterdir()}
    assert not set(range(most)) - used


def test_a_cut_off_file_gives_what_it_has(opened: Open, video: MakeVideo, tmp_path: Path) -> None:
    data = video("red", "green").read_bytes()
    path = tmp_path / "half.avi"
    path.write_bytes(data[: len(data) * 3 // 4])
    eye = opened(path)
    count = sum(1 for _ in iter(eye.look, None))
    assert 1 <= count < 20


def test_frames_over_the_limits_are_refused(colour_data: Path, video: MakeVideo) -> None:
    small = load_settings({"data_dir": str(colour_data), "side_max": 100}, environment={})
    eye = Capture(parse(str(video("red"))), small)
    try:
        with pytest.raises(PictureTooLarge, match="160 x 120"):
            eye.look()
    finally:
        eye.close()


def test_a_child_that_hangs_is_ended(opened: Open, video: MakeVideo) -> None:
    eye = opened(video("red"), patience=Patience(open_s=20, read_s=0.1))
    assert eye.look() is not None
    child = eye._child._process
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(NotAPicture, match="gave nothing"):
        often(eye)
    assert child.poll() == -signal.SIGKILL


def test_a_child_that_dies_is_an_error_in_words(opened: Open, video: MakeVideo) -> None:
    eye = opened(video("red"))
    assert eye.look() is not None
    os.kill(eye._child._process.pid, signal.SIGSEGV)
    with pytest.raises(NotAPicture, match=r"broke its reader.*SIGSEGV"):
        often(eye)


def test_rtsp_gives_the_newest_frame_in_its_colours(opened: Open) -> None:
    with RtspCamera() as camera:
        eye = opened(camera.url())
        assert colour_of(eye.look()) == "red"
        camera.show = lambda _: "blue"
        sent = camera.sent
        while camera.sent < sent + 12:
            camera.closing.wait(0.05)
        late = eye.look()
        assert late is not None
        assert late.index >= 8, "what came meanwhile was dropped"
        assert colour_of(eye.look()) == "blue"
    assert camera.methods[:2] == ["OPTIONS", "DESCRIBE"]
    assert "PLAY" in camera.methods


def test_a_cut_rtsp_stream_is_an_error_and_can_be_opened_again(opened: Open) -> None:
    with RtspCamera() as camera:
        eye = opened(camera.url())
        eye.look()
        camera.cut()
        with pytest.raises(FetchRefused, match="broke off"):
            often(eye)
        assert colour_of(opened(camera.url()).look()) == "red"


def test_an_rtsp_camera_that_sends_nothing_any_more(opened: Open) -> None:
    with RtspCamera() as camera:
        eye = opened(camera.url(), patience=Patience(open_s=20, read_s=0.5))
        eye.look()
        camera.stuck.set()
        with pytest.raises(FetchRefused):
            often(eye)


def test_rtsp_with_name_and_password(opened: Open) -> None:
    with RtspCamera(login="joe:se/cret") as camera:
        assert colour_of(opened(camera.url("joe:se%2Fcret@")).look()) == "red"
        with pytest.raises(FetchRefused, match="name and password") as refused:
            opened(camera.url("joe:wr0ng@")).look()
    assert "wr0ng" not in str(refused.value)


def test_nobody_there(opened: Open) -> None:
    with RtspCamera() as camera:
        address = camera.url()
    with pytest.raises(FetchRefused, match="does not answer"):
        opened(address).look()


def test_closing_ends_who_waits_and_the_child(opened: Open) -> None:
    with RtspCamera() as camera:
        eye = opened(camera.url())
        eye.look()
        eye.close()
        eye.close()
        assert eye._child._process.returncode is not None
        with pytest.raises(FetchRefused):
            eye.look()


def test_without_opencv_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "find_spec", lambda _: None)
    with pytest.raises(ConfigError) as refused:
        capture.need_video()
    assert "make extras ADD=video" in refused.value.next_step


def test_nothing_but_the_child_loads_opencv() -> None:
    code = "import sys; import sightline.watching.opening; print('cv2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
