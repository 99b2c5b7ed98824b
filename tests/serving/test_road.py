"""The pool and the road over real graphs, engines and decoders."""

import hashlib
import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.runtime import graphs

from sightline.errors import Busy, DeadlineExceeded, ModelFailed, NotFound
from sightline.manifest import InputContract
from sightline.registry import Registry
from sightline.runtime import choose
from sightline.runtime.choose import Choice
from sightline.runtime.engine import Plan
from sightline.serving import pool as pool_room
from sightline.serving.call import Call
from sightline.serving.pool import LoadedModel, ModelPool
from sightline.serving.road import Road
from sightline.settings import Settings, load_settings
from sightline.types import Ask, Classification, Frame
from sightline.vision.codec import encode

LATE_S = 20.0
COLOURS = {"red": (230, 10, 10), "green": (10, 230, 10), "blue": (10, 10, 230)}


def jpeg(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), COLOURS[colour]).save(out, "JPEG", quality=95)
    return out.getvalue()


def bundle(
    folder: Path, name: str, version: str = "1", *, broken: bool = False, sharpness: float = 9
) -> Path:
    """A folder with a classifier of colours (or a graph that breaks when it runs) and its manifest."""
    folder = folder / f"{name}-{version}"
    folder.mkdir(parents=True)
    path = folder / "model.onnx"
    if broken:
        graphs.breaks_when_run(path)
    else:
        graphs.colour_classifier(path, sharpness=sharpness)
    data = path.read_bytes()
    about = {"name": name, "version": version, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "model.json").write_text(graphs.manifest(**about).model_dump_json())
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    values = {"data_dir": str(tmp_path / "data"), "threads": 2, "decoders": 1, "waiting_max": 16}
    return load_settings(values | {"model": "colour"}, environment={})


@pytest.fixture
def road(settings: Settings, tmp_path: Path) -> Iterator[Road]:
    with Road.open(settings) as made:
        made.registry.add(bundle(tmp_path, "colour"))
        yield made


def top(road: Road, colour: str, model: str | None = None) -> str:
    result = road.predict(jpeg(colour), model=model, ask=Ask(min_score=0, max_results=1))
    assert isinstance(result.prediction, Classification)
    return result.labels[int(result.prediction.label[0])]


def test_a_picture_goes_in_and_an_answer_comes_out(road: Road) -> None:
    result = road.predict(jpeg("green"), source="grass.jpg", ask=Ask(min_score=0))
    assert isinstance(result.prediction, Classification)
    assert result.labels[int(result.prediction.label[0])] == "green"
    assert (result.width, result.height, result.source, result.task) == (64, 48, "grass.jpg", "classify")
    assert (result.model.name, result.model.version) == ("colour", "1")
    assert result.model.digest.startswith("sha256:")
    assert result.engine == "onnxruntime fp32"
    assert len(result.id) == 32
    parts = result.timing
    told = parts.decode + parts.queue + parts.preprocess + parts.infer + parts.postprocess
    assert parts.total == pytest.approx(told, abs=1.0)
    assert min(parts.decode, parts.preprocess, parts.infer, parts.total) > 0


def test_a_decoded_frame_gets_the_numbers_of_its_file(road: Road) -> None:
    pixels = np.random.default_rng(7).integers(0, 255, (97, 131, 3), np.uint8)
    ask = Ask(min_score=0)
    frame = road.predict(Frame(pixels, 131, 97), source="frame", ask=ask)
    file = road.predict(encode(pixels, "image/png"), source="file", ask=ask)
    assert isinstance(frame.prediction, Classification)
    assert isinstance(file.prediction, Classification)
    assert frame.prediction.score.tolist() == file.prediction.score.tolist()
    assert frame.prediction.label.tolist() == file.prediction.label.tolist()
    assert (frame.width, frame.height) == (file.width, file.height) == (131, 97)


