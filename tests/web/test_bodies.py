"""Bodies, names and forms as pure functions: examples by hand and whatever hypothesis finds."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.web.conftest import awaited

from sightline.errors import BadOption, SightlineError
from sightline.formats.selection import select
from sightline.settings import Settings
from sightline.types import Ask
from sightline.web.guards import HostList
from sightline.web.intake import JSON_BYTES, Upload, clean_name, read_body, read_uploads
from sightline.web.keys import Keyring
from sightline.web.multipart import Part, boundary_of, parse
from sightline.web.options import Options, options_of
from sightline.web.problems import BadRequest, BodyTooLarge
from sightline.web.services import Services, Ticket


def form(parts: list[tuple[str, bytes]], boundary: bytes = b"xyz") -> bytes:
    lines = [
        b"--" + boundary + b"\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n" for head, data in parts
    ]
    return b"".join(lines) + b"--" + boundary + b"--\r\n"


def disposition(name: str, filename: str | None = None) -> str:
    file = "" if filename is None else f'; filename="{filename}"'
    return f'Content-Disposition: form-data; name="{name}"{file}'


@given(st.lists(st.tuples(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.binary(max_size=200)), max_size=6))
def test_what_is_written_is_read(parts: list[tuple[str, bytes]]) -> None:
    parts = [(name, data) for name, data in parts if b"--boundary-of-test" not in data]
    body = form([(disposition(name, name), data) for name, data in parts], b"boundary-of-test")
    expected = [Part(name, name, data) for name, data in parts]
    assert parse(body, b"boundary-of-test", parts_max=10) == expected


@given(st.binary(max_size=400), st.binary(min_size=1, max_size=4))
def test_any_bytes_are_parts_or_a_bad_request(body: bytes, boundary: bytes) -> None:
    try:
        parts = parse(body, boundary, parts_max=5)
    except BadRequest:
        return
    assert len(parts) <= 5


@given(st.binary(max_size=60), st.binary(max_size=200))
def test_any_body_is_uploads_or_a_sentence(kind: bytes, body: bytes) -> None:
    for content_type in (kind, b"application/json", b"multipart/form-data; boundary=a", b"image/x"):
        try:
            uploads, _fields = read_uploads(content_type, body, Settings())
        except SightlineError:
            continue
        assert uploads


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'multipart/form-data; charset=utf-8; BOUNDARY="a b;c"', b"a b;c"),
    ],
)
def test_boundaries(content_type: bytes, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type", [b"multipart/form-data", b"x; boundary=", b'x; boundary="' + b"y" * 71 + b'"']
)
def test_odd_boundaries(content_type: bytes) -> None:
    with pytest.raises(BadRequest, match="boundary"):
        boundary_of(content_type)


@pytest.mark.parametrize(
    ("head", "filename"),
    [
        ('Content-Disposition: form-data; name="image"; filename="a \\"b\\".jpg"', 'a "b".jpg'),
        ("content-disposition: form-data; name=image; filename=plain.jpg", "plain.jpg"),
        (
            "Content-Disposition: form-data; name=\"image\"; filename*=UTF-8''k%C3%A4tzchen.jpg",
            "kätzchen.jpg",
        ),
        (
            'Content-Type: image/jpeg\r\nContent-Disposition: form-data; name="image"; filename="ü.jpg"',
            "ü.jpg",
        ),
        ('Content-Disposition: form-data; name="image"', None),
    ],
)
def test_file_names(head: str, filename: str | None) -> None:
    assert parse(form([(head, b"x")]), b"xyz", parts_max=1) == [Part("image", filename, b"x")]


def test_parts_are_limited() -> None:
    body = form([(disposition("a"), b"")] * 4)
    assert len(parse(body, b"xyz", parts_max=4)) == 4
    with pytest.raises(BadRequest, match="3 parts"):
        parse(body, b"xyz", parts_max=3)


def test_part_headers_are_limited() -> None:
    with pytest.raises(BadRequest, match="8192"):
        parse(form([("x: " + "y" * 9000, b"")]), b"xyz", parts_max=1)


def test_a_preamble_is_skipped() -> None:
    body = b"preamble\r\n" + form([(disposition("a"), b"1")])
    assert parse(body, b"xyz", parts_max=1) == [Part("a", None, b"1")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat.jpg", "cat.jpg"),
        ("/etc/passwd", "passwd"),
        ("C:\\Users\\me\\cat.jpg", "cat.jpg"),
        ("a\nb\x1b[2J\x7f.jpg", "ab[2J.jpg"),
        ("\u202egpj.exe", "gpj.exe"),
        ("x" * 500, "x" * 200),
        ("", ""),
    ],
)
def test_names_for_people(name: str, expected: str) -> None:
    assert clean_name(name) == expected


@given(st.text(max_size=300))
def test_no_name_has_a_path_or_control_characters(name: str) -> None:
    cleaned = clean_name(name)
    assert "/" not in cleaned
    assert "\\" not in cleaned
    assert len(cleaned) <= 200
    assert all(sign.isprintable() or ord(sign) > 0x9F for sign in cleaned)


@given(st.binary(max_size=80))
def test_any_query_is_options_or_a_sentence(query: bytes) -> None:
    try:
        options = options_of(query)
    except BadOption:
        return
    assert isinstance(options, Options)


def test_the_query_wins_over_the_form() -> None:
    options = options_of(b"min_score=0.5&store=1", [("min_score", "0.1"), ("model", "a"), ("labels", "x")])
    assert options == Options(Ask(0.5, None, frozenset({"x"})), "a", store=True)


def test_an_endless_query_is_refused() -> None:
    with pytest.raises(BadOption, match="8192"):
        options_of(b"labels=" + b"x" * 10_000)


def test_selection_keeps_the_order() -> None:
    body = {
        "predictions": [
            {"label": label, "score": score} for label, score in (("a", 0.9), ("b", 0.5), ("a", 0.4))
        ]
    }
    kept = select(body, Ask(0.4, 2, frozenset({"a"})))["predictions"]
    assert kept == [{"label": "a", "score": 0.9}, {"label": "a", "score": 0.4}]
    assert len(select(body, Ask(0.45, 1))["predictions"]) == 1


LARGE = base64.b64encode(bytes(range(256)) * (JSON_BYTES // 256))


@pytest.mark.parametrize("text", [LARGE, LARGE.replace(b"/", b"\\/")])
def test_a_large_image_in_json_is_found_without_parsing_the_rest(text: bytes) -> None:
    body = b'\n{ "image" : "' + text + b'" }'
    assert len(body) > JSON_BYTES
    assert read_uploads(b"application/json", body, Settings()) == ([Upload(base64.b64decode(LARGE))], [])


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[' + b"{}," * (JSON_BYTES // 3) + b"{}]}",
        b'{"image": "' + LARGE + b'", "url": "http://x"}',
        b'{"image": "' + LARGE + b'\\n"}',
        b"[" * (JSON_BYTES + 1),
    ],
)
def test_other_large_json_is_refused_unread(body: bytes) -> None:
    with pytest.raises(BadOption, match="more than 1 MiB"):
        read_uploads(b"application/json", body, Settings())


def test_a_label_may_have_commas() -> None:
    assert options_of(b"labels=tench%252C Tinca tinca,dog").ask.labels == frozenset(
        {"tench, Tinca tinca", "dog"}
    )
    assert options_of(b"labels=100%2525").ask.labels == frozenset({"100%"})


def test_what_an_address_takes_at_most_counts_as_it_comes() -> None:
    settings = Settings()
    services = Services(settings, Keyring(""), HostList(settings))
    coming = iter([b"x" * 6] * 3)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": next(coming), "more_body": True}

    ticket = Ticket(services)
    with pytest.raises(BodyTooLarge, match="may have 10 bytes"):
        awaited(read_body({"headers": []}, receive, settings, ticket, most=10))
    assert len(list(coming)) == 1, "nothing is read that is not kept"
    ticket.release()
    assert services.held == 0
