"""MJPEG and JPEG cameras over HTTP, without OpenCV."""

from collections.abc import Callable

import pytest
from tests.watching.cameras import Camera, jpeg

from sightline.errors import FetchRefused
from sightline.settings import Settings
from sightline.watching.http_camera import HttpCamera, typed
from sightline.watching.source import parse

Open = Callable[[str], HttpCamera]


def often(eye: HttpCamera) -> None:
    """Pictures that were on their way still come; then there is an end."""
    for _ in range(100):
        eye.look()


@pytest.fixture
def opened(request: pytest.FixtureRequest, settings: Settings) -> Open:
    def open_it(word: str) -> HttpCamera:
        source = parse(word)
        eye = HttpCamera(source, settings, typed(source))
        request.addfinalizer(eye.close)
        return eye

    return open_it


@pytest.mark.parametrize("lengths", [True, False])
def test_pictures_come_as_they_are_and_the_newest_wins(opened: Open, lengths: bool) -> None:
    with Camera(lengths=lengths) as camera:
        eye = opened(camera.url())
        assert eye.look().picture == jpeg("red")
        camera.show = lambda _: "blue"
        sent = camera.sent
        while camera.sent < sent + 20:
            camera.closing.wait(0.02)
        late = eye.look()
        assert late.index >= 15
        assert late.picture == jpeg("blue")
        assert eye.look().index > late.index, "no picture is given twice"


def test_a_camera_with_single_pictures_is_asked_for_each(opened: Open) -> None:
    with Camera() as camera:
        camera.show = lambda sent: ["red", "green", "blue"][sent % 3]
        eye = opened(camera.url("/still"))
        assert [eye.look().picture for _ in range(4)] == [jpeg(c) for c in ("red", "green", "blue", "red")]
        assert camera.connections == 4


@pytest.mark.parametrize("kind", ["Basic", "Digest"])
def test_name_and_password(opened: Open, kind: str) -> None:
    with Camera(login=("joe", "se cret", kind)) as camera:
        assert opened(camera.url(login="joe:se%20cret@")).look().picture == jpeg("red")
        with pytest.raises(FetchRefused, match="refuses this name and password") as refused:
            opened(camera.url(login="joe:wr0ng@")).look()
        assert "wr0ng" not in str(refused.value)
        with pytest.raises(FetchRefused, match="wants a name and a password"):
            opened(camera.url()).look()


def test_a_stream_that_breaks_is_an_error(opened: Open) -> None:
    with Camera() as camera:
        eye = opened(camera.url())
        eye.look()
        camera.cut()
        with pytest.raises(FetchRefused):
            often(eye)


@pytest.mark.parametrize(("path", "words"), [("/page", "not a stream of pictures"), ("/lost", "404")])
def test_what_is_no_camera(opened: Open, path: str, words: str) -> None:
    with Camera() as camera, pytest.raises(FetchRefused, match=words):
        opened(camera.url(path)).look()


def test_a_private_address_that_nobody_typed_is_not_opened(settings: Settings) -> None:
    """What a request over HTTP names gets no more than the operator allows."""
    with Camera() as camera:
        eye = HttpCamera(parse(camera.url()), settings, frozenset())
        with pytest.raises(FetchRefused):
            eye.look()
        assert camera.connections == 0
