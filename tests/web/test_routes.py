"""Every route: its scope, its document, its refusals; and the OpenAPI document as a contract."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image
from tests.web.conftest import Server

from sightline import errors
from sightline.settings import Settings
from sightline.web import problems
from sightline.web.app import ENDPOINTS, create_app
from sightline.web.endpoint import GuardedRoute
from sightline.web.problems import CODES, KINDS, problem_of

PUBLIC = {
    "/",
    "/health/live",
    "/health/ready",
    "/signin",
    "/static/{path:path}",
    "/favicon.ico",
    "/api/docs/style.css",
}
SECURITY = {
    "content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy",
    "permissions-policy", "cross-origin-opener-policy", "cross-origin-resource-policy", "x-request-id",
}  # fmt: skip


def test_every_route_is_a_guarded_record(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=str(tmp_path)))
    assert len(app.router.routes) == len(ENDPOINTS)
    for route in app.router.routes:
        assert isinstance(route, GuardedRoute)
        if route.needs == "public":
            assert route.path in PUBLIC or not route.include_in_schema
            assert not route.path.startswith("/api/v1")


def test_every_other_route_wants_the_key(starting: Callable[..., Server]) -> None:
    server = starting(host="0.0.0.0")
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client:
        for endpoint in ENDPOINTS:
            path = re.sub(r"\{[^}]+\}", "x", endpoint.path)
            status = client.request(endpoint.method, path).status_code
            if endpoint.needs != "public":
                assert status == 401, path
            else:
                assert status in {200, 303, 400, 401, 404}, path


def test_every_error_has_a_row() -> None:
    own = [
        kind
        for kind in vars(problems).values()
        if isinstance(kind, type) and issubclass(kind, errors.SightlineError)
    ]
    tree = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.SightlineError)
    ]
    assert {kind.code for kind in own + tree} == set(CODES)
    assert len({kind.code for kind in KINDS}) == len(KINDS)


def test_a_browser_is_refused_with_a_page(client: httpx.Client) -> None:
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
    for path, code in (("/nowhere", "no_such_address"), ("/api/v1/models/<b>", "not_found")):
        told, shown = client.get(path), client.get(path, headers={"accept": accept})
        assert told.headers["content-type"] == "application/problem+json"
        assert shown.headers["content-type"] == "text/html; charset=utf-8"
        assert (shown.status_code, shown.headers["vary"]) == (404, "accept")
        assert set(shown.headers) >= SECURITY
        for words in (told.json()["title"], code, shown.headers["x-request-id"], 'href="/"'):
            assert words in shown.text
        assert "<b>" not in shown.text
    java = {"accept": "text/html, image/gif, image/jpeg, */*; q=0.2"}
    assert client.get("/nowhere", headers=java).json()["code"] == "no_such_address"


def test_unknown_exceptions_show_nothing() -> None:
    problem = problem_of(RuntimeError("/var/secret Traceback"), "id")
    assert problem.status == 500
    assert b"secret" not in problem.data
    assert problem.body["code"] == "internal"
    of_a_child = problem_of(errors.SightlineError("Sightline failed: OSError: /var/secret"), "id")
    assert (of_a_child.status, of_a_child.body["code"]) == (500, "internal")
    assert b"secret" not in of_a_child.data


def test_every_code_and_route_is_in_the_reference(root: Path) -> None:
    written = (root / "docs/reference/errors.md").read_text("utf-8")
    for code, (status, _title) in CODES.items():
        assert re.search(rf"`{code}` \| {status} ", written), code
    api = (root / "docs/reference/api.md").read_text("utf-8")
    for endpoint in ENDPOINTS:
        if endpoint.documented:
            path = endpoint.path.replace(":result}", "}")
            assert f"`{endpoint.method} {path}`" in api, path


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "no_such_address"),
        ("GET", "/api/v1/nothing", 404, "no_such_address"),
        ("GET", "/api/v1/models/", 404, "no_such_address"),
        ("PUT", "/api/v1/predict", 405, "method_not_allowed"),
        ("GET", "/api/v1/predict", 405, "method_not_allowed"),
        ("POST", "/api/v1/models", 405, "method_not_allowed"),
        ("OPTIONS", "/api/v1/predict", 405, "method_not_allowed"),
        ("BREW", "/", 400, "bad_request"),
        ("PATCH", "/", 405, "method_not_allowed"),
        ("GET", "/static/../app.py", 404, "no_such_address"),
        ("GET", "/static/%2e%2e/app.py", 404, "no_such_address"),
        ("GET", "/static/..%2f..%2f..%2fpyproject.toml", 404, "no_such_address"),
        ("GET", "/static//etc/passwd", 404, "no_such_address"),
        ("GET", "/static/%00", 404, "no_such_address"),
        ("GET", "/static/samples", 404, "no_such_address"),
        ("GET", "/static/" + "x" * 3000, 404, "no_such_address"),
        ("GET", "/api/v1/models/no%20such", 404, "not_found"),
        ("GET", "/api/v1/models/..%2f..", 404, "no_such_address"),
    ],
)
def test_refusals_have_one_shape(server: Server, method: str, path: str, status: int, code: str) -> None:
    connection = httpx.Client(base_url=server.url)
    with connection:
        response = connection.request(method, httpx.URL(server.url).copy_with(raw_path=path.encode()))
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert response.json()["code"] == code
    assert status == 400 or set(response.headers) >= SECURITY
    if status == 405:
        assert response.headers["allow"]


def test_all_answers_carry_the_security_headers(client: httpx.Client) -> None:
    for path in (
        "/",
        "/history",
        "/r/abc",
        "/health/live",
        "/api/v1/models",
        "/api/docs",
        "/static/index.html",
    ):
        response = client.get(path)
        assert response.status_code == 200, path
        assert set(response.headers) >= SECURITY, path
        assert "access-control-allow-origin" not in response.headers
        policy = response.headers["content-security-policy"]
        assert "unsafe-inline" not in policy
        assert "frame-ancestors 'none'" in policy


def test_pages_and_files_are_revalidated(client: httpx.Client) -> None:
    for path in ("/", "/static/samples/cat.jpg"):
        first = client.get(path)
        again = client.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_head_is_get_without_the_body(client: httpx.Client) -> None:
    for path in ("/", "/health/ready", "/api/v1/models", "/static/samples/cat.jpg"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == get.headers["content-length"]
    assert client.head("/api/v1/predict").status_code == 405


def test_models_are_listed_and_shown(client: httpx.Client, cat: bytes) -> None:
    listed = {model["name"]: model for model in client.get("/api/v1/models").json()["models"]}
    assert {"tiny", "colours"} <= set(listed)
    assert (listed["tiny"]["default"], listed["colours"]["default"]) == (True, False)
    client.post("/api/v1/predict", content=cat, headers={"content-type": "image/jpeg"}).raise_for_status()
    shown = client.get("/api/v1/models/tiny").json()
    assert shown["label_names"] == ["person", "dog", "<b>cat</b>"]
    assert shown["engine"]["engine"] in {"onnxruntime", "openvino"}
    assert shown["engine"]["reason"]
    assert shown["speed"]["pictures"] >= 1
    assert shown["card"].startswith("# tiny")
    assert shown["versions"] == ["1"]


def test_models_say_their_sizes_and_the_speed_of_the_usual_one(client: httpx.Client, cat: bytes) -> None:
    jpeg = {"content-type": "image/jpeg"}
    listed = {model["name"]: model for model in client.get("/api/v1/models").json()["models"]}
    assert (listed["cells"]["sizes"], listed["cells"]["default_size"]) == ([16, 32, 64], 32)
    assert (listed["tiny"]["sizes"], listed["tiny"]["default_size"]) == ([], None)

    def pictures() -> int:
        speed = client.get("/api/v1/models/cells").json()["speed"]
        return int(speed["pictures"]) if speed else 0

    before = pictures()
    for query in ("&size=64", "", "&size=16", "&size=32"):
        client.post(f"/api/v1/predict?model=cells{query}", content=cat, headers=jpeg).raise_for_status()
    assert pictures() == before + 2


def test_samples_and_palette(client: httpx.Client) -> None:
    samples = client.get("/api/v1/samples").json()["samples"]
    assert len(samples) >= 4
    for sample in samples:
        picture = client.get(sample["url"]).raise_for_status()
        with Image.open(io.BytesIO(picture.content)) as opened:
            assert opened.size == (sample["width"], sample["height"])
        assert sample["licence"]
        assert sample["alt"]
        assert sample["changes"], "which licences ask to be told, and the page shows"
    colors = client.get("/api/v1/palette").json()["colors"]
    assert len(colors) >= 8
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in colors)


def test_metrics(client: httpx.Client, cat: bytes) -> None:
    client.post("/api/v1/predict", content=cat, headers={"content-type": "image/jpeg"})
    client.post("/api/v1/predict", content=b"x", headers={"content-type": "image/jpeg"})
    client.get("/wild/path/that/must/not/become/a/label")
    text = client.get("/metrics").text
    assert 'sightline_requests_total{method="POST",route="/api/v1/predict",status="200"}' in text
    assert 'sightline_refusals_total{code="not_a_picture"}' in text
    assert 'sightline_stage_seconds_count{stage="infer"}' in text
    assert "wild" not in text


def test_the_document_for_people(client: httpx.Client) -> None:
    page = client.get("/api/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    assert re.findall(r'(?:src|href)="(https?:)?//', page.text) == []
    document = client.get("/api/openapi.json").json()
    for path in document["paths"]:
        assert path in page.text
    for code in CODES:
        assert f'id="{code}"' in page.text
