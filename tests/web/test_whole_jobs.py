"""Evaluations, imports and training runs over HTTP: what they end with, and what they may not be told."""

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serving.test_pipelines import BLUE, DOOR, RED, png
from tests.web import tiny
from tests.web.conftest import Server

from sightline.jobs.ledger import Ledger
from sightline.jobs.orders import TRAIN
from sightline.settings import load_settings
from sightline.storage.job_kept import Item
from sightline.web.job_whole import CHANGES

JOBS = "/api/v1/jobs"


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def colours() -> bytes:
    """A labelled data set: a folder for each class."""
    plain = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
    return zipped({f"set/{name}/{n}.png": png(rgb, rgb) for name, rgb in plain.items() for n in range(2)})


@pytest.fixture
def working(starting: Callable[..., Server]) -> Iterator[httpx.Client]:
    """Talks to a server with a worker of its own."""
    with httpx.Client(base_url=starting(workers=1).url, timeout=60) as client:
        yield client


def ended(client: httpx.Client, sent: httpx.Response) -> dict[str, Any]:
    """The job, once it has come to an end."""
    assert sent.status_code == 202, sent.text
    until = time.monotonic() + 120
    while time.monotonic() < until:
        job: dict[str, Any] = client.get(sent.headers["location"]).json()
        if job["state"] not in {"queued", "running"}:
            return job
        time.sleep(0.1)
    raise AssertionError(job)


def upload(client: httpx.Client, **files: tuple[str, bytes]) -> dict[str, Any]:
    answer = client.post("/api/v1/uploads", files=files)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_model_is_judged_imported_and_judged_again(working: httpx.Client, tmp_path: Path) -> None:
    form = {"kind": "evaluate", "options": json.dumps({"model": "colours", "rounds": 20})}
    sent = working.post(JOBS, files={"archive": ("set.zip", colours())}, data=form)
    assert (sent.json()["kind"], sent.json()["model"]) == ("evaluate", "colours")
    job = ended(working, sent)
    assert job["state"] == "done", job["error"]
    report = job["result"]
    assert (report["model"]["name"], report["dataset"], report["pictures"]) == ("colours", "set", 6)
    top1 = report["figures"]["top1"]
    assert top1["low"] <= top1["value"] <= top1["high"]
    assert str(tmp_path) not in json.dumps(job), "places of the server are nobody's business"

    kept = upload(working, bundle=("net.onnx", tiny.classifier().SerializeToString()))["bundle"]
    wish = {
        "kind": "import",
        "inputs": {"bundle": {"id": kept["id"], "name": "net.onnx"}},
        "options": {"name": "mine", "task": "classify", "labels": ["red", "green", "blue"], "scale": 1 / 255},
    }
    job = ended(working, working.post(JOBS, json=wish, headers={"Idempotency-Key": "once"}))
    assert job["state"] == "done", job["error"]
    assert (job["result"]["name"], job["result"]["version"], job["model"]) == ("mine", "1", "net.onnx")
    assert working.get("/api/v1/models/mine").json()["label_names"] == ["red", "green", "blue"]
    again = working.post(JOBS, json=wish, headers={"Idempotency-Key": "once"})
    assert again.json()["id"] == job["id"]

    archive = upload(working, archive=("set.zip", colours()))["archive"]
    wish = {
        "kind": "evaluate",
        "inputs": {"archive": {"id": archive["id"], "name": "set.zip"}},
        "options": {"model": "mine", "first": 3, "rounds": 0},
    }
    job = ended(working, working.post(JOBS, json=wish))
    assert (job["state"], job["result"]["pictures"]) == ("done", 3)


def test_a_pipeline_and_a_refusal_come_by_the_same_way(working: httpx.Client) -> None:
    sent = working.post(JOBS, files={"bundle": ("door.toml", DOOR.encode())})
    assert sent.json()["kind"] == "import"
    job = ended(working, sent)
    assert (job["state"], job["result"]["task"]) == ("done", "pipeline"), job["error"]
    assert working.get("/api/v1/pipelines/door").json()["second"] == "colours"
    job = ended(working, working.post(JOBS, files={"bundle": ("net.pt", b"\x80\x04 a pickle")}))
    assert (job["state"], job["error"]["code"]) == ("failed", "model_refused")
    labelled = zipped({"rider/0.png": png(RED), "person/0.png": png(BLUE)})
    form = {"kind": "evaluate", "options": json.dumps({"model": "door"})}
    job = ended(working, working.post(JOBS, files={"archive": ("set.zip", labelled)}, data=form))
    assert (job["state"], job["result"]["figures"]["right"]["value"]) == ("done", 1.0)


@pytest.mark.parametrize("name", ["/etc/hostname", "../../../etc/hostname", "a/../../b.png", "..\\b.png"])
def test_a_data_set_that_leads_out_of_itself_is_refused(working: httpx.Client, name: str) -> None:
    coco = {
        "images": [{"id": 1, "file_name": name, "width": 64, "height": 64}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 8, 8]}],
        "categories": [{"id": 1, "name": "person"}],
    }
    packed = zipped({"set.json": json.dumps(coco).encode(), "a.png": png(RED)})
    form = {"kind": "evaluate", "options": json.dumps({"model": "tiny"})}
    job = ended(working, working.post(JOBS, files={"archive": ("set.zip", packed)}, data=form))
    assert (job["state"], job["error"]["code"]) == ("failed", "bad_option")
    assert "lies outside of it" in job["error"]["message"]


SOME = {"id": "0" * 64}


