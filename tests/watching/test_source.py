from pathlib import Path

import pytest

from sightline.errors import BadOption, NotFound
from sightline.watching.source import Login, parse


@pytest.mark.parametrize(
    ("word", "kind", "shown", "full"),
    [
        ("rtsp://cam/live", "rtsp", "rtsp://cam/live", "rtsp://cam/live"),
        ("RTSP://u:p@10.0.0.7:8554/a", "rtsp", "rtsp://10.0.0.7:8554/a", "rtsp://u:p@10.0.0.7:8554/a"),
        ("http://u:a%40b@cam:81/v?x=1", "http", "http://cam:81/v?…", "http://u:a%40b@cam:81/v?x=1"),
        ("http://[fd00::7]/v", "http", "http://[fd00::7]/v", "http://[fd00::7]/v"),
    ],
)
def test_addresses(word: str, kind: str, shown: str, full: str) -> None:
    source = parse(word)
    assert (source.kind, source.shown, source.full) == (kind, shown, full)
    assert source.live


def test_passwords_never_show() -> None:
    source = parse("rtsp://joe:se%3Acret@cam/live?token=abc")
    assert source.login == Login("joe", "se:cret")
    assert not {"joe", "cret", "abc"} & set(repr(source).replace("'", " ").split())
    for secret in ("joe", "cret", "abc"):
        assert secret not in repr(source)


def test_a_file_is_no_live_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert parse("0").kind == "file", "a file that is there is meant, whatever its name"
    assert not parse("0").live


@pytest.mark.parametrize(
    ("word", "kind", "sentence"),
    [
        ("ftp://cam/x", BadOption, "does not watch ftp://"),
        ("file:///etc/passwd", BadOption, "does not watch file://"),
        ("rtsp:///x", BadOption, "cannot be read"),
        ("rtsp://cam:99999/x", BadOption, "cannot be read"),
        ("rtsp://ca m/x", BadOption, "cannot be read"),
        ("nowhere.mp4", NotFound, "no file nowhere.mp4"),
        ("/dev/video987", NotFound, "no camera /dev/video987"),
        (".", BadOption, "not a file"),
    ],
)
def test_what_cannot_be_watched(word: str, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind, match=sentence):
        parse(word)
