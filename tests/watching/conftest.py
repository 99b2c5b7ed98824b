"""A model of colours, so that a test sees in an answer which frame it was about, and videos of colours."""

import hashlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.runtime import graphs
from tests.watching.cameras import COLOURS, SIZE

from sightline.registry import Registry
from sightline.serving.road import Road
from sightline.settings import Settings, load_settings
from sightline.types import Classification, Result

MakeVideo = Callable[..., Path]


@pytest.fixture(scope="session")
def colour_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose model `colour` says red, green or blue. Do not change it."""
    folder = tmp_path_factory.mktemp("colour")
    bundle = folder / "bundle"
    bundle.mkdir()
    data = graphs.colour_classifier(bundle / "model.onnx", sharpness=9).read_bytes()
    about = {"name": "colour", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (bundle / "model.json").write_text(graphs.manifest(version="1", **about).model_dump_json())
    Registry(load_settings({"data_dir": str(folder / "data")}, environment={})).add(bundle)
    return folder / "data"


@pytest.fixture
def settings(colour_data: Path) -> Settings:
    values = {"data_dir": str(colour_data), "threads": 1, "decoders": 1, "model": "colour"}
    return load_settings(values, environment={})


@pytest.fixture
def road(settings: Settings) -> Iterator[Road]:
    with Road.open(settings) as made:
        made.pool.get("colour")
        yield made


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> MakeVideo:
    """``video("red", "green", frames=10)`` -> a file that shows each colour for 10 frames, 10 a second."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV (the extra `video`) is not installed.")

    def make(*colours: str, frames: int = 10, fps: float = 10.0) -> Path:
        path = tmp_path_factory.mktemp("video") / "colours.avi"
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), fps, SIZE)
        assert writer.isOpened()
        for colour in colours:
            pixels = np.full((SIZE[1], SIZE[0], 3), COLOURS[colour][::-1], np.uint8)
            for _ in range(frames):
                writer.write(pixels)
        writer.release()
        return path

    return make


@pytest.fixture
def unused_port() -> int:
    """A port of the loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def top(result: Result) -> str:
    """The strongest label."""
    assert isinstance(result.prediction, Classification)
    return result.labels[int(result.prediction.label[0])]
