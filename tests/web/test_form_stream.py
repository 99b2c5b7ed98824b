"""The streaming form parser: however a body is cut, the same parts come out, and nothing is held back."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.web import multipart
from sightline.web.form_stream import End, FormStream, Head
from sightline.web.problems import BadRequest

BOUNDARY = b"xYz"
Parts = list[tuple[str, str | None, bytes]]

contents = st.one_of(
    st.binary(max_size=60), st.sampled_from([b"", b"\r\n", b"\r\n--xY", b"--xYz", b"\r\n\r\n--", b"-" * 40])
).filter(lambda data: b"\r\n--xYz" not in b"\r\n" + data)
parts_of_forms = st.lists(
    st.tuples(st.sampled_from(["image", "a b", ""]), st.sampled_from([None, "", "x.jpg"]), contents),
    min_size=1,
    max_size=5,
)


def body_of(parts: Parts) -> bytes:
    rows = []
    for name, filename, data in parts:
        file = "" if filename is None else f'; filename="{filename}"'
        rows.append(f'--xYz\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + data)
    return b"\r\n".join([*rows, b"--xYz--\r\n"])


def read(body: bytes, cuts: list[int], parts_max: int = 9) -> Parts:
    form = FormStream(BOUNDARY, parts_max=parts_max)
    found: list[tuple[str, str | None, bytes]] = []
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    ended = 0
    for start, stop in itertools.pairwise(edges):
        for event in form.feed(body[start:stop]):
            if isinstance(event, Head):
                found.append((event.name, event.filename, b""))
            elif isinstance(event, End):
                ended += 1
            else:
                assert event, "no empty pieces"
                name, filename, data = found[-1]
                found[-1] = (name, filename, data + event)
    form.close()
    assert ended == len(found)
    return found


@given(parts_of_forms, st.lists(st.integers(0, 400), max_size=30))
def test_cuts_change_nothing(parts: Parts, cuts: list[int]) -> None:
    body = body_of(parts)
    assert read(body, cuts) == parts
    whole = multipart.parse(body, BOUNDARY, parts_max=9)
    assert [(part.name, part.filename, part.data) for part in whole] == parts


@given(parts_of_forms)
def test_byte_by_byte(parts: Parts) -> None:
    body = body_of(parts)
    assert read(body, list(range(len(body)))) == parts


def test_a_part_comes_out_before_it_is_whole() -> None:
    form = FormStream(BOUNDARY, parts_max=1)
    begun = body_of([("image", "x.jpg", b"")]).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert [type(event) for event in form.feed(begun + b"a" * 1000)] == [Head, bytes]
    held = sum(len(event) for event in form.feed(b"b" * 100_000) if isinstance(event, bytes))
    assert held > 99_900, "all but what a boundary could hide in"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all" * 100,
        body_of([("image", "x", b"abc")])[:-8],
        b"--xYz\r\nContent-Type: text/plain\r\n\r\nx\r\n--xYz--",
        b"--xYz\r\n" + b"a: b\r\n" * 3000 + b"\r\nx\r\n--xYz--",
        body_of([("a", None, b"x")] * 10),
    ],
    ids=["empty", "none", "cut", "nameless", "long head", "many"],
)
def test_broken_forms_are_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(body, list(range(0, len(body), 7)))
