import io
import os
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.cli import sources
from sightline.errors import BadOption, FetchRefused, InputError, NotAPicture, NotFound, PictureTooLarge
from sightline.settings import Settings
from sightline.storage import archive
from sightline.storage.folders import read_file


def _names(*words: object, settings: Settings | None = None) -> list[str]:
    return [
        picture.source for picture in sources.expand([str(word) for word in words], settings or Settings())
    ]


def _only(word: object, settings: Settings | None = None) -> sources.Picture:
    (picture,) = sources.expand([str(word)], settings or Settings())
    return picture


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """b.jpg, a.PNG, notes.txt, .hidden.jpg, inner/c.webp, .git/d.jpg"""
    folder = tmp_path / "album"
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "inner/c.webp", ".git/d.jpg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def test_a_recursive_glob_names_each_file_once(album: Path) -> None:
    assert _names(f"{album}/**/*.[wjP]*") == [
        str(album / name) for name in ("a.PNG", "b.jpg", "inner/c.webp")
    ]
    assert (
        sorted(_names(f"{album}/**")) == sorted(_names(f"{album}/**/*")) == sorted(set(_names(f"{album}/**")))
    )


def test_a_folder_gives_its_pictures_in_order(album: Path) -> None:
    assert _names(album) == [str(album / name) for name in ("a.PNG", "b.jpg", "inner/c.webp")]


def test_places_inside_a_folder_are_relative_to_it(album: Path) -> None:
    places = [picture.place for picture in sources.expand([str(album)], Settings())]
    assert places == [PurePosixPath("a.PNG"), PurePosixPath("b.jpg"), PurePosixPath("inner/c.webp")]


def test_a_named_file_is_always_tried(album: Path) -> None:
    assert _only(album / "notes.txt").read() == b"notes.txt"


def test_globs(album: Path) -> None:
    assert _names(f"{album}/**/*.webp", f"{album}/b.*") == [str(album / "inner/c.webp"), str(album / "b.jpg")]
    with pytest.raises(NotFound, match="No file matches"):
        _only(f"{album}/*.tif").read()


def test_a_file_with_a_bracket_in_its_name_is_no_glob(tmp_path: Path) -> None:
    (tmp_path / "a[1].jpg").write_bytes(b"x")
    assert _only(tmp_path / "a[1].jpg").read() == b"x"
    assert not sources.is_many([str(tmp_path / "a[1].jpg")])


def test_what_cannot_be_read_fails_when_its_turn_comes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="There is no file"):
        _only(tmp_path / "gone.jpg").read()
    with pytest.raises(NotAPicture, match="not a regular file"):
        _only(tmp_path / "pipe.jpg").read()
    with pytest.raises(NotFound, match="holds no pictures"):
        _only(tmp_path / "empty").read()


def test_an_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(NotFound, match="Permission denied"):
        read_file(path, 10)


def test_files_over_the_limit(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(bytes(2000))
    with pytest.raises(PictureTooLarge, match="larger than"):
        _only(tmp_path / "a.jpg", Settings(upload_max_mb=0.001)).read()


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"bytes")))
    assert _only("-").read() == b"bytes"
    with pytest.raises(NotAPicture, match="empty"):
        _only("-").read()


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("https://example.org/a/photo.jpg?x=1", "photo.jpg"),
        ("https://example.org/", "example.org"),
        ("https://example.org/..%2f..%2fetc", "_2f.._2fetc"),
        ("https://example.org/a/..", "picture"),
    ],
)
def test_addresses(address: str, place: str) -> None:
    assert _only(address).place == PurePosixPath(place)


def test_a_private_address_is_refused() -> None:
    with pytest.raises(FetchRefused):
        _only("http://127.0.0.1/x.jpg").read()


def _zip(path: Path, members: dict[str, bytes], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = options.get(name, 0o100644) << 16
            out.writestr(info, data)
    return path


def test_a_zip_gives_its_pictures(tmp_path: Path) -> None:
    path = _zip(
        tmp_path / "a.zip",
        {"z.jpg": b"z", "in/a.png": b"a", "notes.txt": b"n", "__MACOSX/._z.jpg": b"", ".bin/y.jpg": b""},
    )
    assert _names(path) == [f"{path}/in/a.png", f"{path}/z.jpg"]
    assert [picture.read() for picture in sources.expand([str(path)], Settings())] == [b"a", b"z"]
    renamed = path.rename(tmp_path / "a.bin")
    assert len(_names(renamed)) == 2
    assert sources.is_many([str(renamed)])


@given(st.text(max_size=60))
def test_a_member_can_never_leave_its_folder(name: str) -> None:
    place = archive._place(name)
    if place is not None:
        assert not place.is_absolute()
        assert ".." not in place.parts
        assert "\0" not in str(place)


def test_only_regular_members_are_read(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"link.jpg": b"/etc/passwd"}, **{"link.jpg": 0o120777})
    with pytest.raises(NotAPicture, match="not a regular file"):
        _only(path).read()


def test_bombs_are_refused_before_anything_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = _zip(tmp_path / "bomb.zip", {"a.bmp": bytes(30 << 20)})
    with pytest.raises(BadOption, match="times its own size"):
        _only(bomb).read()
    many = _zip(tmp_path / "many.zip", {f"{number}.jpg": b"" for number in range(5)})
    monkeypatch.setattr(archive, "MEMBERS_MAX", 4)
    with pytest.raises(BadOption, match="5 members"):
        _only(many).read()
    monkeypatch.setattr(archive, "MEMBERS_MAX", 9)
    monkeypatch.setattr(archive, "BYTES_MAX", 1 << 20)
    with pytest.raises(BadOption, match="when unpacked"):
        _only(bomb).read()


def test_members_over_the_limit_of_a_picture(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"a.jpg": os.urandom(4000)})
    with pytest.raises(PictureTooLarge, match="at most"):
        _only(path, Settings(upload_max_mb=0.001)).read()


def test_empty_broken_and_encrypted_archives(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no pictures"):
        _only(_zip(tmp_path / "empty.zip", {"a.txt": b""})).read()
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(BadOption, match="cannot be read as a zip"):
        _only(broken).read()
    locked = bytearray(_zip(tmp_path / "locked.zip", {"a.jpg": b"x"}).read_bytes())
    locked[6] |= 1
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    with pytest.raises(NotAPicture, match="encrypted"):
        _only(tmp_path / "locked.zip").read()


@given(st.binary(min_size=1, max_size=3), st.integers(30, 200))
def test_damaged_members_are_refusals(tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int) -> None:
    path = _zip(tmp_path_factory.mktemp("zip") / "a.zip", {"a.jpg": bytes(range(256)) * 4})
    data = bytearray(path.read_bytes())
    at %= len(data)
    data[at : at + len(junk)] = junk
    path.write_bytes(data)
    for picture in sources.expand([str(path)], Settings()):
        try:
            picture.read()
        except (InputError, NotFound):
            continue


@pytest.mark.parametrize(
    ("words", "many"),
    [
        (["-"], False),
        (["http://example.org/*.jpg"], False),
        (["*.jpg"], True),
        (["a.jpg", "b.jpg"], True),
        (["a.jpg"], False),
    ],
)
def test_is_many(words: list[str], many: bool) -> None:
    assert sources.is_many(words) is many