def test_callers_side_by_side_get_their_own_answers(road: Road) -> None:
    found: list[tuple[str, str]] = []

    def ask(colour: str) -> None:
        found.extend((colour, top(road, colour)) for _ in range(8))

    threads = [threading.Thread(target=ask, args=(colour,)) for colour in list(COLOURS) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 72
    assert all(asked == got for asked, got in found)


def test_more_callers_than_allowed_are_refused_and_places_come_back(road: Road, settings: Settings) -> None:
    calls = [road.enter() for _ in range(settings.waiting_max)]
    assert road.inside == settings.waiting_max
    with pytest.raises(Busy, match="16 requests are waiting"):
        road.predict(jpeg("red"))
    for call in calls:
        call.close()
    assert road.inside == 0
    assert top(road, "red") == "red"


def test_a_call_that_the_caller_made_stays_the_callers(road: Road) -> None:
    with road.enter() as call:
        road.predict(jpeg("red"), call=call)
        assert road.inside == 1
    assert road.inside == 0


def test_a_deadline_that_has_passed_is_not_decoded(road: Road) -> None:
    with pytest.raises(DeadlineExceeded):
        road.predict(b"a decoder would say that this is no picture", deadline_s=0)


def test_a_cancelled_call_is_not_decoded(road: Road) -> None:
    with road.enter() as call:
        call.cancel()
        with pytest.raises(DeadlineExceeded, match="left"):
            road.predict(b"a decoder would say that this is no picture", call=call)


@pytest.fixture
def stuck(road: Road) -> Iterator[Callable[[], None]]:
    """The only decoder is stopped at its next job; call it to let the decoder go on."""
    top(road, "red")
    pid = road.decoder._pool.call(os.getpid)
    os.kill(pid, signal.SIGSTOP)
    yield lambda: os.kill(pid, signal.SIGCONT)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def leave_soon(call: Call) -> None:
    threading.Timer(0.3, call.cancel).start()


@pytest.mark.parametrize("cancel", [True, False], ids=["the caller leaves", "the deadline passes"])
def test_nobody_waits_for_a_decoder_longer_than_for_the_answer(
    road: Road, stuck: Callable[[], None], cancel: bool
) -> None:
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(top, road, "green")
        while road.decoder._pool._idle:  # until it has the decoder
            time.sleep(0.01)
        with road.enter(None if cancel else 0.3) as call:
            if cancel:
                leave_soon(call)
            with pytest.raises(DeadlineExceeded, match="left" if cancel else "deadline"):
                road.predict(jpeg("blue"), call=call)
        assert not first.done(), "it waited for the other picture"
        stuck()
        assert first.result(LATE_S) == "green"


@pytest.mark.parametrize("cancel", [True, False], ids=["the caller leaves", "the deadline passes"])
@pytest.mark.usefixtures("stuck")
def test_a_picture_that_nobody_waits_for_gives_its_decoder_back(road: Road, cancel: bool) -> None:
    with road.enter(None if cancel else 0.3) as call:
        if cancel:
            leave_soon(call)
        with pytest.raises(DeadlineExceeded, match="left" if cancel else "deadline"):
            road.predict(jpeg("blue"), call=call)
    assert top(road, "green") == "green"


def test_unknown_models_are_not_found(road: Road) -> None:
    with pytest.raises(NotFound):
        road.predict(jpeg("red"), model="nobody")


def test_a_model_that_breaks_stops_nobody_else(road: Road, tmp_path: Path) -> None:
    road.registry.add(bundle(tmp_path, "broken", broken=True))
    for _ in range(2):
        with pytest.raises(ModelFailed):
            road.predict(jpeg("red"), model="broken")
        assert top(road, "blue") == "blue"


def test_a_model_that_takes_too_long_is_stopped(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "slow-1"
    folder.mkdir()
    data = graphs.slow(folder / "model.onnx").read_bytes()
    contract = InputContract(width=256, height=256, scale=1 / 255)
    about = {"name": "slow", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "model.json").write_text(graphs.manifest(input=contract, **about).model_dump_json())
    with Road.open(replace(settings, infer_s=0.2)) as road:
        road.registry.add(bundle(tmp_path, "colour"))
        road.registry.add(folder)
        with pytest.raises(ModelFailed, match=r"longer than the 0\.2 s"):
            road.predict(jpeg("red"), model="slow")
        assert top(road, "blue") == "blue"


def test_a_model_that_fails_while_it_serves_recovers(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = road.pool.get().engine
    run = engine.run

    def fail(_: object) -> dict[str, np.ndarray]:
        raise ModelFailed("Out of luck.")

    monkeypatch.setattr(engine, "run", fail)
    with pytest.raises(ModelFailed, match="luck"):
        top(road, "red")
    monkeypatch.setattr(engine, "run", run)
    assert top(road, "red") == "red"


def until(true: object) -> None:
    end = time.monotonic() + LATE_S
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_new_version_takes_over_without_a_gap(road: Road, tmp_path: Path) -> None:
    assert road.predict(jpeg("red")).model.version == "1"
    road.registry.add(bundle(tmp_path, "colour", "2", sharpness=5))
    seen: list[str] = []

    def taken_over() -> bool:
        seen.append(road.predict(jpeg("red")).model.version)
        return seen[-1] == "2"

    until(taken_over)
    assert seen == sorted(seen)
    until(lambda: [item.bundle.version for item in road.pool.loaded()] == ["2"])
    assert road.predict(jpeg("red"), model="colour@1").model.version == "1"


def test_a_new_version_that_does_not_run_leaves_the_old_one_in_charge(road: Road, tmp_path: Path) -> None:
    assert top(road, "red") == "red"
    road.registry.add(bundle(tmp_path, "colour", "2", broken=True))
    end = time.monotonic() + 1
    while time.monotonic() < end:
        assert road.predict(jpeg("red")).model.version == "1"


@pytest.fixture
def small_pool(settings: Settings, tmp_path: Path) -> Iterator[ModelPool]:
    """Room for two models."""
    values = {"data_dir": settings.data_dir, "threads": 1, "memory_mb": 40}
    lean = load_settings(values, environment={})
    registry = Registry(lean)
    for name in ("first", "second", "third"):
        registry.add(bundle(tmp_path, name))
    pool = ModelPool(lean, registry)
    yield pool
    pool.close()


def names(pool: ModelPool) -> list[str]:
    return [item.bundle.name for item in pool.loaded()]


def test_the_least_recently_used_model_is_dropped_and_comes_back(small_pool: ModelPool) -> None:
    kept = small_pool.get("first")
    second = small_pool.get("second")
    assert small_pool.get("first") is kept
    small_pool.get("third")
    assert names(small_pool) == ["third", "first"]
    until(lambda: not any(thread.is_alive() for thread in second.batcher._runners))
    assert small_pool.get("second").bundle.name == "second"
    assert names(small_pool) == ["second", "third"]


def test_one_model_is_loaded_once_however_many_ask(small_pool: ModelPool) -> None:
    found: list[LoadedModel] = []
    threads = [threading.Thread(target=lambda: found.append(small_pool.get("first"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(item) for item in found}) == 1


def test_a_quiet_model_is_measured_and_takes_the_winner(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial itself is tested beside ``choose``; here it says at once that batches are best."""
    winner = Choice(Plan(threads=2, batch=4), "Because the test says so.", ())
    monkeypatch.setattr(pool_room, "_QUIET_S", 0.0)
    monkeypatch.setattr(choose, "choose", lambda *_: winner)
    with Road.open(settings, tune=True) as road:
        road.registry.add(bundle(tmp_path, "colour"))
        before = road.pool.get()
        until(lambda: road.pool.get().choice is winner)
        assert road.pool.get() is not before
        assert top(road, "blue") == "blue"


def test_a_model_that_was_dropped_while_it_was_measured_stays_dropped(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = road.pool.get()

    def drop_and_choose(*_: object) -> Choice:
        road.pool._loaded.clear()  # as when others take the memory
        return Choice(Plan(threads=2, batch=4), "Because the test says so.", ())

    monkeypatch.setattr(choose, "choose", drop_and_choose)
    road.pool._tune_one(item)
    assert road.pool.loaded() == []
    item.batcher.close()


def test_whoever_holds_a_dropped_model_is_answered_by_it_loaded_again(road: Road) -> None:
    road.pool.get().batcher.close()
    road.pool._loaded.clear()
    assert top(road, "red") == "red"
