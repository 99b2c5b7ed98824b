"""The registry: names, versions, damage, other processes, threads."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sightline.errors import BadOption, ModelRefused, NotFound, StorageFull
from sightline.registry import Registry
from sightline.registry.install import natural
from sightline.registry.labels import COCO, COCO_IDS, VOC
from sightline.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"))


@pytest.fixture
def registry(settings: Settings, tmp_path: Path) -> Registry:
    return Registry(settings, bundled=tmp_path / "bundled")


def test_an_empty_shelf_says_how_to_fill_it(registry: Registry) -> None:
    assert registry.list() == []
    with pytest.raises(NotFound, match="no model yet"):
        registry.resolve()
    with pytest.raises(NotFound, match="Models here: none yet"):
        registry.resolve("toy")


def test_an_added_bundle_answers_by_name_and_version(registry: Registry, make_bundle: Any) -> None:
    added = registry.add(make_bundle(card="# Card"))
    assert added.active
    assert added.folder == registry.root / "toy" / "1"
    assert sorted(path.name for path in added.folder.iterdir()) == ["CARD.md", "model.json", "model.onnx"]
    for name in (None, "toy", "toy@1"):
        assert registry.resolve(name).ref == added.ref
    assert [bundle.reference for bundle in registry.list()] == ["toy@1"]


def test_unknown_names_and_versions_name_the_valid_ones(registry: Registry, make_bundle: Any) -> None:
    registry.add(make_bundle())
    with pytest.raises(NotFound, match="Models here: toy"):
        registry.resolve("tyo")
    with pytest.raises(NotFound, match="it has 1"):
        registry.resolve("toy@2")
    with pytest.raises(NotFound):
        registry.versions("tyo")
    registry.add(make_bundle(version="10"))
    registry.add(make_bundle(version="2"))
    for ask in (registry.find, registry.removable, registry.resolve):
        with pytest.raises(NotFound, match=r"no version '9'; it has 1, 2, 10\."):
            ask("toy@9")


def test_a_new_version_becomes_active_and_promote_goes_back(registry: Registry, make_bundle: Any) -> None:
    registry.add(make_bundle(b"one"))
    registry.add(make_bundle(b"second", version="10"))
    registry.add(make_bundle(b"middle2", version="9"))
    assert registry.resolve("toy").version == "9"
    assert [bundle.version for bundle in registry.versions("toy")] == ["10", "9", "1"]
    assert registry.promote("toy", "1").active
    assert registry.resolve("toy").version == "1"
    assert [bundle.active for bundle in registry.versions("toy")] == [False, False, True]


def test_promoting_a_damaged_version_changes_nothing(registry: Registry, make_bundle: Any) -> None:
    registry.add(make_bundle(b"one"))
    registry.add(make_bundle(b"two", version="2"))
    (registry.root / "toy" / "1" / "model.onnx").write_bytes(b"0ne")
    with pytest.raises(ModelRefused):
        registry.promote("toy", "1")
    assert registry.resolve("toy").version == "2"


def test_the_same_bundle_twice_is_fine_and_other_content_is_not(registry: Registry, make_bundle: Any) -> None:
    registry.add(make_bundle(b"one"))
    registry.add(make_bundle(b"one"))
    with pytest.raises(ModelRefused, match="exists already"):
        registry.add(make_bundle(b"two!"))
    assert registry.resolve("toy").model_path.read_bytes() == b"one"


def test_an_intact_copy_replaces_a_damaged_installation(
    settings: Settings, registry: Registry, make_bundle: Any
) -> None:
    folder = make_bundle(b"one")
    registry.add(folder)
    (registry.root / "toy" / "1" / "model.onnx").write_bytes(b"0ne")
    assert registry.resolve("toy").version == "1", "what is in memory goes on serving"
    with pytest.raises(ModelRefused):
        registry.prove(registry.resolve("toy"))
    with pytest.raises(ModelRefused):
        Registry(settings).resolve("toy")
    assert registry.add(folder).model_path.read_bytes() == b"one"
    assert registry.problems(deep=True) == ()


DAMAGES = {
    "garbage": lambda folder: (folder / "model.json").write_text("{"),
    "gone": lambda folder: (folder / "model.json").unlink(),
    "empty": lambda folder: [path.unlink() for path in folder.iterdir()],
    "another": lambda folder: (folder / "model.json").write_text(
        (folder / "model.json").read_text().replace('"toy"', '"boy"')
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("known", [True, False], ids=["running", "after a restart"])
def test_a_damaged_manifest_can_be_replaced(
    settings: Settings, registry: Registry, make_bundle: Any, damage: Any, known: bool
) -> None:
    folder = make_bundle(b"one")
    damage(registry.add(folder).folder)
    registry = registry if known else Registry(settings, bundled=registry.root)
    assert registry.add(folder).model_path.read_bytes() == b"one"
    fresh = Registry(settings)
    assert fresh.resolve("toy").active
    assert fresh.problems(deep=True) == ()
    assert sorted(path.name for path in registry.root.iterdir()) == ["toy"]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_manifest_can_be_removed(
    settings: Settings, registry: Registry, make_bundle: Any, damage: Any
) -> None:
    damage(registry.add(make_bundle(b"one")).folder)
    registry = Registry(settings)
    for name in ("toy", "toy@1"):
        with pytest.raises(NotFound, match="toy@1 is damaged") as failure:
            registry.resolve(name)
        assert "models remove toy@1" in failure.value.next_step
    assert [one.reference for one in registry.removable("toy")] == ["toy@1"]
    assert [one.reference for one in registry.remove("toy", "1")] == ["toy@1"]
    assert list(registry.root.iterdir()) == []
    with pytest.raises(NotFound, match="There is no model 'toy'"):
        registry.remove("toy")


def test_a_damaged_version_leaves_only_once_its_heir_is_proven(
    settings: Settings, registry: Registry, make_bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_bundle(b"one")
    home = registry.add(folder).folder
    (home / "model.json").write_text("{")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfileobj", full)
        with pytest.raises(StorageFull, match="nothing has changed"):
            Registry(settings).add(folder)
    assert (home / "model.onnx").read_bytes() == b"one"


def test_what_lies_beside_a_damaged_version_stays(
    settings: Settings, registry: Registry, make_bundle: Any
) -> None:
    registry.add(make_bundle(b"one"))
    damaged = registry.add(make_bundle(b"two", version="2")).folder
    (damaged / "model.json").write_text("{")
    registry = Registry(settings)
    with pytest.raises(NotFound, match="toy@2 is damaged"):
        registry.resolve("toy@2")
    assert [one.reference for one in registry.remove("toy", "2")] == ["toy@2"]
    assert registry.resolve("toy").version == "1"
    assert not (registry.root / "toy" / "ACTIVE").exists()


def test_a_damaged_active_version_falls_back_to_an_intact_one(
    settings: Settings, registry: Registry, make_bundle: Any, caplog: pytest.LogCaptureFixture
) -> None:
    registry.add(make_bundle(b"one"))
    registry.add(make_bundle(b"two", version="2"))
    (registry.root / "toy" / "2" / "model.onnx").write_bytes(b"tw0")
    fresh = Registry(settings)
    assert fresh.resolve("toy").version == "1"
    assert "Falling back" in caplog.text
    with pytest.raises(ModelRefused, match="SHA-256"):
        fresh.resolve("toy@2")
    assert any("toy@2" in sentence for sentence in fresh.problems(deep=True))


def test_a_failed_add_leaves_no_trace(
    registry: Registry, make_bundle: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(make_bundle(b"one"))
    before = sorted(path.relative_to(registry.root) for path in registry.root.rglob("*"))
    folder = make_bundle(b"two", version="2")
    (folder / "model.onnx").write_bytes(b"tw0")
    with pytest.raises(ModelRefused):
        registry.add(folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(StorageFull, match="nothing has changed"):
        registry.add(make_bundle(b"three", version="3"))
    assert sorted(path.relative_to(registry.root) for path in registry.root.rglob("*")) == before
    assert registry.resolve("toy").version == "1"


def test_remove_takes_a_version_or_all_of_them(registry: Registry, make_bundle: Any) -> None:
    registry.add(make_bundle(b"one"))
    registry.add(make_bundle(b"two", version="2"))
    assert [bundle.reference for bundle in registry.remove("toy", "2")] == ["toy@2"]
    assert registry.resolve("toy").version == "1"
    registry.remove("toy")
    assert registry.list() == []
    assert list(registry.root.iterdir()) == []
    with pytest.raises(NotFound):
        registry.remove("toy")


def test_bundled_models_come_first_and_stay(
    settings: Settings, registry: Registry, make_bundle: Any, tmp_path: Path
) -> None:
    make_bundle(b"s", folder=tmp_path / "bundled" / "small" / "1", name="small")
    make_bundle(b"c", folder=tmp_path / "bundled" / "class" / "1", name="class", task="classify")
    registry.add(make_bundle(name="another"))
    registry = Registry(settings, bundled=tmp_path / "bundled")
    assert registry.resolve().name == "small"
    assert registry.resolve().bundled
    with pytest.raises(BadOption, match="ships with Sightline"):
        registry.remove("small")
    registry.add(make_bundle(b"newer", name="small", version="2"))
    assert registry.resolve("small").version == "2"
    registry.promote("small", "1")
    assert registry.resolve().bundled
    assert [bundle.reference for bundle in registry.remove("small")] == ["small@2"]
    assert registry.resolve("small").version == "1"


def test_the_setting_model_names_the_default(tmp_path: Path, make_bundle: Any) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"), model="b@1")
    registry = Registry(settings, bundled=tmp_path / "none")
    registry.add(make_bundle(name="a"))
    registry.add(make_bundle(name="b"))
    assert registry.resolve().name == "b"


def test_folders_that_are_no_bundles_are_left_out_and_named(registry: Registry, make_bundle: Any) -> None:
    registry.add(make_bundle())
    make_bundle(folder=registry.root / "wrong" / "1")
    (registry.root / "empty" / "1").mkdir(parents=True)
    (registry.root / "link").symlink_to(registry.root / "toy")
    registry = Registry(Settings(data_dir=str(registry.root.parent)))
    assert "toy" in {bundle.name for bundle in registry.list()}
    assert "wrong" not in {bundle.name for bundle in registry.list()}
    assert len(registry.problems()) == 2


def test_an_active_file_with_nonsense_is_ignored(registry: Registry, make_bundle: Any) -> None:
    registry.add(make_bundle(b"one"))
    registry.add(make_bundle(b"two", version="2"))
    (registry.root / "toy" / "ACTIVE").write_text("../../etc")
    assert Registry(Settings(data_dir=str(registry.root.parent))).resolve("toy").version == "2"


def test_another_process_is_noticed(registry: Registry, make_bundle: Any, settings: Settings) -> None:
    registry.add(make_bundle(b"one"))
    assert registry.resolve("toy").version == "1"
    script = (
        "import sys; from pathlib import Path; from sightline.registry import Registry; "
        "from sightline.settings import Settings; "
        "Registry(Settings(data_dir=sys.argv[1])).add(Path(sys.argv[2]))"
    )
    folder = make_bundle(b"two", version="2")
    subprocess.run([sys.executable, "-c", script, settings.data_dir, str(folder)], check=True, timeout=60)
    end_s = time.monotonic() + 30
    while registry.resolve("toy").version != "2" and time.monotonic() < end_s:
        time.sleep(0.02)
    assert registry.resolve("toy").version == "2"


def test_readers_never_see_half_a_change(registry: Registry, make_bundle: Any, settings: Settings) -> None:
    """One thread adds versions, others resolve: always a sound bundle, never an error."""
    registry.add(make_bundle(b"base", version="base"))
    folders = [make_bundle(b"w" * (index + 1), version=f"v{index}") for index in range(10)]
    readers = [registry, Registry(settings)]
    stop = threading.Event()
    failures: list[BaseException] = []
    seen = 0

    def read(reader: Registry) -> None:
        nonlocal seen
        while not stop.is_set():
            try:
                reader.resolve("toy")
                seen += 1
            except BaseException as error:  # noqa: BLE001 - whatever it is, it fails the test
                failures.append(error)
                return

    threads = [threading.Thread(target=read, args=(reader,)) for reader in readers for _ in range(2)]
    for thread in threads:
        thread.start()
    for folder in folders:
        registry.add(folder)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert failures == []
    assert seen > 10


def test_resolving_is_cheap_enough_for_every_request(registry: Registry, make_bundle: Any) -> None:
    registry.add(make_bundle())
    registry.resolve("toy")
    began_s = time.thread_time()
    for _ in range(1000):
        registry.resolve("toy")
    assert time.thread_time() - began_s < 0.5, "of the processor: others may use the machine too"


def test_what_a_crash_left_is_swept_after_a_day(registry: Registry, make_bundle: Any) -> None:
    left = registry.root / ".incoming-abc"
    left.mkdir(parents=True)
    registry.add(make_bundle())
    assert left.exists()
    os.utime(left, (0, 0))
    registry.add(make_bundle(b"two", version="2"))
    assert not left.exists()


def test_versions_sort_as_people_count() -> None:
    versions = ["1.10", "1.9", "2", "10", "1.0rc1", "1.0"]
    assert sorted(versions, key=natural) == ["1.0", "1.0rc1", "1.9", "1.10", "2", "10"]


def test_label_lists_are_whole() -> None:
    assert (len(COCO), len(set(COCO)), len(COCO_IDS), len(VOC)) == (80, 80, 80, 21)
    assert (COCO_IDS[COCO.index("toaster")], COCO_IDS[COCO.index("book")]) == (80, 84)
