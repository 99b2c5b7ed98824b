"""What is stored, shown, exported and deleted."""

import csv
import hashlib
import io
import json
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import numpy as np
import pytest
from PIL import Image
from tests.runtime.graphs import FOUND, red_square
from tests.web.conftest import Server

JPEG = {"content-type": "image/jpeg"}


def store(client: httpx.Client, data: bytes, query: str = "", name: str = "cat.jpg") -> dict[str, Any]:
    response = client.post(f"/api/v1/predict?store=true&{query}", files={"image": (name, data)})
    body: dict[str, Any] = response.raise_for_status().json()
    return body


def test_the_answer_is_as_asked_and_the_record_is_whole(client: httpx.Client, cat: bytes) -> None:
    answer = store(client, cat, "min_score=0.5&labels=dog")
    assert [found["label"] for found in answer["predictions"]] == ["dog"]
    record = client.get(f"/api/v1/results/{answer['id']}").json()
    assert [found["score"] for found in record["predictions"]] == [0.9, 0.6, 0.2, 0.08]
    assert record["min_score"] == 0.5
    assert record["created"] < record["expires"]
    assert record["source"] == "cat.jpg"


def test_the_models_threshold_is_kept_when_none_was_asked(client: httpx.Client, cat: bytes) -> None:
    record = client.get(f"/api/v1/results/{store(client, cat)['id']}").json()
    assert record["min_score"] == 0.3


def test_a_lower_threshold_than_the_floor_is_honoured(client: httpx.Client, cat: bytes) -> None:
    assert len(store(client, cat, "min_score=0")["predictions"]) == 5


def test_the_size_is_kept_and_one_that_is_not_offered_stores_nothing(client: httpx.Client) -> None:
    answer = store(client, red_square(), "model=cells&size=64", "square.png")
    assert (answer["size"], len(answer["predictions"])) == (64, FOUND[64])
    for place in (answer["id"], f"{answer['id']}.json"):
        kept = client.get(f"/api/v1/results/{place}").raise_for_status().json()
        assert kept["size"] == 64
    before = client.get("/api/v1/results").json()["total"]
    refused = client.post("/api/v1/predict?store=true&model=cells&size=48", files={"image": red_square()})
    assert refused.json()["code"] == "bad_option"
    assert client.get("/api/v1/results").json()["total"] == before


def test_an_unknown_label_is_refused_and_nothing_stored(client: httpx.Client, cat: bytes) -> None:
    before = client.get("/api/v1/results").json()["total"]
    response = client.post("/api/v1/predict?store=true&labels=unicorn", content=cat, headers=JPEG)
    assert response.json()["code"] == "bad_option"
    assert client.get("/api/v1/results").json()["total"] == before


def test_the_stored_picture_is_upright_and_bare(client: httpx.Client) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "planted-maker"
    exif.get_ifd(0x8825)[2] = (59.0, 20.0, 0.0)
    file = io.BytesIO()
    Image.new("RGB", (80, 40), (9, 99, 199)).save(file, "JPEG", exif=exif, comment=b"planted-comment")
    record = store(client, file.getvalue(), "", "gps.jpg")
    assert record["image"] == {"width": 40, "height": 80}
    for part in ("image", "thumbnail", "annotated"):
        data = client.get(f"/api/v1/results/{record['id']}/{part}").raise_for_status().content
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.size == (40, 80)
            assert not picture.getexif()
            if part == "image":
                middle = np.asarray(picture.convert("RGB"))[40, 20]
                assert np.abs(middle.astype(int) - (9, 99, 199)).max() <= 4
        assert b"planted" not in data


def test_pictures_say_what_they_are_and_may_be_kept(client: httpx.Client, cat: bytes) -> None:
    one = store(client, cat)["id"]
    image = client.get(f"/api/v1/results/{one}/image")
    assert image.headers["content-type"].startswith("image/")
    assert "immutable" in image.headers["cache-control"]
    thumbnail = client.get(f"/api/v1/results/{one}/thumbnail").content
    with Image.open(io.BytesIO(thumbnail)) as picture:
        assert max(picture.size) == 320
    png = client.get(f"/api/v1/results/{one}/annotated", headers={"accept": "image/png"})
    assert png.headers["content-type"] == "image/png"
    assert png.headers["content-disposition"] == 'inline; filename="cat-annotated.png"'
    assert client.get(f"/api/v1/results/{one}/annotated").headers["content-type"] == "image/jpeg"


def test_the_annotated_picture_follows_the_filter(client: httpx.Client, cat: bytes) -> None:
    one = store(client, cat)["id"]
    queries = (
        "min_score=0.05",
        "min_score=0.95",
        "min_score=0.05&labels=person",
        "min_score=0.05&labels=dog",
    )
    pictures = {client.get(f"/api/v1/results/{one}/annotated?{query}").content for query in queries}
    assert len(pictures) == len(queries)


