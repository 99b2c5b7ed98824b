"""``sightline jobs``, and ``predict --job`` from the submission to the zip."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Run
from tests.runtime import graphs
from tests.worker.working import album, work_off

from sightline.cli.jobs import waiting
from sightline.jobs.ledger import Ledger
from sightline.registry import Registry
from sightline.settings import Settings, load_settings
from sightline.storage.job_kept import Job
from sightline.worker.crew import Crew
from sightline.worker.desk import Desk


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works here, which is said after five seconds otherwise."""
    monkeypatch.setattr(waiting, "TAKEN_S", 0.0)
    monkeypatch.setenv("SIGHTLINE_MODEL", "cells")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    values = {"data_dir": str(tmp_path / "data"), "threads": 1, "decoders": 1, "model": "cells"}
    options = load_settings(values, environment={})
    Registry(options).add(graphs.sized_bundle(tmp_path / "cells"))
    return options


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with Ledger.open(settings) as opened:
        yield opened


def finish(settings: Settings, ledger: Ledger) -> None:
    desk = Desk(settings, ledger)
    work_off(desk)
    desk.close()


def submitted(run: Run, ledger: Ledger, *words: object) -> Job:
    done = run("predict", "--job", *words)
    assert done.exit_code == 0, done.stderr
    return ledger.get(done.stdout.strip())


def test_submit_work_wait_and_take(run: Run, settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    folder = album(tmp_path / "album", 3, broken=[1])
    done = run("predict", "--job", folder)
    assert done.exit_code == 0
    job = ledger.get(done.stdout.strip())
    assert "No worker has taken" in done.stderr
    assert f"jobs wait --run {job.id[:12]}" in done.stderr
    finish(settings, ledger)
    waited = run("jobs", "wait", job.id[:8])
    assert waited.exit_code == 1, "a picture failed"
    assert "is done: 3 of 3 pictures, 1 failed" in waited.stdout
    lines = [json.loads(line) for line in run("jobs", "results", job.id).stdout.splitlines()]
    assert [line["state"] for line in lines] == ["done", "failed", "done"]
    out = tmp_path / "all.zip"
    assert run("jobs", "results", job.id, "--format", "zip", "--out", out).exit_code == 0
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [
            "000000-000_annotated.png",
            "000000-000.json",
            "000002-002_annotated.png",
            "000002-002.json",
            "errors.csv",
        ]
        assert archive.read("000000-000_annotated.png").startswith(b"\x89PNG")


def test_every_source_is_named_by_its_whole_path(
    run: Run, ledger: Ledger, settings: Settings, tmp_path: Path
) -> None:
    album(tmp_path / "work" / "a[1]", 2)
    job = submitted(run, ledger, "a[1]", "*/00*.png")
    finish(settings, ledger)
    sources = [item.source for item in ledger.items(job.id).items]
    assert sources == [str(tmp_path / "work" / "a[1]" / f"00{n}.png") for n in (0, 1)] * 2


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["-"], 2, "standard input"),
        (["gone.jpg"], 3, "no file"),
        (["s3://secret/x/"], 2, "may not read"),
        ([".", "--save", "out"], 2, "--save"),
        ([".", "--format", "csv"], 2, "--format csv"),
        ([".", "--labels", "unicorn"], 2, "unicorn"),
        ([".", "--model", "nobody"], 3, "nobody"),
        ([".", "--size", "17"], 2, "17"),
        (["nothing-*.png"], 2, "No file matches nothing-*.png"),
        (["empty"], 2, "empty holds no pictures"),
        (["empty.zip"], 2, "empty.zip holds no pictures"),
        (["broken.zip"], 2, "broken.zip cannot be read as a zip"),
        (["*.zip"], 2, ".zip"),
        ([".", "bomb.zip"], 2, "Leave out zeros.png"),
        ([".", "--priority", "101"], 2, "--priority"),
    ],
)
def test_what_is_off_is_said_before_anything_is_submitted(
    run: Run, ledger: Ledger, words: list[str], code: int, sentence: str
) -> None:
    album(Path("photos"), 1)
    Path("empty").mkdir()
    Path("broken.zip").write_bytes(b"PK\x03\x04 and so on")
    zipfile.ZipFile("empty.zip", "w").close()
    with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zeros.png", bytes(32 << 20))
        bomb.writestr("small.png", b"x" * 100)
    done = run("predict", "--job", *words)
    assert done.exit_code == code, done.stderr
    assert sentence in done.stderr
    assert ledger.page().total == 0


