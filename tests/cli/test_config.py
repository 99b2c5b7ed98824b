import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run


def test_config_says_where_each_value_came_from(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("sightline.toml").write_text('port = 9000\nengine = "openvino"\n')
    monkeypatch.setenv("SIGHTLINE_ENGINE", "onnxruntime")
    shown = json.loads(run("config", "--json", "--set", "threads=2", "--set", "batch-max=3").stdout)
    assert shown["port"] == {"value": 9000, "from": "sightline.toml"}
    assert shown["engine"] == {"value": "onnxruntime", "from": "SIGHTLINE_ENGINE"}
    assert shown["threads"] == {"value": 2, "from": "command line"}
    assert shown["batch_max"]["value"] == 3
    assert shown["host"] == {"value": "127.0.0.1", "from": "default"}


def test_what_a_container_platform_says_about_a_service_is_no_setting(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_PORT", "tcp://10.0.0.7:8000")
    monkeypatch.setenv("SIGHTLINE_PORT_8000_TCP_ADDR", "10.0.0.7")
    monkeypatch.setenv("SIGHTLINE_SERVICE_HOST", "10.0.0.7")
    assert json.loads(run("config", "--json").stdout)["port"] == {"value": 8000, "from": "default"}


def test_config_for_people(run: Run, tmp_path: Path) -> None:
    shown = run("config", "--changed").stdout
    assert "data_dir" in shown
    assert "SIGHTLINE_DATA_DIR" in shown
    assert "deadline_s" not in shown
    assert f"Data folder: {tmp_path / 'data'}" in shown
    assert "deadline_s" in run("config").stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--set", "nonsense=1"], "--set sets 'nonsense', which is no setting of Sightline"),
        (["--set", "threads"], "--set wants NAME=VALUE"),
        (["--set", "threads=many"], "threads wants int"),
        (["--set", "port=99999"], "port must be 0 to 65535"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_wrong_settings_are_usage_errors(run: Run, words: list[str], sentence: str) -> None:
    done = run("config", *words)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert "Next: " in done.stderr
    assert done.stdout == ""


def test_wrong_environment_and_files(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("other.toml").write_text("port = true")
    assert "port wants int, got True" in run("config", "--config", "other.toml").stderr
    Path("other.toml").write_text("port = ")
    assert "cannot be read as TOML" in run("config", "--config", "other.toml").stderr
    monkeypatch.setenv("SIGHTLINE_CONFIG", "gone.toml")
    done = run("config")
    assert done.exit_code == 2
    assert "gone.toml does not exist" in done.stderr
