"""``sightline watch`` as a person starts it: a child process, real cameras on the loopback, a real model."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run
from tests.runtime import graphs
from tests.watching.cameras import Camera, RtspCamera
from tests.watching.conftest import MakeVideo, colour_data, unused_port, video

from sightline.registry import Registry
from sightline.rules import RuleDesk
from sightline.settings import load_settings
from sightline.storage.kept import Search
from sightline.storage.store import Store

__all__ = ["colour_data", "unused_port", "video"]
Begin = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def begin(colour_data: Path, tmp_path: Path, sightline_command: list[str]) -> Iterator[Begin]:
    """``begin("0", "--every-frame")`` in a process group of its own, as a terminal starts it."""
    begun = []

    def start(*words: object, data: Path = colour_data) -> "subprocess.Popen[bytes]":
        child = subprocess.Popen(
            [*sightline_command, "watch", *map(str, words), "--model", "colour", "--threads", "1"],
            bufsize=0,  # what `readline` has not given is still there for `communicate`
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - before threads
            env=os.environ | {"SIGHTLINE_DATA_DIR": str(data)},
            cwd=tmp_path,
        )
        begun.append(child)
        return child

    yield start
    for child in begun:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def rest(child: "subprocess.Popen[bytes]") -> tuple[str, str]:
    """Standard output from here on, and standard error; the child has ended then."""
    output, errors = child.communicate(timeout=120)
    return output.decode(), errors.decode()


def bodies(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_video_file(begin: Begin, video: MakeVideo) -> None:
    path = video("red", "green", "blue")
    output, errors = rest(begin(path, "--every", "1"))
    found = bodies(output)
    assert errors == ""
    assert [body["predictions"][0]["label"] for body in found] == ["red", "green", "blue"]
    assert [body["frame"]["index"] for body in found] == [0, 10, 20]
    assert [body["frame"]["time_s"] for body in found] == [0.0, 1.0, 2.0]
    assert {body["source"] for body in found} == {str(path)}
    assert set(found[0]["frame"]) == {"index", "time_s", "taken"}
    assert found[0]["frame"]["taken"].endswith("Z")


@pytest.mark.parametrize("kind", [Camera, RtspCamera])
def test_a_camera_that_is_cut_in_the_middle(begin: Begin, kind: type[Camera | RtspCamera]) -> None:
    with kind() as camera:
        child = begin(camera.url(), "--every-frame", "--count", "60")
        assert child.stdout is not None
        lines = [child.stdout.readline().decode() for _ in range(5)]
        camera.show = lambda _: "blue"
        camera.cut()
        output, errors = rest(child)
    found = bodies("".join(lines) + output)
    assert child.returncode == 0
    assert len(found) == 60
    assert found[0]["predictions"][0]["label"] == "red"
    assert found[-1]["predictions"][0]["label"] == "blue"
    assert "Trying again in" in errors
    assert camera.connections >= 2
    indices = [body["frame"]["index"] for body in found]
    assert any(after < before for before, after in pairwise(indices)), "counted anew"


def test_several_at_once_and_one_that_fails(begin: Begin, video: MakeVideo, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with Camera() as camera:
        child = begin(video("green"), broken, camera.url(), "--every-frame", "--count", "5")
        output, errors = rest(child)
    assert child.returncode == 1
    sources = [body["source"] for body in bodies(output)]
    assert len(sources) == 10
    assert len(set(sources)) == 2
    assert "broken.mp4: The file is no video that can be read." in errors


def test_what_is_not_there_does_not_end_the_others(begin: Begin, video: MakeVideo) -> None:
    words = ["nowhere.mp4", "ftp://joe:t0psecret@cam/x", "/dev/video987", "--retries", "0"]
    child = begin(video("green"), *words, "--every", "0", "--count", "5")
    output, errors = rest(child)
    assert child.returncode == 1
    assert len(bodies(output)) == 5
    assert "nowhere.mp4: There is no file nowhere.mp4." in errors
    assert "ftp://cam/x: Sightline does not watch ftp:// addresses." in errors
    assert "/dev/video987: There is no camera /dev/video987 on this machine." in errors
    assert "t0psecret" not in errors


def test_a_camera_that_is_not_there_yet_is_waited_for(begin: Begin) -> None:
    child = begin("/dev/video987", "--retries", "1")
    output, errors = rest(child)
    assert (child.returncode, output) == (1, "")
    assert errors.count("There is no camera /dev/video987") == 2
    assert "Trying again in" in errors


def test_ctrl_c_ends_it_cleanly(begin: Begin, video: MakeVideo) -> None:
    with RtspCamera() as camera:
        child = begin(camera.url(), video("red", frames=3000), "--every-frame")
        assert child.stdout is not None
        child.stdout.readline()
        os.killpg(child.pid, signal.SIGINT)
        output, errors = rest(child)
    assert child.returncode == 130
    assert errors.strip() == "Interrupted."
    assert bodies(output) is not None, "the last line is whole"


def test_a_service_manager_may_end_it(begin: Begin) -> None:
    with Camera() as camera:
        child = begin(camera.url(), "--every-frame")
        assert child.stdout is not None
        child.stdout.readline()
        child.terminate()
        _, errors = rest(child)
    assert child.returncode == 130
    assert "Traceback" not in errors


def test_whoever_reads_may_go(begin: Begin) -> None:
    with Camera() as camera:
        child = begin(camera.url(), "--every-frame")
        assert child.stdout is not None
        child.stdout.readline()
        child.stdout.close()
        child.wait(60)
        assert child.stderr is not None
        assert child.stderr.read() == b""


def test_pictures_and_answers_are_kept(begin: Begin, colour_data: Path, video: MakeVideo) -> None:
    child = begin(video("red", "blue"), "--every", "1", "--store", "--min-score", "0.9")
    output, errors = rest(child)
    assert errors == ""
    found = bodies(output)
    assert len(found) == 2
    store = Store.open(load_settings({"data_dir": str(colour_data)}, environment={}))
    page = store.page(Search(model="colour"))
    assert {item.id for item in page.items} >= {body["id"] for body in found}
    record = store.get(found[1]["id"])
    assert dict(record.counts) == {"blue": 1}
    assert record.min_score == 0.9
    assert store.image(found[1]["id"]).data[:2] == b"\xff\xd8"
    assert store.thumbnail(found[1]["id"]).data[:2] == b"\xff\xd8"
    store.close()


def test_what_is_kept_besides_makes_no_rule_fire(begin: Begin, video: MakeVideo, tmp_path: Path) -> None:
    """The classes of a red picture are about 0.54, 0.23 and 0.23: all are kept, one was asked for."""
    settings = load_settings({"data_dir": str(tmp_path / "data")}, environment={})
    Registry(settings).add(graphs.colour_bundle(tmp_path / "bundle", sharpness=1))
    desk = RuleDesk.open(settings)
    for what in ("red", "blue"):
        desk.add({"what": what, "min_score": 0.1, "name": what, "actions": [{"kind": "log"}]})
    desk.close()
    words = ("--every", "1", "--store", "--min-score", "0.4")
    output, _ = rest(begin(video("red"), *words, data=settings.data_path))
    (body,) = bodies(output)
    assert [row["label"] for row in body["predictions"]] == ["red"]
    assert [alert["name"] for alert in body["alerts"]] == ["red"]
    store = Store.open(settings)
    assert len(store.get(body["id"]).payload["predictions"]) == 3
    store.close()


def test_the_lines_go_to_a_file_too(begin: Begin, video: MakeVideo, tmp_path: Path) -> None:
    path = video("red")
    for _ in range(2):
        output, _ = rest(begin(path, "--every", "0.5", "--jsonl", "lines.jsonl"))
    text = (tmp_path / "lines.jsonl").read_text()
    assert text.endswith(output)
    assert len(bodies(text)) == 4


def test_passwords_are_never_said(begin: Begin, unused_port: int) -> None:
    with RtspCamera(login="joe:t0psecret") as camera:
        other = f"http://joe:t0psecret@127.0.0.1:{unused_port}/v?key=t0psecret"
        words = [camera.url("joe:t0psecret@"), other]
        child = begin(*words, "--every-frame", "--count", "2", "--retries", "1")
        output, errors = rest(child)
    assert child.returncode == 1
    assert len(bodies(output)) == 2
    assert "t0psecret" not in output + errors
    assert f"http://127.0.0.1:{unused_port}/v?…" in errors


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["nowhere.mp4"], 3, "no file nowhere.mp4"),
        (["ftp://cam/x"], 2, "does not watch ftp://"),
        (["http://cam/v", "--every", "3", "--every-frame"], 2, "contradict"),
        (["http://cam/v", "--labels", "redd"], 2, "Did you mean red"),
        (["http://cam/v", "--model", "nix"], 3, "no model 'nix'"),
        (["http://cam/v", "--jsonl", "no/such/folder/x"], 2, "cannot be written"),
        ([], 2, "SOURCE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words(run: Run, colour_data: Path, words: list[str], code: int, sentence: str) -> None:
    named = words if "--model" in words else [*words, "--model", "colour"]
    done = run("watch", *named, data=colour_data)
    assert done.exit_code == code, done.stderr
    assert sentence in done.stderr
    assert done.stdout == ""


def test_without_opencv(
    run: Run, colour_data: Path, video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = video("red")
    monkeypatch.setattr("sightline.watching.capture.find_spec", lambda _: None)
    done = run("watch", path, "--model", "colour", data=colour_data)
    assert done.exit_code == 2
    assert "make extras ADD=video" in done.stderr
    with Camera() as camera:
        done = run("watch", camera.url(), "--count", 1, "--model", "colour", data=colour_data)
    assert done.exit_code == 0, "MJPEG needs no OpenCV"
