import csv
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from PIL import Image, ImageOps
from tests.cli.conftest import Run

from sightline.formats import native
from sightline.serving.road import Road
from sightline.settings import load_settings

pytestmark = pytest.mark.shared


@pytest.fixture
def astronaut(samples: Path) -> Path:
    return samples / "astronaut.jpg"


def test_one_picture_for_people(run: Run, yolox_data: Path, astronaut: Path) -> None:
    done = run("predict", astronaut, data=yolox_data)
    assert done.exit_code == 0, done.stderr
    head, first, *_ = done.stdout.splitlines()
    assert head.startswith(f"{astronaut} (512 x 512): ")
    assert "person" in head
    score, label, *box = first.split()
    assert (label, len(box)) == ("person", 4)
    assert float(score) > 0.5
    assert done.stderr == ""


@pytest.mark.parametrize("kind", ["--json", "--csv", "--coco", "--table"])
def test_names_that_are_not_utf_8_are_told_in_other_letters(
    run: Run, yolox_data: Path, astronaut: Path, tmp_path: Path, kind: str
) -> None:
    odd = tmp_path / os.fsdecode(b"\xff")
    odd.mkdir()
    shutil.copy(astronaut, odd / os.fsdecode(b"\xe9.jpg"))
    (odd / os.fsdecode(b"\xea.jpg")).write_bytes(b"no picture")
    options = [] if kind == "--table" else ["--format", kind[2:]]
    done = run("predict", odd, odd / "none.jpg", *options, "--save", tmp_path / "out", data=yolox_data)
    assert done.exit_code == 1, done.stderr
    assert r"\udcff/\udcea.jpg" in done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_json_of_one_picture_is_one_result(run: Run, yolox_data: Path, astronaut: Path, root: Path) -> None:
    result = json.loads(run("predict", astronaut, "--json", data=yolox_data).stdout)
    schema = json.loads((root / "docs/reference/result.schema.json").read_text())
    jsonschema.validate(result, schema)
    assert result["source"] == str(astronaut)
    scores = [thing["score"] for thing in result["predictions"]]
    assert scores == sorted(scores, reverse=True)


def test_the_command_line_gives_the_numbers_of_the_road(run: Run, yolox_data: Path, astronaut: Path) -> None:
    said = json.loads(run("predict", astronaut, "--json", data=yolox_data).stdout)
    with Road.open(load_settings({"data_dir": str(yolox_data)}, environment={})) as road:
        result = native.to_json(road.predict(astronaut.read_bytes()))
    assert said["predictions"] == result["predictions"]


def test_a_rotated_picture_gives_the_boxes_of_the_upright_one(
    run: Run, yolox_data: Path, photos: Path, tmp_path: Path
) -> None:
    """The photo is stored sideways with an EXIF tag; the upright copy has the same pixels without one."""
    rotated = photos / "08_street_303818_exif6.jpg"
    upright = tmp_path / "upright.png"
    turned = tmp_path / "turned.png"
    with Image.open(rotated) as picture:
        exif = picture.getexif()
        Image.frombytes(picture.mode, picture.size, picture.tobytes()).save(turned, exif=exif)
        ImageOps.exif_transpose(picture).save(upright, exif=Image.Exif())
    answers = json.loads(run("predict", turned, upright, "--json", data=yolox_data).stdout)["results"]
    assert answers[0]["image"] == answers[1]["image"] == {"width": 480, "height": 640}
    assert answers[0]["predictions"] == answers[1]["predictions"] != []


