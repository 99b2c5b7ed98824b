"""The text of a pipeline says the same as its manifest, whatever its labels are called."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.registry import read_bundle
from sightline.registry.bundle import pipeline_manifest
from sightline.registry.pipeline_text import pipeline_fields, pipeline_text, toml_text

VISITORS = Path(__file__).resolve().parents[2] / "src/sightline/bundled/visitors/1"


def test_reading_the_text_gives_the_same_pipeline() -> None:
    manifest = read_bundle(VISITORS).manifest
    again = pipeline_manifest(tomllib.loads(pipeline_text(manifest)))
    assert again == manifest
    assert pipeline_manifest(pipeline_fields(manifest)) == manifest


def test_usual_values_are_left_out() -> None:
    text = pipeline_text(read_bundle(VISITORS).manifest)
    assert "most =" not in text  # 16, as always
    assert text.count("[[second.rule.signs]]") == 3
    assert text.startswith('name = "visitors"\n')


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
        | st.integers(-(2**60), 2**60)
        | st.none(),
        max_size=5,
    )
)
def test_any_words_survive(table: dict[str, str | int | None]) -> None:
    there = {key: value for key, value in table.items() if value is not None}
    text = toml_text({"a": 1, "table": table, "list": [{"x": "y", "gone": None}]})
    assert tomllib.loads(text) == {"a": 1, "table": there, "list": [{"x": "y"}]}


@pytest.mark.parametrize("name", ["rider at the door", 'a"b', "naïve", "", "\x7f", "a.b"])
def test_labels_with_odd_names_are_quoted(name: str) -> None:
    assert tomllib.loads(toml_text({"second": {"verdicts": {name: name}}})) == {
        "second": {"verdicts": {name: name}}
    }
