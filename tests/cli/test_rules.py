"""``sightline rules`` and ``sightline pipelines``: what they print, and what they refuse."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run

RULE = """
name = "Somebody"
what = "person"
hits = 2
of = 3

[[actions]]
kind = "log"

[[actions]]
kind = "command"
argv = ["/bin/echo", "seen"]
"""


def test_a_rule_from_a_file_can_be_tested_and_removed(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rule.toml"
    file.write_text(RULE)
    data = tmp_path / "data"
    added = run("rules", "add", file, data=data)
    assert added.exit_code == 0, added.output
    assert "Secret" not in added.stdout  # it has no webhook to sign
    (rule,) = json.loads(run("rules", "list", "--json", data=data).stdout)["rules"]
    assert (rule["name"], rule["hits"], rule["of"]) == ("Somebody", 2, 3)
    assert "secret" not in rule
    tested = run("rules", "test", rule["id"], data=data)
    assert "seen" in tested.stdout
    assert run("rules", "deliveries", data=data).stdout.count("delivered") == 2
    assert run("rules", "remove", rule["id"], data=data).exit_code == 0
    assert "no rule yet" in run("rules", "list", data=data).stdout


def test_a_notification_that_is_tested_here_waits_for_a_page(run: Run, tmp_path: Path) -> None:
    assert run("rules", "add", "--what", "dog", "--browser", data=tmp_path).exit_code == 0
    (rule,) = json.loads(run("rules", "list", "--json", data=tmp_path).stdout)["rules"]
    tested = run("rules", "test", rule["id"], data=tmp_path)
    assert (tested.exit_code, "waits for an open page" in tested.stdout) == (0, True)


def test_a_webhook_shows_its_secret_once(run: Run, tmp_path: Path) -> None:
    words = ("--what", "rider", "--hits", "3", "--webhook", "https://example.org/hook")
    added = run("rules", "add", *words, data=tmp_path)
    assert "whsec_" in added.stdout
    listed = run("rules", "list", data=tmp_path).stdout
    assert "rider >= 0.5 in 3 of 3" in listed
    assert "whsec_" not in listed


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--what", "dog"), "actions"),
        (("--log",), "what"),
        (("--what", "dog", "--webhook", "http://10.0.0.1/"), "not on the public internet"),
        (("--what", "dog", "--email", "a@example.org"), "mail_server"),
    ],
)
def test_rules_that_cannot_be(run: Run, tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    done = run("rules", "add", *words, data=tmp_path)
    assert done.exit_code != 0
    assert sentence in done.stderr


def test_pipelines_are_listed_shown_and_imported(run: Run, tmp_path: Path) -> None:
    listed = json.loads(run("pipelines", "list", "--json", data=tmp_path).stdout)["pipelines"]
    assert [(row["name"], row["first"], row["second"]) for row in listed] == [
        ("visitors", "everyday", "rule")
    ]
    shown = run("pipelines", "show", "visitors", data=tmp_path).stdout
    assert "motorcycle in" in shown
    assert "a rule, no network" in shown
    folder = tmp_path / "mine"
    folder.mkdir()
    source = Path(__file__).resolve().parents[2] / "src/sightline/bundled/visitors/1/pipeline.toml"
    (folder / "pipeline.toml").write_text(source.read_text().replace('name = "visitors"', 'name = "mine"'))
    done = run("models", "import", folder, data=tmp_path)
    assert done.exit_code == 0, done.output
    assert "Imported mine@1: a pipeline of everyday" in done.stdout
    assert run("models", "import", folder, "--layout", "NCHW", data=tmp_path).exit_code != 0
    assert run("pipelines", "set", "mine", "--second", "everyday", data=tmp_path).exit_code != 0
    assert "pipeline" in run("models", "show", "mine", data=tmp_path).stdout
    assert run("models", "bench", "mine", data=tmp_path).exit_code != 0