def test_exports(client: httpx.Client, cat: bytes) -> None:
    one = store(client, cat)["id"]

    def export(suffix: str, query: str = "") -> httpx.Response:
        response = client.get(f"/api/v1/results/{one}.{suffix}{query}").raise_for_status()
        assert response.headers["content-disposition"] == f'attachment; filename="cat.{suffix}"'
        return response

    plain = export("json").json()
    assert [found["score"] for found in plain["predictions"]] == [0.9, 0.6]
    assert "min_score" not in plain
    coco = export("coco.json", "?min_score=0.05").json()
    assert len(coco["annotations"]) == 4
    assert export("yolo.txt").text.splitlines()[0].startswith("0 ")
    assert export("classes.txt").text.splitlines() == ["person", "dog", "<b>cat</b>"]
    rows = list(csv.DictReader(io.StringIO(export("csv", "?labels=dog").text)))
    assert [row["label"] for row in rows] == ["dog"]
    assert {row["image_sha256"] for row in rows} == {hashlib.sha256(cat).hexdigest()}
    voc = ET.fromstring(export("voc.xml", "?min_score=0.1").text)
    assert [item.text for item in voc.iterfind("object/name")] == ["person", "dog", "<b>cat</b>"]


def test_exports_of_classes_that_have_no_boxes_are_refused(client: httpx.Client, cat: bytes) -> None:
    one = store(client, cat, "model=colours&min_score=0")["id"]
    assert client.get(f"/api/v1/results/{one}.json").status_code == 200
    assert client.get(f"/api/v1/results/{one}.csv").status_code == 200
    for suffix in ("yolo.txt", "voc.xml", "coco.json"):
        assert client.get(f"/api/v1/results/{one}.{suffix}").status_code in {200, 400}


def test_history_pages_and_searches(client: httpx.Client, cat: bytes) -> None:
    ids = [store(client, cat, "", f"holiday {number}.jpg")["id"] for number in range(3)]
    first = client.get("/api/v1/results", params={"q": "holiday", "limit": 2}).json()
    rest = client.get("/api/v1/results", params={"q": "holiday", "limit": 2, "before": first["next"]}).json()
    assert [item["id"] for item in first["results"] + rest["results"]] == ids[::-1]
    assert (first["total"], rest["next"]) == (3, None)
    assert first["results"][0]["counts"] == {"person": 1, "dog": 1}
    assert client.get("/api/v1/results", params={"q": "holiday", "label": "<b>cat</b>"}).json()["total"] == 0
    assert client.get("/api/v1/results", params={"q": "holiday", "label": "dog"}).json()["total"] == 3


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "before=x"])
def test_wrong_history_queries(client: httpx.Client, query: str) -> None:
    response = client.get(f"/api/v1/results?{query}")
    assert (response.status_code, response.json()["code"]) == (400, "bad_option")


def test_deleted_is_gone_everywhere(client: httpx.Client, server: Server) -> None:
    file = io.BytesIO()
    Image.new("RGB", (33, 44), (1, 2, 3)).save(file, "PNG")
    one = store(client, file.getvalue())["id"]
    twin = store(client, file.getvalue())["id"]
    blobs = server.data / "results" / "blobs"
    before = {path for path in blobs.rglob("*") if path.is_file()}
    assert client.delete(f"/api/v1/results/{one}").status_code == 204
    assert {path for path in blobs.rglob("*") if path.is_file()} == before
    assert client.delete(f"/api/v1/results/{twin}").status_code == 204
    assert len({path for path in blobs.rglob("*") if path.is_file()}) == len(before) - 2
    for tail in ("", "/image", "/annotated", "/thumbnail", ".json", ".csv"):
        assert client.get(f"/api/v1/results/{one}{tail}").json()["code"] == "not_found"
    assert client.delete(f"/api/v1/results/{one}").json()["code"] == "not_found"


@pytest.mark.parametrize("name", ["..", "%2e%2e", "..%2f..%2fsecret", "a'--", "%00", "x" * 64, "é"])
def test_ids_are_looked_up_and_never_opened(client: httpx.Client, name: str) -> None:
    response = client.get(f"/api/v1/results/{name}/image")
    assert response.status_code == 404


def test_several_pictures_are_stored_each(client: httpx.Client, cat: bytes) -> None:
    files = [("image", ("one.jpg", cat)), ("image", ("two.txt", b"none"))]
    body = client.post("/api/v1/predict?store=true", files=files).json()
    first, second = body["results"]
    assert client.get(f"/api/v1/results/{first['id']}").status_code == 200
    assert second["code"] == "not_a_picture"


def test_json_is_finite_and_compact(client: httpx.Client, cat: bytes) -> None:
    text = client.post("/api/v1/predict", content=cat, headers=JPEG).text
    assert "NaN" not in text
    assert text == json.dumps(json.loads(text), separators=(",", ":"))
