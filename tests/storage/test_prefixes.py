"""Prefixes of object stores: what may be read, and a real store that speaks S3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.errors import BadOption, ConfigError, FetchRefused, NotFound, PictureTooLarge
from sightline.storage import prefixes


@pytest.mark.parametrize(
    ("place", "allowed"),
    [
        ("s3://photos/2026/", "s3://photos/2026/"),
        ("s3://photos/2026", "s3://photos/2026/"),
        ("s3://photos/2026/may/a.jpg", "gs://x, s3://photos"),
        ("gs://x/y", "gs://x"),
    ],
)
def test_what_lies_under_an_allowed_prefix_may_be_read(place: str, allowed: str) -> None:
    prefixes.check(place, allowed)


@pytest.mark.parametrize(
    ("place", "allowed"),
    [
        ("s3://photos/2026", ""),
        ("s3://photos/2026", "s3://photos/202"),
        ("s3://photos", "s3://photos/2026"),
        ("s3://photos-of-others/x", "s3://photos"),
        ("s3://photos/../secret", "s3://photos"),
        ("s3://photos/*", "s3://photos"),
        ("s3://photos/a\nb", "s3://photos"),
        ("s3://", "s3://photos"),
        ("gs://photos/a", "s3://photos"),
        ("file:///etc/passwd", "file:///etc"),
        ("http://example.org/a", "http://example.org"),
        ("simplecache::s3://photos/a", "s3://photos"),
        ("/etc/passwd", "/etc"),
    ],
)
def test_everything_else_may_not(place: str, allowed: str) -> None:
    with pytest.raises(BadOption):
        prefixes.check(place, allowed)


@given(st.text(max_size=40))
def test_no_spelling_leaves_the_prefix(rest: str) -> None:
    place = f"s3://photos/ours/{rest}"
    try:
        prefixes.check(place, "s3://photos/ours")
    except BadOption:
        return
    parts = place.removeprefix("s3://").split("/")
    assert parts[:2] == ["photos", "ours"]
    assert not {"..", "."} & set(parts)


def test_a_missing_library_is_named() -> None:
    pytest.importorskip("fsspec")
    try:
        import gcsfs  # type: ignore[import-not-found]  # noqa: F401, PLC0415
    except ImportError:
        with pytest.raises(ConfigError, match="gs://") as error:
            prefixes.pictures_under("gs://x/y", "gs://x")
        assert "ADD=gcs" in error.value.next_step
    else:
        pytest.skip("The library for gs:// is installed.")


def test_pictures_of_a_bucket_are_listed_and_read(bucket: str) -> None:
    found = prefixes.pictures_under(f"{bucket}/trip/", bucket)
    assert found == [f"{bucket}/trip/a.PNG", f"{bucket}/trip/b.jpg", f"{bucket}/trip/deep/c.webp"]
    assert prefixes.pictures_under(f"{bucket}/trip/.bin", bucket) == [f"{bucket}/trip/.bin/x.jpg"], "wanted"
    assert prefixes.pictures_under(f"{bucket}/e.jpg", bucket) == [f"{bucket}/e.jpg"]
    assert prefixes.read(found[1], bucket, 100) == b"trip/b.jpg"
    with pytest.raises(PictureTooLarge):
        prefixes.read(found[1], bucket, 9)
    assert prefixes.read(found[1], bucket, 10) == b"trip/b.jpg"


def test_what_is_not_there_or_out_of_reach_is_said(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound):
        prefixes.pictures_under(f"{bucket}/nothing/", bucket)
    with pytest.raises(NotFound):
        prefixes.read(f"{bucket}/trip/gone.jpg", bucket, 100)
    monkeypatch.setattr(prefixes, "_PAUSE_S", 0.0)
    calls: list[str] = []

    class Away:
        def cat_file(self, path: str, **_: int) -> bytes:
            calls.append(path)
            raise ConnectionError("away")

    monkeypatch.setattr(prefixes, "_store", lambda _: Away())
    with pytest.raises(FetchRefused, match="away"):
        prefixes.read(f"{bucket}/e.jpg", bucket, 100)
    assert len(calls) == 3, "stores fail for a moment now and then"
