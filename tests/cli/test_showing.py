"""What ``models show`` and ``models list`` say to people of the models that ship."""

import re

from tests.cli.conftest import Run

from sightline.cli.models.show import _figure


def test_figures_stand_one_a_line_and_the_card_has_the_rest(run: Run) -> None:
    lines = run("models", "show", "everyday").stdout.splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("metrics "))
    end = next(place for place, line in enumerate(lines) if line.startswith("versions "))
    judged, *figures, rest = (line.removeprefix("metrics").strip() for line in lines[begin:end])
    assert re.fullmatch(r"\S+, \d+ pictures, \d+ pixels a side", judged)
    assert figures[0].startswith("ap ")
    for line in figures:
        assert re.fullmatch(r"\w+ 0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)", line)
    assert re.fullmatch(r"in full: sightline models show everyday@\d+ --card", rest)


def test_metrics_of_others_are_shown_or_passed_over() -> None:
    given = (
        0.5,
        {"value": 0.25},
        {"value": 0.25, "interval": "wide"},
        {"value": "good"},
        [1.0],
        "good",
        None,
    )
    assert [_figure(value) for value in given] == ["0.5", "0.25", "0.25", "", "", "", ""]


def test_what_has_no_weights_has_no_size(run: Run) -> None:
    lines = run("models", "list").stdout.splitlines()
    (pipeline,) = (line for line in lines if "visitors@" in line)
    (detector,) = (line for line in lines if "everyday@" in line)
    assert " MB " in detector
    assert not re.search(r"\d k?B ", pipeline)


def test_a_version_that_is_not_there_names_those_that_are(run: Run) -> None:
    refused = run("models", "show", "everyday@nine")
    assert refused.exit_code == 3
    assert re.search(r"The model 'everyday' has no version 'nine'; it has \d+", refused.stderr)
