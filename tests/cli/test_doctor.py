import json
import socket
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run

from sightline.cli.checks import machine, models, rounds, safety
from sightline.cli.checks.finding import Finding
from sightline.runtime import features
from sightline.settings import Settings
from sightline.web.guards import HostList
from sightline.web.problems import HostRefused


def _by_level(findings: Iterator[Finding], level: str) -> list[Finding]:
    return [finding for finding in findings if finding.level == level]


@pytest.mark.shared
def test_the_doctor_of_a_healthy_installation(run: Run, yolox_data: Path) -> None:
    done = run("doctor", "--port", "0", data=yolox_data)
    assert done.exit_code == 0, done.stdout
    assert "Found no problems" in done.stdout
    for area in ("python", "processor", "memory", "engines", "disk", "cameras", "models", "road"):
        assert f"  {area} " in done.stdout


@pytest.mark.shared
def test_a_damaged_model_is_a_problem(run: Run, own_yolox: Path) -> None:
    (model,) = own_yolox.glob("models/yolox-nano/*/model.onnx")
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    done = run("doctor", "--model", "yolox-nano", "--json", "--port", "0", data=own_yolox)
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert not answer["healthy"]
    wrong = [finding for finding in answer["findings"] if finding["level"] == "problem"]
    assert any("SHA-256" in finding["words"] for finding in wrong)
    assert all(finding["fix"] for finding in answer["findings"] if finding["level"] != "ok")


def test_unsafe_settings() -> None:
    settings = Settings(host="0.0.0.0", allowed_hosts="*", fetch_allow="10.0.0.7", decode_cpu_s=600)
    findings = list(safety.settings_are_safe(settings))
    said = " ".join(finding.words for finding in findings)
    for part in ("0.0.0.0", "allowed_hosts", "10.0.0.7", "decode_cpu_s"):
        assert part in said
    assert all(finding.fix for finding in findings)
    assert [finding.level for finding in safety.settings_are_safe(Settings())] == ["ok"]


@pytest.mark.parametrize(
    ("options", "level", "words"),
    [
        ({"host": "0.0.0.0"}, "warning", "nothing is encrypted"),
        ({"host": "0.0.0.0", "tls": True}, "note", "over https"),
        ({"host": "a.lan", "tls_cert": "a.pem", "tls_key": "a.key"}, "note", "over https"),
        ({"host": "[::1]"}, "ok", "nothing unsafe"),
        ({"allowed_hosts": "*.lan"}, "warning", "lets nobody in"),
    ],
    ids=str,
)
def test_what_is_said_of_an_address_is_true(options: dict[str, Any], level: str, words: str) -> None:
    (finding,) = safety.settings_are_safe(Settings(**options))
    assert (finding.level, words in finding.words) == (level, True), finding


def test_a_star_in_the_names_is_what_the_doctor_says() -> None:
    names = HostList(Settings(allowed_hosts="*"))
    with pytest.raises(HostRefused):
        names.check([(b"host", b"anything.example")])


def test_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0o644)
    tmp_path.chmod(0o777)
    found = list(safety.files(Settings(data_dir=str(tmp_path))))
    assert any(finding.fix.startswith("chmod go-w") for finding in found)
    assert any(finding.fix.startswith("chmod 600") for finding in found)
    (tmp_path / "secret").chmod(0o600)
    assert any(finding.level == "ok" for finding in safety.files(Settings(data_dir=str(tmp_path))))


def test_a_port_in_use() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        (finding,) = safety.port(Settings(port=other.getsockname()[1]))
    assert finding.level == "note"
    assert "cannot be bound" in finding.words
    assert [finding.level for finding in safety.port(Settings(port=0))] == ["ok"]


def test_memory_and_threads_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _by_level(machine.memory(Settings(memory_mb=10**9)), "warning")
    assert _by_level(machine.processor(Settings(threads=10**6)), "warning")
    monkeypatch.setattr(machine, "_container_limit", lambda: 1 << 20)
    assert _by_level(machine.memory(Settings()), "warning")


def test_the_limit_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_: "max\n")
    assert machine._container_limit() == 0
    monkeypatch.setattr(Path, "read_text", lambda *_: "123\n")
    assert machine._container_limit() == 123


def test_missing_and_old_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "openvino":
            raise metadata.PackageNotFoundError
        return "0.0.1"

    monkeypatch.setattr(metadata, "version", version)
    assert len(_by_level(machine.python(Settings()), "problem")) == len(machine.FLOORS)
    assert _by_level(machine.engines(Settings()), "warning")
    assert _by_level(machine.engines(Settings(engine="openvino")), "problem")


def test_the_installed_libraries_have_no_known_holes() -> None:
    assert not _by_level(machine.python(Settings()), "problem")


def test_bf16_without_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "this_machine", lambda: features.Features("old", frozenset()))
    assert _by_level(machine.engines(Settings(precision="bf16")), "warning")


def test_disks(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert _by_level(machine.disk(Settings(data_dir=str(tmp_path / "file" / "x"))), "problem")
    assert _by_level(machine.disk(Settings(data_dir=str(tmp_path), disk_reserve_mb=10**9)), "problem")
    assert _by_level(machine.disk(Settings(data_dir=str(tmp_path / "new"), disk_reserve_mb=0)), "ok")


def test_cameras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "video0").write_text("")
    monkeypatch.setattr(machine, "Path", lambda _: tmp_path)
    assert _by_level(machine.cameras(Settings()), "ok")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "group video" in _by_level(machine.cameras(Settings()), "warning")[0].fix


def test_a_model_that_is_not_there(data_settings: Settings) -> None:
    from dataclasses import replace  # noqa: PLC0415

    (finding,) = models.road(replace(data_settings, model="nix"))
    assert "There is no model 'nix'" in finding.words


@pytest.mark.shared
def test_a_model_over_the_budget(yolox_data: Path) -> None:
    assert _by_level(models.shelf(Settings(data_dir=str(yolox_data), memory_mb=1)), "warning")


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def faint(_settings: Settings) -> Iterator[Finding]:
        raise ZeroDivisionError
        yield  # type: ignore[unreachable]

    monkeypatch.setattr(rounds, "CHECKS", (faint, safety.port))
    first, second = rounds.rounds(Settings(port=0))
    assert first.level == "problem"
    assert "ZeroDivisionError" in first.words
    assert second.level == "ok"
