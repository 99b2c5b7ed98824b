"""Results written in children are what they would be here."""

from collections.abc import Iterator

import pytest
from tests.formats.conftest import classified, detected, segmented

from sightline.errors import Busy
from sightline.formats import native
from sightline.serving.scribe import Scribe
from sightline.types import Result

__all__ = ["classified", "detected", "segmented"]


@pytest.fixture
def scribe() -> Iterator[Scribe]:
    made = Scribe(2)
    yield made
    made.close()


def test_the_same_words(scribe: Scribe, classified: Result, detected: Result, segmented: Result) -> None:
    for result in (classified, detected, segmented, segmented):
        assert scribe.body(result) == native.to_json(result)


def test_only_masks_need_children(scribe: Scribe, detected: Result, segmented: Result) -> None:
    scribe.close()
    assert scribe.body(detected) == native.to_json(detected)
    with pytest.raises(Busy, match="stopping"):
        scribe.body(segmented)
