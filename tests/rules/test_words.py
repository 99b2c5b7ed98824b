"""What rules may wait for, by the models and pipelines that are here."""

import pytest
from tests.serving.test_pipelines import DOOR
from tests.web import tiny

from sightline.registry import Registry
from sightline.rules.words import Word, known, warning
from sightline.serving.pipelines import import_pipeline
from sightline.settings import load_settings


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[Word, ...]:
    folder = tmp_path_factory.mktemp("words")
    settings = load_settings({"data_dir": str(folder / "data")}, environment={})
    tiny.install(settings, folder / "bundles")
    (folder / "door.toml").write_text(DOOR)
    registry = Registry(settings)
    import_pipeline(folder / "door.toml", registry)
    return known(bundle.manifest for bundle in registry.list())


def test_verdicts_come_first_with_their_titles(words: tuple[Word, ...]) -> None:
    rider = next(word for word in words if word.what == "rider" and "door" in word.models)
    assert rider.title == "a rider in red"
    kinds = [bool({"door", "visitors"} & set(word.models)) for word in words]
    assert kinds == sorted(kinds, reverse=True)


@pytest.mark.parametrize("what", ["rider", "Rider", "A rider in RED", "person"])
def test_labels_verdicts_and_titles_are_known_whatever_their_capitals(
    words: tuple[Word, ...], what: str
) -> None:
    assert warning(what, words) == ""


@pytest.mark.parametrize(("what", "close"), [("in red", "rider"), ("ridr", "rider"), ("unicorn", "")])
def test_what_nobody_says_is_warned_of(words: tuple[Word, ...], what: str, close: str) -> None:
    told = warning(what, words)
    assert told.startswith(f"No model here says {what!r}")
    assert ("Close to it" in told) == bool(close)
    assert close in told
