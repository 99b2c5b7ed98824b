"""Jobs of one piece: judge a model, take a model in, train one."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from tests.runtime import graphs
from tests.training.conftest import toy
from tests.worker.working import square, work_off, zipped

from sightline.errors import ConfigError
from sightline.jobs.ledger import Ledger
from sightline.jobs.orders import (
    LIMITS_S,
    EvaluateOrder,
    ImportOrder,
    Order,
    Place,
    TrainOrder,
    blobs_of,
    kind_of,
    read,
    to_json,
)
from sightline.jobs.stops import Cancelled, HandBack
from sightline.registry import Registry, file_sha256
from sightline.settings import Settings, load_settings
from sightline.storage.job_kept import Job
from sightline.storage.kept import Picture
from sightline.worker.desk import Desk
from sightline.worker.tasks import TASKS

__all__ = ["toy"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data folder with a classifier of colours."""
    values = {"data_dir": str(tmp_path / "data"), "threads": 1, "decoders": 1, "disk_reserve_mb": 0}
    options = load_settings(values, environment={})
    folder = tmp_path / "colours"
    folder.mkdir()
    path = graphs.colour_classifier(folder / "model.onnx")
    about = graphs.manifest(
        name="colours", sha256=file_sha256(path), bytes=path.stat().st_size, licence="CC0-1.0"
    )
    (folder / "model.json").write_text(about.model_dump_json())
    Registry(options).add(folder)
    return options


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    with Ledger.open(settings) as ledger:
        made = Desk(settings, ledger)
        yield made
        made.close()


def submit(desk: Desk, order: Order) -> Job:
    kind = kind_of(order)
    return desk.ledger.submit(kind, to_json(order), limit_s=LIMITS_S[kind], blobs=blobs_of(order))


def done(desk: Desk, order: Order) -> Job:
    job = submit(desk, order)
    work_off(desk)
    return desk.ledger.get(job.id)


def classes() -> dict[str, bytes]:
    colours = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
    return {f"set/{name}/{n}.png": square(colour) for name, colour in colours.items() for n in range(2)}


@pytest.mark.parametrize(
    "order",
    [
        EvaluateOrder("a@1", Place("blob", "0" * 64, "x.zip"), first=3, size=320),
        ImportOrder(Place("path", "/m.onnx"), {"name": "m", "mean": [1, 2, 3]}),
        TrainOrder("everyday", ("optimiser.epochs=1",), ("/data",), add=False),
    ],
    ids=kind_of,
)
def test_orders_survive_the_way_through_the_database(order: Order) -> None:
    payload = json.loads(json.dumps(to_json(order)))
    assert asdict(read(type(order), payload)) == asdict(order)
    with pytest.raises(ConfigError, match="version"):
        read(type(order), payload | {"version": 99})


@pytest.mark.parametrize("uploaded", [False, True])
def test_an_evaluation_ends_with_the_report(desk: Desk, tmp_path: Path, uploaded: bool) -> None:
    if uploaded:
        place = Place("blob", desk.ledger.keep(Picture(zipped(classes()), "application/zip")), "set.zip")
    else:
        for name, data in classes().items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(data)
        place = Place("path", str(tmp_path / "set"), "set")
    job = done(desk, EvaluateOrder("colours", place, rounds=10))
    assert job.state == "done", job.error
    assert (job.progress.done, job.progress.total) == (6, 6)
    assert job.result is not None
    assert job.result["model"]["name"] == "colours"
    assert job.result["pictures"] == 6
    assert not list(desk.settings.data_path.glob(".job-*")), "nothing is left behind"


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"notes.txt": b"-"}, "bad_option"),
        ({"a.json": b"{}", "b.json": b"{}"}, "bad_option"),
        ({"../../x.json": b"{}"}, "bad_option"),
    ],
)
def test_zips_that_are_no_data_set(desk: Desk, files: dict[str, bytes], code: str) -> None:
    place = Place("blob", desk.ledger.keep(Picture(zipped(files), "application/zip")), "set.zip")
    job = done(desk, EvaluateOrder("colours", place))
    assert job.state == "failed"
    assert job.error is not None
    assert job.error["code"] == code


def test_a_cancelled_evaluation_ends_soon(desk: Desk) -> None:
    files = {f"red/{number}.png": square() for number in range(200)} | {"blue/0.png": square((0, 0, 255))}
    place = Place("blob", desk.ledger.keep(Picture(zipped(files), "application/zip")), "set.zip")
    submit(desk, EvaluateOrder("colours", place))
    claim = desk.ledger.claim("test", tuple(TASKS))
    assert claim is not None
    looked, check = [], desk.road.predict

    def predict(*args: Any, **options: Any) -> Any:
        looked.append(1)
        desk.tell(claim, "cancelled")
        return check(*args, **options)

    desk.road.predict = predict  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        TASKS["evaluate"](desk, claim)
    assert len(looked) < 50


