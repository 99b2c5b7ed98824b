"""CSV: one row per object, safe in a spreadsheet."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from sightline.formats import table
from sightline.types import Classification, ModelRef, Result


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_objects(detected: Result, segmented: Result) -> None:
    for result in (detected, segmented):
        head, first, second = rows(table.csv([result], {"r1": "f" * 64}))
        assert head == list(table.COLUMNS)
        numbers = ["0.9124", "10.0", "20.0", "50.12", "60.99"]
        assert first == ["a/b.jpg", "f" * 64, "100", "80", "猫 & <dog>", *numbers, "toy@2", "a" * 64, "", ""]
        assert second[4] == "person"


def test_classes_have_no_box(classified: Result) -> None:
    assert rows(table.csv([classified], {}))[1][4:10] == ['stop "sign"', "0.7", "", "", "", ""]


def test_a_picture_without_objects_has_a_row(nothing: Result) -> None:
    _, row = rows(table.csv([nothing], {}))
    assert row == ["a/b.jpg", "", "100", "80", "", "", "", "", "", "", "toy@2", "a" * 64, "", ""]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", " =", "\uff1d"])
def test_formulas_are_disarmed(start: str, detected: Result) -> None:
    bad = start + "HYPERLINK(1)"
    result = replace(detected, source=bad, labels=(bad,) * 3, model=ModelRef(bad, "1", bad))
    for row in rows(table.csv([result], {}))[1:]:
        assert row[0] == f"'{bad}"
        assert row[4] == f"'{bad}"
        assert row[10].startswith("'")
        assert row[11].startswith("'")


def test_text_is_quoted_and_numbers_are_not(detected: Result) -> None:
    line = table.csv([detected], {}).split("\r\n")[1]
    assert line.startswith('"a/b.jpg","",100,80,"')


def test_verdicts_of_a_pipeline(judged: Result) -> None:
    _, person, bag = rows(table.csv([judged], {}))
    assert person[-2:] == ["rider", "rider"]
    assert bag[-2:] == ["", "rider"]


def test_no_results_is_a_head() -> None:
    assert rows(table.csv([], {})) == [list(table.COLUMNS)]


def test_label_ids_of_numpy_are_no_problem(detected: Result) -> None:
    one = Classification(np.array([1]), np.array([0.5], np.float32))
    assert rows(table.csv([replace(detected, prediction=one, task="classify")], {}))[1][5] == "0.5"