@pytest.mark.parametrize(
    "wish",
    [
        {"kind": "evaluate", "inputs": {"archive": SOME}},
        {"kind": "evaluate", "inputs": {"path": "/data/set"}, "options": {"model": "tiny"}},
        {"kind": "evaluate", "inputs": {"archive": "/data/set.zip"}, "options": {"model": "tiny"}},
        {"kind": "evaluate", "inputs": {"archive": SOME}, "options": {"model": "tiny", "pictures": "/data"}},
        {"kind": "evaluate", "inputs": {"archive": SOME}, "options": {"model": "tiny", "size": 77}},
        {"kind": "evaluate", "inputs": {"archive": SOME}, "options": {"model": "tiny"}},
        {"kind": "import", "inputs": {"bundle": {"type": "path", "at": "/etc/passwd"}}},
        {"kind": "import", "inputs": {"bundle": {"id": "/etc/passwd"}}},
        {"kind": "import", "inputs": {"bundle": SOME}, "options": {"labels": "/etc/passwd"}},
        {"kind": "import", "inputs": {"bundle": SOME}, "options": {"name": "../up"}},
        {"kind": "import", "inputs": {"bundle": SOME}},
        {"kind": "train", "options": {"recipe": "/tmp/mine.toml"}},
        {"kind": "train", "options": {"recipe": "--help"}},
        {"kind": "train", "options": {"recipe": "absent"}},
        {"kind": "train", "options": {"recipe": "cifar10", "judge": ["/data"]}},
        {"kind": "train", "options": {"recipe": "cifar10", "changes": {"data.root": "/etc"}}},
        {"kind": "train", "options": {"recipe": "cifar10", "changes": {"optimiser.epochs": -1}}},
        {"kind": "train", "options": {"recipe": "cifar10", "changes": {"name": "../../up"}}},
        {"kind": "train", "options": {"recipe": "cifar10", "changes": {"optimiser.epochs\n": 1}}},
        {"kind": "train", "inputs": {"archive": SOME}, "options": {"recipe": "cifar10"}},
        {"kind": "train"},
        {"kind": "delete"},
        {"kind": ["train"]},
    ],
    ids=json.dumps,
)
def test_what_a_request_may_not_ask_for(client: httpx.Client, wish: dict[str, Any]) -> None:
    answer = client.post(JOBS, json=wish)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_option"), answer.text
    assert answer.json()["next_step"]


def test_a_model_that_is_not_here_is_said_at_once(client: httpx.Client) -> None:
    wish = {"kind": "evaluate", "inputs": {"archive": SOME}, "options": {"model": "absent"}}
    assert client.post(JOBS, json=wish).status_code == 404


@pytest.mark.parametrize(
    ("files", "data", "status"),
    [
        ({"archive": ("a.zip", colours())}, {"kind": "evaluate"}, 400),
        ({"archive": ("a.zip", colours())}, {"kind": "evaluate", "options": "{"}, 400),
        (
            {"archive": ("a.zip", colours())},
            {"kind": "evaluate", "options": '{"model": "tiny"}', "x": "1"},
            400,
        ),
        ({"archive": ("a.zip", colours())}, {"kind": "import"}, 400),
        ({"archive": ("a.zip", colours())}, {"kind": "train"}, 400),
        ({"archive": ("a.zip", colours())}, {"options": "{}"}, 400),
        ({"bundle": ("a.onnx", b"x"), "image": ("b.png", png(RED))}, {}, 400),
        ({"bundle": ("a.onnx", b"x")}, {"kind": "predict"}, 400),
        ({"bundle": ("a.onnx", b"x")}, {"priority": "1000"}, 400),
        ({"archive": ("a.zip", zipped({"notes.txt": b"-"}))}, {"kind": "evaluate"}, 400),
    ],
)
def test_a_form_that_is_off_is_refused(
    client: httpx.Client, files: dict[str, tuple[str, bytes]], data: dict[str, str], status: int
) -> None:
    answer = client.post(JOBS, files=files, data=data)
    assert answer.status_code == status, answer.text


def test_training_is_accepted_where_torch_is_and_else_says_what_to_install(client: httpx.Client) -> None:
    wish = {
        "kind": "train",
        "options": {"recipe": "cifar10", "changes": {"optimiser.stop": 1, "name": "x"}},
    }
    answer = client.post(JOBS, json=wish)
    try:
        import torch  # noqa: F401, PLC0415
    except ImportError:
        assert "make extras ADD=train" in answer.json()["next_step"]
        return
    assert (answer.status_code, answer.json()["kind"]) == (202, "train"), answer.text
    client.delete(answer.headers["location"])


@pytest.mark.parametrize("what", ["image", "thumbnail"])
def test_an_epoch_has_no_picture(server: Server, client: httpx.Client, what: str) -> None:
    """Its items are there, but are none of pictures: asking for one is no failure of the server."""
    settings = load_settings({"data_dir": str(server.data), "disk_reserve_mb": 0}, environment={})
    with Ledger.open(settings) as ledger:
        job = ledger.submit(TRAIN, {"version": 1, "recipe": "cifar10"}, blobs=[])
        claim = ledger.claim("test", (TRAIN,), job.id)
        assert claim is not None
        ledger.put_items(claim, [Item(job.id, 0, "epoch 1", "done", {"loss": {"all": 1.0}})])
        answer = client.get(f"{JOBS}/{job.id}/items/0/{what}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), answer.text
        assert client.get(f"{JOBS}/{job.id}/items/0").json()["image"] is None
        ledger.finish(claim)


def test_every_change_that_http_may_make_is_a_key_of_every_recipe() -> None:
    from sightline.training.recipe import RECIPES, load_recipe  # noqa: PLC0415

    for path in RECIPES.glob("*.toml"):
        recipe = load_recipe(path).model_dump()
        for key in CHANGES:
            table: Any = recipe
            for part in key.split("."):
                table = table[part]
            assert isinstance(table, str | int | float)