@pytest.mark.parametrize("uploaded", [False, True])
def test_an_import_ends_with_the_model(desk: Desk, tmp_path: Path, uploaded: bool) -> None:
    path = graphs.colour_classifier(tmp_path / "net.onnx")
    place = Place("path", str(path), path.name)
    if uploaded:
        place = Place(
            "blob", desk.ledger.keep(Picture(path.read_bytes(), "application/octet-stream")), "net.onnx"
        )
    hints = {"name": "net", "task": "classify", "labels": ["red", "green", "blue"], "licence": "CC0-1.0"}
    job = done(desk, ImportOrder(place, hints))
    assert job.state == "done", job.error
    assert job.result is not None
    assert (job.result["name"], job.result["labels"]) == ("net", 3)
    assert Registry(desk.settings).resolve("net").labels == ("red", "green", "blue")


def test_a_refused_model_fails_the_job_and_says_why(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(b"\x80\x04 a pickle")
    job = done(desk, ImportOrder(Place("path", str(tmp_path / "net.pt"), "net.pt")))
    assert (job.state, job.error and job.error["code"]) == ("failed", "model_refused")
    job = done(desk, ImportOrder(Place("path", str(tmp_path / "gone.onnx"))))
    assert (job.state, job.error and job.error["code"]) == ("failed", "not_found")


@pytest.mark.train
@pytest.mark.slow
def test_a_training_run_reports_its_epochs_and_imports_its_model(desk: Desk, toy: Path) -> None:
    pytest.importorskip("torch", reason="The extra `train` is not installed.")
    job = done(desk, TrainOrder(str(toy / "toy.toml"), ("optimiser.epochs=1",)))
    assert job.state == "done", job.error
    assert (job.progress.done, job.progress.total) == (1, 1)
    assert job.result is not None
    assert job.result["model"] == "toy@1"
    assert Registry(desk.settings).resolve("toy").task == "detect"
    assert "epoch 1/1" in (desk.settings.data_path / "runs" / job.id / "job.log").read_text()
    (epoch,) = desk.ledger.items(job.id).items
    assert (epoch.index, epoch.source, epoch.state) == (0, "epoch 1", "done")
    assert epoch.result is not None
    assert set(epoch.result) >= {"number", "epochs", "loss", "metrics", "pictures_per_s"}


@pytest.mark.train
@pytest.mark.slow
def test_a_training_run_goes_on_from_its_last_epoch(desk: Desk, toy: Path) -> None:
    pytest.importorskip("torch", reason="The extra `train` is not installed.")
    job = submit(desk, TrainOrder(str(toy / "toy.toml"), ("optimiser.epochs=3",), add=False))
    claim = desk.ledger.claim("test", tuple(TASKS))
    assert claim is not None
    progress = desk.ledger.progress

    def stop(*args: Any) -> None:
        progress(*args)
        desk.stopping.set()  # after the first epoch

    desk.ledger.progress = stop  # type: ignore[method-assign,assignment]
    with pytest.raises(HandBack):
        TASKS["train"](desk, claim)
    desk.ledger.progress = progress  # type: ignore[method-assign]
    desk.ledger.hand_back(claim)
    desk.stopping.clear()
    work_off(desk)
    job = desk.ledger.get(job.id)
    assert job.state == "done", job.error
    log = (desk.settings.data_path / "runs" / job.id / "job.log").read_text()
    assert log.count("epoch 1/3") == 1
    assert log.count("epoch 3/3") == 1
    assert [item.source for item in desk.ledger.items(job.id).items] == ["epoch 1", "epoch 2", "epoch 3"]


def test_a_run_that_fails_says_its_last_words(desk: Desk, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="The extra `train` is not installed.")
    (tmp_path / "bad.toml").write_text('task = "magic"\n')
    job = done(desk, TrainOrder(str(tmp_path / "bad.toml")))
    assert job.state == "failed"
    assert job.error is not None
    assert job.error["code"] == "training_failed"
    assert "bad.toml" in job.error["message"]
    job = done(desk, TrainOrder("--out=/"))
    assert job.error is not None
    assert job.error["code"] == "bad_option"


def test_without_torch_it_says_what_to_install(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr("sightline.worker.training.find_spec", lambda _: None)
    job = done(desk, replace(TrainOrder("everyday")))
    assert job.error is not None
    assert job.error["code"] == "bad_configuration"
    assert "make extras ADD=train" in job.error["next_step"]
