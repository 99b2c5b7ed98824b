"""One conformance suite for every engine."""

import threading
from pathlib import Path

import numpy as np
import pytest
from tests.runtime.graphs import (
    SIDE,
    SIZES,
    breaks_when_run,
    colour_cells,
    colour_classifier,
    falls_after_a_maximum,
    manifest,
    slow,
    weights,
)

from sightline.errors import ModelFailed
from sightline.runtime.choose import Choice, open_engine
from sightline.runtime.engine import TRY_OTHER, Engine, FakeEngine, Plan, Width, words

NAMES = ("onnxruntime", "openvino")


def engine_of(path: Path, name: str, **plan: object) -> Engine:
    return open_engine(path, manifest(), Choice(Plan(**({"engine": name, "threads": 2} | plan)), "A test."))  # type: ignore[arg-type]


def red(n: int = 1) -> np.ndarray:
    tensor = np.zeros((n, 3, SIDE, SIDE), np.float32)
    tensor[:, 0] = 1
    return tensor


@pytest.mark.parametrize("name", NAMES)
def test_outputs_carry_their_names_and_a_row_for_each_picture(tmp_path: Path, name: str) -> None:
    engine = engine_of(colour_classifier(tmp_path / "m.onnx"), name)
    outputs = engine.run(red(3))
    assert list(outputs) == ["logits"]
    np.testing.assert_allclose(outputs["logits"], [[4, 0, 0]] * 3, atol=1e-5)
    assert engine.max_batch is None
    assert engine.info.title == f"{name} fp32"
    engine.close()