def test_the_end_of_an_evaluation_is_its_figures(run: Run, ledger: Ledger) -> None:
    job = ledger.submit("evaluate", {})
    mine = ledger.claim("w", ["evaluate"])
    assert mine is not None
    whole = {"value": 0.5, "low": None, "high": None}
    found = {"mAP": {"value": 0.1234, "low": 0.1, "high": 0.15}, "top1": whole}
    ledger.finish(mine, {"figures": found})
    said = run("jobs", "wait", job.id).stdout
    assert "mAP          12.3 [10.0, 15.0] %" in said
    assert "top1         50.0 %" in said


def test_a_priority_is_of_the_job(run: Run, ledger: Ledger, tmp_path: Path) -> None:
    folder = album(tmp_path / "album", 1)
    assert submitted(run, ledger, folder, "--priority", "-7").priority == -7
    assert submitted(run, ledger, folder).priority == 0
    done = run("predict", folder, "--priority", "1")
    assert (done.exit_code, "--priority is for jobs" in done.stderr) == (2, True)


def test_nobody_is_missed_who_is_there(
    run: Run, ledger: Ledger, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = album(tmp_path / "album", 1)
    monkeypatch.setattr("sightline.worker.crew._LOOK_S", 3600.0)  # it is there, and slow
    assert "No worker has taken" in run("predict", "--job", folder).stderr
    with Crew(settings):
        assert run("predict", "--job", folder).stderr == ""
    assert "No worker has taken" in run("predict", "--job", folder).stderr


def test_a_password_in_an_address_is_not_shown(run: Run, settings: Settings, ledger: Ledger) -> None:
    job = submitted(run, ledger, "http://me:hush@127.0.0.1/a.jpg", "https://me@[::1]/b.jpg?q=1@2")
    finish(settings, ledger)
    sources = [item.source for item in ledger.items(job.id).items]
    assert sources == ["http://127.0.0.1/a.jpg", "https://[::1]/b.jpg?q=1@2"]
    shown = run("jobs", "show", job.id).stdout + run("jobs", "show", job.id, "--json").stdout
    assert "hush" not in shown + str(ledger.events(job.id)) + run("jobs", "results", job.id).stdout


def test_list_show_cancel_retry_remove(run: Run, settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    assert "no such job" in run("jobs", "list").stdout
    job = submitted(run, ledger, album(tmp_path / "album", 1))
    assert json.loads(run("jobs", "show", job.id, "--json").stdout) == ledger.get(job.id).to_json()
    listed = json.loads(run("jobs", "list", "--json").stdout)
    assert ([row["id"] for row in listed["jobs"]], listed["total"]) == ([job.id], 1)
    assert job.id[:12] in run("jobs", "list", "--state", "queued").stdout
    assert job.id[:12] not in run("jobs", "list", "--kind", "video").stdout
    assert run("jobs", "remove", job.id).exit_code == 2, "it has not ended"
    assert "cancelled" in run("jobs", "cancel", job.id).stdout
    assert run("jobs", "wait", job.id).exit_code == 1
    assert "queued" in run("jobs", "retry", job.id[:6]).stdout
    finish(settings, ledger)
    assert run("jobs", "retry", job.id).exit_code == 2, "nothing of it failed"
    shown = run("jobs", "show", job.id).stdout
    assert "is done: 1 of 1 pictures" in shown
    assert job.id in shown
    assert json.loads(run("jobs", "remove", job.id, "--json").stdout) == {
        "jobs": [{"id": job.id, "state": "removed"}]
    }
    gone = run("jobs", "show", job.id)
    assert gone.exit_code == 3
    assert "There is no job" in gone.stderr


def test_several_jobs_at_once(run: Run, ledger: Ledger, tmp_path: Path) -> None:
    folder = album(tmp_path / "album", 1)
    jobs = [submitted(run, ledger, folder) for _ in range(2)]
    done = run("jobs", "cancel", jobs[0].id, "0" * 32, jobs[1].id)
    assert done.exit_code == 1
    assert done.stdout.count("cancelled") == 2
    assert "There is no job" in done.stderr


def test_beginnings_of_ids(run: Run, ledger: Ledger, tmp_path: Path) -> None:
    job = submitted(run, ledger, album(tmp_path / "album", 1))
    assert run("jobs", "show", job.id[:4]).exit_code == 0
    assert run("jobs", "show", job.id[:3]).exit_code == 2
    assert run("jobs", "show", "zzzz").exit_code == 3


def test_failures_are_shown_with_their_reasons(
    run: Run, settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    job = submitted(run, ledger, album(tmp_path / "album", 12, broken=range(12)))
    finish(settings, ledger)
    shown = run("jobs", "show", job.id).stdout
    assert shown.count("  failed  ") == 10
    assert "000.png: The file is no JPEG" in shown
    assert "… and 2 more." in shown


def test_a_wait_has_an_end(run: Run, ledger: Ledger, tmp_path: Path) -> None:
    job = submitted(run, ledger, album(tmp_path / "album", 1))
    done = run("jobs", "wait", job.id, "--timeout", "0.2")
    assert done.exit_code == 4
    assert "has not ended within 0.2 s" in done.stderr


def test_work_it_off_here(run: Run, ledger: Ledger, tmp_path: Path) -> None:
    folder = album(tmp_path / "album", 2)
    done = run("predict", "--run", "--json", folder)
    assert done.exit_code == 0, done.output
    body = json.loads(done.stdout)
    assert (body["state"], body["progress"]) == ("done", {"done": 2, "total": 2})
    assert body["model"] == "cells@1"
    assert len(ledger.items(body["id"]).items) == 2


def test_evaluations_imports_and_trainings_can_be_jobs(run: Run, ledger: Ledger, tmp_path: Path) -> None:
    album(tmp_path / "set" / "red", 1)
    model = graphs.colour_classifier(tmp_path / "net.onnx")
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    said = [
        run("evaluate", "cells", tmp_path / "set", "--first", 3, "--job"),
        run("models", "import", model, "--labels", tmp_path / "labels.txt", "--job"),
        run("train", "everyday", "--change", "optimiser.epochs=1", "--add", "--job"),
    ]
    assert [done.exit_code for done in said] == [0, 0, 0], [done.output for done in said]
    jobs = [ledger.get(done.stdout.strip()) for done in said]
    assert [job.kind for job in jobs] == ["evaluate", "import", "train"]
    assert jobs[0].payload["data"] == {"type": "path", "at": str(tmp_path / "set"), "name": "set"}
    assert jobs[0].payload["first"] == 3
    assert jobs[1].payload["hints"]["labels"] == ["red", "green", "blue"]
    assert jobs[2].payload["changes"] == ["optimiser.epochs=1"]
    assert jobs[2].limit_s == 0
    assert run("train", "everyday", "--job", "--out", tmp_path).exit_code == 2


def test_a_video_is_a_job_of_its_own(run: Run, settings: Settings, ledger: Ledger, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV (the extra `video`) is not installed.")
    film = tmp_path / "street.avi"
    writer = cv2.VideoWriter(str(film), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    for shade in range(5):
        writer.write(np.full((48, 64, 3), 40 * shade, np.uint8))
    writer.release()
    done = run("predict", "--job", "--min-score", 0.5, film)
    assert done.exit_code == 0, done.stderr
    job = ledger.get(done.stdout.strip())
    assert (job.kind, job.payload["video"]["place"], job.payload["ask"]["min_score"]) == (
        "video",
        str(film),
        0.5,
    )
    early = run("jobs", "results", job.id)
    assert early.exit_code != 0
    assert "has made no files yet" in early.stderr
    finish(settings, ledger)
    lines = run("jobs", "results", job.id).stdout.splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1, 2, 3, 4]
    assert run("jobs", "results", job.id, "--format", "csv").stdout.startswith("frame,")
    run("jobs", "results", job.id, "--format", "zip", "--out", tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert sorted(archive.namelist()) == ["street.csv", "street.jsonl", "street.webm"]
    both = run("predict", "--job", film, tmp_path)
    assert both.exit_code != 0
    assert "takes one video" in both.stderr