def test_all_kinds_of_sources_in_their_order(
    run: Run, yolox_data: Path, photos: Path, samples: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "two.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.write(samples / "cat.jpg", "cat.jpg")
        out.write(samples / "buses.jpg", "in/buses.jpg")
    words = [archive, f"{photos}/2[78]*", "-", samples]
    stdin = (samples / "coffee.jpg").read_bytes()
    done = run("predict", *words, "--json", data=yolox_data, input=stdin)
    answer = json.loads(done.stdout)
    assert done.exit_code == 0
    assert answer["errors"] == []
    names = [result["source"] for result in answer["results"]]
    assert names[:2] == [f"{archive}/cat.jpg", f"{archive}/in/buses.jpg"]
    assert [Path(name).name for name in names[2:4]] == ["27_food_coffee.png", "28_indoor_89.jpg"]
    assert names[4] == "standard input"
    assert names[5:] == sorted(names[5:])
    assert len(names) == 11


def test_bad_pictures_are_reported_and_the_others_go_on(
    run: Run, yolox_data: Path, astronaut: Path, tmp_path: Path
) -> None:
    (tmp_path / "not\x1b[2J.jpg").write_text("I am no picture")
    done = run("predict", "gone.jpg", astronaut, tmp_path / "not\x1b[2J.jpg", "--json", data=yolox_data)
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert [result["source"] for result in answer["results"]] == [str(astronaut)]
    assert [error["code"] for error in answer["errors"]] == ["not_found", "not_a_picture"]
    assert "gone.jpg: There is no file gone.jpg." in done.stderr
    assert "\x1b" not in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_but_failures_is_still_valid_json(run: Run, yolox_data: Path) -> None:
    done = run("predict", "gone.jpg", "away.jpg", "--json", data=yolox_data)
    assert json.loads(done.stdout)["results"] == []
    assert done.exit_code == 1


def test_filters(run: Run, yolox_data: Path, samples: Path) -> None:
    words = ["predict", samples / "buses.jpg", "--json"]
    everything = json.loads(run(*words, "--min-score", "0.2", data=yolox_data).stdout)["predictions"]
    cars = json.loads(run(*words, "--min-score", "0.2", "--labels", "car, bus", data=yolox_data).stdout)
    assert {thing["label"] for thing in cars["predictions"]} == {"car", "bus"}
    assert len(everything) > len(cars["predictions"])
    one = json.loads(run(*words, "--max-results", "1", data=yolox_data).stdout)["predictions"]
    assert one == everything[:1]


def test_csv_and_coco(run: Run, yolox_data: Path, samples: Path) -> None:
    words = [samples / "buses.jpg", samples / "astronaut.jpg"]
    rows = list(
        csv.DictReader(io.StringIO(run("predict", *words, "--format", "csv", data=yolox_data).stdout))
    )
    assert {row["image"] for row in rows} == {str(word) for word in words}
    assert all(float(row["score"]) >= 0.35 for row in rows)
    sent = {str(word): hashlib.sha256(word.read_bytes()).hexdigest() for word in words}
    assert {row["image"]: row["image_sha256"] for row in rows} == sent
    coco = json.loads(run("predict", *words, "--format", "coco", data=yolox_data).stdout)
    assert len(coco["images"]) == 2
    assert len(coco["annotations"]) == len(rows)


def test_yolo_and_voc(run: Run, yolox_data: Path, samples: Path, tmp_path: Path) -> None:
    text = run("predict", samples / "astronaut.jpg", "--format", "yolo", data=yolox_data).stdout
    assert text.split()[0] == "0"
    xml = run("predict", samples / "astronaut.jpg", "--format", "voc", data=yolox_data).stdout
    assert ET.fromstring(xml).findtext("object/name") == "person"
    refused = run("predict", samples, "--format", "voc", data=yolox_data)
    assert refused.exit_code == 2
    assert "--save FOLDER" in refused.stderr
    done = run("predict", samples, "--format", "yolo", "--save", tmp_path / "out", data=yolox_data)
    assert done.exit_code == 0
    assert done.stdout == ""
    assert (tmp_path / "out" / "astronaut.txt").read_text() == text
    assert (tmp_path / "out" / "classes.txt").read_text().startswith("person\nbicycle\n")


def test_annotated_pictures_are_saved(run: Run, yolox_data: Path, samples: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "x.jpg", tmp_path / "b" / "x.png"
    for path in (first, second):
        path.parent.mkdir()
        with Image.open(samples / "astronaut.jpg") as picture:
            picture.save(path)
    done = run("predict", first, second, "--save", tmp_path / "out", data=yolox_data)
    assert done.exit_code == 0
    saved = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert saved == ["x-2_annotated.png", "x_annotated.jpg"]
    with Image.open(tmp_path / "out" / "x_annotated.jpg") as seen, Image.open(first) as picture:
        assert seen.size == picture.size
        assert seen.tobytes() != picture.tobytes()


def test_a_folder_that_cannot_be_made(run: Run, yolox_data: Path, samples: Path) -> None:
    Path("taken").write_text("")
    done = run("predict", samples / "cat.jpg", "--save", "taken/inner", data=yolox_data)
    assert done.exit_code == 2
    assert "cannot be made" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--model", "nix"], 3, "There is no model 'nix'"),
        (["--labels", "persn"], 2, "Did you mean person"),
        (["--labels", "qqqq"], 2, "models show everyday"),
        (["--model", "features", "--labels", "tabby"], 2, "Did you mean tabby%2C tabby cat?"),
        (["--json", "--format", "csv"], 2, "contradict"),
        (["--min-score", "2"], 2, "--min-score"),
        (["--set", "waiting_max=0"], 2, "waiting_max must be above zero"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options(
    run: Run, yolox_data: Path, samples: Path, words: list[str], code: int, sentence: str
) -> None:
    done = run("predict", samples / "cat.jpg", *words, data=yolox_data)
    assert done.exit_code == code
    assert sentence in done.stderr
    assert done.stdout == ""


def test_without_any_source(run: Run) -> None:
    assert run("predict").exit_code == 2


def test_ctrl_c_ends_it_cleanly(
    yolox_data: Path, photos: Path, tmp_path: Path, sightline_command: list[str]
) -> None:
    """The signal goes to the whole group, as from a terminal: exit code 130, no trace, no process left."""
    pictures = tmp_path / "many"
    pictures.mkdir()
    for number in range(60):
        for photo in sorted(photos.glob("0*.jpg")):
            (pictures / f"{number}-{photo.name}").symlink_to(photo)
    child = _begin(yolox_data, *sightline_command, "predict", str(pictures))
    assert child.stdout is not None
    assert child.stdout.readline()
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == 130
    assert errors.strip() == "Interrupted."
    end = time.monotonic() + 5
    while _group_lives(child.pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _group_lives(child.pid), "A child process outlived the command."


def test_ctrl_c_ends_a_command_that_waits_for_standard_input(yolox_data: Path) -> None:
    child = _begin(yolox_data, sys.executable, "-m", "sightline", "predict", "-", stdin=subprocess.PIPE)
    with child:
        assert child.stdin is not None
        time.sleep(2)
        os.killpg(child.pid, signal.SIGINT)
        assert child.wait(5) == 130, "standard input is still open"


def test_ctrl_c_does_not_wait_for_a_server_that_is_slow(yolox_data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"127.0.0.1:{server.getsockname()[1]}"
        options = ("--set", f"fetch_allow={host}", "--set", "fetch_total_s=600")
        command = (sys.executable, "-m", "sightline", "predict", f"http://{host}/a.jpg", *options)
        with _begin(yolox_data, *command) as child:
            server.settimeout(60)
            connection, _ = server.accept()
            with connection:
                os.killpg(child.pid, signal.SIGINT)
                _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert errors.strip() == "Interrupted."


def _begin(data: Path, *words: str, stdin: int | None = None) -> "subprocess.Popen[str]":
    """The command in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        words,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_ctrl_c,  # noqa: PLW1509 - before any thread of the child
        env=os.environ | {"SIGHTLINE_DATA_DIR": str(data)},
    )


def _hear_ctrl_c() -> None:
    """A shell's background jobs, which tests may run in, ignore the signal, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
