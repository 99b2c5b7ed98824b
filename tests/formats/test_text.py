"""Results in words."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.formats import content, text
from sightline.types import Classification, Detections, Result


def of(detected: Result, labels: tuple[str, ...], ids: list[int]) -> Result:
    n = len(ids)
    boxes = np.tile(np.array([[0, 0, 1, 1]], np.float32), (n, 1))
    return replace(
        detected, labels=labels, prediction=Detections(boxes, np.ones(n, np.float32), np.array(ids))
    )


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ([], "nothing"),
        ([1], "a dog"),
        ([0, 1, 0], "2 people and a dog"),
        ([2, 0, 1, 1], "2 dogs, an umbrella and a person"),
        ([3], "scissors"),
        ([3, 3], "2 scissors"),
    ],
)
def test_objects(detected: Result, ids: list[int], says: str) -> None:
    assert text.describe(of(detected, ("person", "dog", "umbrella", "scissors"), ids)) == says


def test_many_kinds(detected: Result) -> None:
    labels = tuple(f"thing {letter}" for letter in "abcdefghij")
    assert text.describe(of(detected, labels, list(range(10)))).endswith("a thing h and 2 more kinds")


def test_classes(classified: Result, segmented: Result) -> None:
    assert text.describe(classified) == 'stop "sign" (70%)'
    assert text.describe(segmented) == "a 猫 & <dog> and a person"
    none = Classification(np.zeros(0, np.int64), np.zeros(0, np.float32))
    assert text.describe(replace(classified, prediction=none)) == "nothing certain enough"


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("bus", "buses"),
        ("couch", "couches"),
        ("toothbrush", "toothbrushes"),
        ("berry", "berries"),
        ("toy", "toys"),
        ("mouse", "mice"),
        ("wine glass", "wine glasses"),
        ("Person", "people"),
        ("box", "boxes"),
        ("sheep", "sheep"),
    ],
)
def test_plurals(one: str, many: str) -> None:
    assert text.plural(one) == many


def test_articles() -> None:
    words = ["an apple", "an umbrella", "a unicycle", "a dog", "sheep"]
    assert [text.count_of(word.split()[-1], 1) for word in words] == words


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("a/b.jpg", "b.jpg"),
        ("C:\\x\\y.png", "y.png"),
        ("https://host/p/z.jpg?size=1", "z.jpg"),
        ("-", "r1.jpg"),
        ("", "r1.jpg"),
        ("..", "r1.jpg"),
    ],
)
def test_file_names_have_no_folders(detected: Result, source: str, name: str) -> None:
    assert content.file_name(replace(detected, source=source)) == name


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1), max_size=5))
def test_labels_are_read_as_they_are_written(labels: list[str]) -> None:
    assert text.labels_of(",".join(text.as_typed(label) for label in labels)) == labels