@pytest.mark.parametrize("activation", ["SiLU", "Abs", "Min, SiLU", "Concat, SiLU", "half SiLU", "half Abs"])
@pytest.mark.parametrize("name", NAMES)
def test_an_activation_that_falls_is_applied_to_the_maximum(
    tmp_path: Path, name: str, activation: str
) -> None:
    half = activation.startswith("half ")
    path = falls_after_a_maximum(tmp_path / "m.onnx", activation.removeprefix("half "), half=half)
    pixels = np.random.default_rng(0).normal(size=(2, 3, SIDE, SIDE)).astype(np.float32)
    padded = np.pad(pixels, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    planes = np.einsum("nchwij,ocij->nohw", windows, weights(path)["weight"].astype(np.float32))
    most = planes.reshape(2, -1, SIDE // 2, 2, SIDE // 2, 2).max(axis=(3, 5))
    most = np.minimum(most, 6) if "Min" in activation else most
    wanted = np.abs(most) if activation.endswith("Abs") else most / (1 + np.exp(-most))
    found = engine_of(path, name).run(pixels)["active"]
    np.testing.assert_allclose(found, wanted, atol=1e-2 if half else 1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_with_a_fixed_batch_says_so(tmp_path: Path, name: str) -> None:
    engine = engine_of(colour_classifier(tmp_path / "m.onnx", batch=1), name)
    assert engine.max_batch == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lanes", [1, 2])
def test_callers_side_by_side_get_their_own_answers(tmp_path: Path, name: str, lanes: int) -> None:
    engine = engine_of(colour_classifier(tmp_path / "m.onnx"), name, lanes=lanes, wide=True)
    wrong: list[int] = []

    def ask(channel: int) -> None:
        tensor = np.zeros((1, 3, SIDE, SIDE), np.float32)
        tensor[:, channel] = 1
        answers = [int(engine.run(tensor)["logits"].argmax()) for _ in range(40)]
        wrong.extend(answer for answer in answers if answer != channel)

    threads = [threading.Thread(target=ask, args=(channel,)) for channel in (0, 1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", NAMES)
def test_the_buffer_may_be_written_again_after_the_call(tmp_path: Path, name: str) -> None:
    engine = engine_of(colour_classifier(tmp_path / "m.onnx"), name)
    tensor = red()
    outputs = engine.run(tensor)["logits"]
    before = outputs.copy()
    tensor[:] = 9
    engine.run(tensor)
    np.testing.assert_array_equal(outputs, before)


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_file_is_a_model_failure_in_words(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"not a graph at all" * 100)
    with pytest.raises(ModelFailed, match="could not open the model") as caught:
        engine_of(path, name)
    assert str(tmp_path) not in str(caught.value)


def test_a_graph_that_breaks_while_running_is_a_model_failure(tmp_path: Path) -> None:
    engine = engine_of(breaks_when_run(tmp_path / "m.onnx"), "onnxruntime")
    with pytest.raises(ModelFailed, match="could not run the model"):
        engine.run(red())


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_takes_too_long_is_stopped_and_the_next_one_is_answered(tmp_path: Path, name: str) -> None:
    choice = Choice(Plan(engine=name), "")  # type: ignore[arg-type]
    engine = open_engine(slow(tmp_path / "m.onnx"), manifest(), choice, limit_s=0.3)
    for _ in range(2):
        with pytest.raises(ModelFailed, match=r"longer than the 0\.3 s") as failure:
            engine.run(np.ones((8, 3, 256, 256), np.float32))
        assert "infer_s" in failure.value.next_step
    quick = open_engine(slow(tmp_path / "quick.onnx", steps=2), manifest(), choice, limit_s=30)
    for _ in range(3):
        assert quick.run(np.ones((1, 3, 256, 256), np.float32))["logits"].tolist() == [[1, 1, 1]]


def test_an_input_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = colour_classifier(tmp_path / "m.onnx")
    contract = manifest().input.model_copy(update={"tensor": "colours"})
    with pytest.raises(ModelFailed, match="no input 'colours'; it has pixels"):
        open_engine(path, manifest(input=contract), Choice(Plan(), ""))


def test_words_hide_paths_and_keep_the_cause() -> None:
    error = RuntimeError("Check failed at /a/b/c.cpp:12:\nCannot read /home/me/models/m.onnx now")
    assert words(error) == "Cannot read m.onnx now."
    assert words(RuntimeError()) == "RuntimeError."


class Clock:
    """Time that passes when a test says so."""

    now_s = 0.0

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def perf_counter(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which widths are timed."""
    made = Clock()
    monkeypatch.setattr("sightline.runtime.engine.time", made)
    return made


def test_wide_is_for_who_is_alone_and_faster(clock: Clock) -> None:
    width = Width(wide=True)
    with width.enter() as first, width.enter() as second:
        assert (first, second) == (True, False)
    taken = []
    for _ in range(12):
        with width.enter() as wide:
            clock.sleep(0.02 if wide else 0.001)
            taken.append(wide)
    assert taken[-6:] == [False] * 6


def test_each_shape_is_timed_for_itself(clock: Clock) -> None:
    """Wide is faster for large pictures and slower for small ones; by turns, each gets what suits it."""
    width = Width(wide=True)
    taken: dict[tuple[int, ...], list[bool]] = {(640,): [], (320,): []}
    for shape in list(taken) * 10:
        with width.enter(shape) as wide:
            clock.sleep(0.02 if wide == (shape == (320,)) else 0.001)
            taken[shape].append(wide)
    assert taken[640,][2:] == [True] * 8
    assert taken[320,][2:] == [False] * 8


@pytest.mark.parametrize("name", NAMES)
def test_sizes_by_turns_give_what_each_gives_alone(tmp_path: Path, name: str) -> None:
    path = colour_cells(tmp_path / "m.onnx")
    made = np.random.default_rng(5)
    tensors = [made.uniform(0, 1, (n, 3, side, side)).astype(np.float32) for n in (1, 3) for side in SIZES]
    alone = [engine_of(path, name).run(tensor)["rows"].copy() for tensor in tensors]
    engine = engine_of(path, name, lanes=2, wide=True)
    for tensor, rows in [*zip(tensors, alone, strict=True)] * 3:
        found = engine.run(tensor)["rows"]
        assert found.shape == (len(tensor), (tensor.shape[-1] // 8) ** 2, 8)
        np.testing.assert_allclose(found, rows, rtol=1e-6)


def test_without_a_wide_copy_nobody_is_wide() -> None:
    with Width(wide=False).enter() as wide:
        assert not wide


def test_the_fake_engine_answers_for_each_picture_and_can_fail() -> None:
    engine = FakeEngine({"logits": np.arange(3)})
    assert engine.run(red(2))["logits"].shape == (2, 3)
    engine.fail = ModelFailed("No.")
    with pytest.raises(ModelFailed):
        engine.run(red())
    engine.close()
    assert engine.closed
    assert engine.calls == [(2, 3, SIDE, SIDE), (1, 3, SIDE, SIDE)]


def test_calls_that_others_join_do_not_make_wide_look_slow(clock: Clock) -> None:
    width = Width(wide=True)
    for _ in range(4):
        with width.enter() as wide:
            clock.sleep(0.001 if wide else 0.01)
    for _ in range(50):  # a busy minute: whoever comes first is joined by others
        with width.enter(), width.enter() as second:
            assert not second
            clock.sleep(0.002)
    chosen = []
    for _ in range(TRY_OTHER):
        with width.enter() as wide:
            chosen.append(wide)
            clock.sleep(0.001 if wide else 0.01)
    assert sum(chosen) >= TRY_OTHER - 1
