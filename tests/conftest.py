"""What every test may use. Warnings are errors (pyproject.toml); nothing here reaches the internet."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from sightline.registry import Registry
from sightline.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parent.parent
_SHARED = Path(os.environ.get("SHARED_MATERIAL", ROOT.parent / "shared"))

_WORKER_MB = 2048
"""Memory for one worker: 1.2 GB with torch and the engines; the rest for the servers of its tests."""


def pytest_xdist_auto_num_workers() -> int:
    """Workers of ``-n auto``: one for each core that has the memory for it."""
    rows = Path("/proc/meminfo").read_text().splitlines()
    free_mb = next(int(row.split()[1]) for row in rows if row.startswith("MemAvailable")) >> 10
    return max(1, min(len(os.sched_getaffinity(0)), free_mb // _WORKER_MB))


settings.register_profile(
    "default",
    deadline=None,  # machines that run tests are busy; time is measured by tests that say so
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the settings or the models of the person who runs it."""
    for name in list(os.environ):
        if name.startswith("SIGHTLINE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "home"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material beside the project: weights, photos, hostile pictures."""
    if not _SHARED.is_dir():
        pytest.skip("The folder of shared material is not beside the project.")
    return _SHARED


@pytest.fixture(scope="session")
def photos(shared: Path) -> Path:
    """Forty demo photographs; README.md there says which ones have a special format."""
    return shared / "photos"


@pytest.fixture(scope="session")
def samples() -> Path:
    """The sample pictures that ship with Sightline."""
    return ROOT / "src" / "sightline" / "web" / "static" / "samples"


@pytest.fixture
def data_settings(tmp_path: Path) -> Settings:
    """Default settings with a data folder of this test's own."""
    return load_settings({"data_dir": str(tmp_path / "data")}, environment={})


@pytest.fixture(scope="session")
def yolox_data(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the pretrained YOLOX-Nano, imported once by the real importer. Do not change it."""
    from sightline.serving.importer import import_model  # noqa: PLC0415 - only tests that ask for it need it

    folder = tmp_path_factory.mktemp("yolox")
    options = load_settings({"data_dir": str(folder)}, environment={})
    import_model(shared / "weights" / "yolox_nano_416.onnx", Registry(options), options, name="yolox-nano")
    return folder


@pytest.fixture(scope="session")
def yolox_registry(yolox_data: Path) -> Registry:
    """The registry over `yolox_data`."""
    return Registry(load_settings({"data_dir": str(yolox_data)}, environment={}))


@pytest.fixture
def own_yolox(yolox_data: Path, tmp_path: Path) -> Path:
    """A copy of `yolox_data` that a test may change."""
    return Path(shutil.copytree(yolox_data, tmp_path / "yolox"))


@pytest.fixture(scope="session")
def sightline_command() -> list[str]:
    """The words that start the command line in a child process."""
    return [sys.executable, "-m", "sightline"]
