import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

import numpy as np
import pytest

from sightline.errors import Busy, DeadlineExceeded, ModelFailed
from sightline.manifest import InputContract
from sightline.runtime.engine import EngineInfo, FakeEngine, Outputs, Tensor
from sightline.serving.batcher import Batcher, Retired, Rules
from sightline.serving.buffer import InputBuffer
from sightline.serving.call import Call

CONTRACT = InputContract(width=4, height=4, resize="stretch")
LATE_S = 30.0


class GatedEngine:
    """Waits for a gate before each call, then says the value of each picture's first pixel."""

    def __init__(self, *, lanes: int = 1, max_batch: int | None = None) -> None:
        self.info = EngineInfo("gated", "0", "fp32", 1, "A test.", lanes)
        self.max_batch = max_batch
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.batches: list[list[int]] = []
        self.closed = False

    def run(self, tensor: Tensor) -> Outputs:
        values = tensor[:, 0, 0, 0].copy()
        self.batches.append([int(value) for value in values])
        self.begun.release()
        assert self.gate.wait(LATE_S)
        if 66 in values:
            raise ModelFailed("This picture breaks the model.")
        if 67 in values:
            raise ZeroDivisionError
        return {"first": values[:, None]}

    @property
    def count(self) -> int:
        return sum(map(len, self.batches))

    def close(self) -> None:
        self.closed = True


def numbers(value: int, side: int = 4) -> Tensor:
    return np.full((3, side, side), value, np.float32)


class Bench:
    """A batcher over a gated engine, and callers in threads."""

    def __init__(self, engine: GatedEngine, **rules: float) -> None:
        self.engine = engine
        self.rules = Rules(**rules)  # type: ignore[arg-type]
        self.batcher = Batcher(engine, CONTRACT, self.rules)
        self.callers = ThreadPoolExecutor(32)

    def send(self, value: int, call: Call | None = None, side: int = 4) -> "Future[float]":
        """Submit from a thread of its own; returns when the picture is in the line or being computed."""
        before = self.batcher.waiting + self.engine.count
        call = call or Call(LATE_S)

        def ask() -> float:
            return float(self.batcher.submit(numbers(value, side), call).outputs["first"][0, 0])

        future = self.callers.submit(ask)
        until = time.monotonic() + LATE_S
        while self.batcher.waiting + self.engine.count <= before and not future.done():
            assert time.monotonic() < until
            time.sleep(0.001)
        if before < self.engine.info.lanes and not self.rules.wait_s:
            assert self.engine.begun.acquire(timeout=LATE_S)
        return future

    def end(self) -> None:
        self.engine.gate.set()
        self.batcher.close()
        self.callers.shutdown()


@pytest.fixture
def bench() -> "object":
    made = Bench(GatedEngine(), batch=4, waiting=6)
    yield made
    made.end()


def test_what_waits_becomes_a_batch_and_everybody_gets_their_own_answer(bench: Bench) -> None:
    answers = [bench.send(value) for value in (1, 2, 3, 4, 5, 6)]
    bench.engine.gate.set()
    assert [answer.result(LATE_S) for answer in answers] == [1, 2, 3, 4, 5, 6]
    assert bench.engine.batches == [[1], [2, 3, 4, 5], [6]]


def test_a_full_line_says_busy_at_once(bench: Bench) -> None:
    answers = [bench.send(value) for value in range(1, 8)]
    with pytest.raises(Busy, match="6 pictures are waiting") as caught:
        bench.batcher.submit(numbers(9), Call(LATE_S))
    assert not any(answer.done() for answer in answers), "it waited for nobody"
    assert caught.value.retry_after_s > 0
    bench.engine.gate.set()
    assert [answer.result(LATE_S) for answer in answers] == list(range(1, 8))


def test_a_caller_that_left_is_never_computed(bench: Bench) -> None:
    first = bench.send(1)
    call = Call(LATE_S)
    gone, stays = bench.send(2, call), bench.send(3)
    call.cancel()
    with pytest.raises(DeadlineExceeded, match="left"):
        gone.result(LATE_S)
    bench.engine.gate.set()
    assert (first.result(LATE_S), stays.result(LATE_S)) == (1, 3)
    assert 2 not in chain(*bench.engine.batches)


def test_a_passed_deadline_drops_the_picture(bench: Bench) -> None:
    bench.send(1)
    late = bench.send(2, Call(0.05))
    with pytest.raises(DeadlineExceeded):
        late.result(LATE_S)
    assert bench.batcher.waiting == 0
    bench.engine.gate.set()
    assert bench.send(3).result(LATE_S) == 3
    assert 2 not in chain(*bench.engine.batches)


def test_one_breaking_picture_does_not_take_its_neighbours_along(bench: Bench) -> None:
    answers = [bench.send(value) for value in (1, 2, 66, 4)]
    bench.engine.gate.set()
    assert [answers[index].result(LATE_S) for index in (0, 1, 3)] == [1, 2, 4]
    with pytest.raises(ModelFailed, match="breaks the model"):
        answers[2].result(LATE_S)
    assert bench.send(5).result(LATE_S) == 5


def test_an_error_of_another_kind_is_a_model_failure_and_the_runner_lives(bench: Bench) -> None:
    bench.engine.gate.set()
    with pytest.raises(ModelFailed, match="ZeroDivisionError"):
        bench.send(67).result(LATE_S)
    assert bench.send(5).result(LATE_S) == 5


def test_pictures_of_other_sizes_wait_for_a_batch_of_their_own(bench: Bench) -> None:
    sides = {1: 4, 2: 4, 3: 3, 4: 4, 5: 3}
    answers = [bench.send(value, side=side) for value, side in sides.items()]
    bench.engine.gate.set()
    assert [answer.result(LATE_S) for answer in answers] == [1, 2, 3, 4, 5]
    assert bench.engine.batches == [[1], [2, 4], [3, 5]]


def test_of_larger_pictures_fewer_go_together(bench: Bench) -> None:
    sides = {1: 4, 2: 5, 3: 5, 4: 5, 5: 9, 6: 9}
    answers = [bench.send(value, side=side) for value, side in sides.items()]
    bench.engine.gate.set()
    assert [answer.result(LATE_S) for answer in answers] == [1, 2, 3, 4, 5, 6]
    assert bench.engine.batches == [[1], [2, 3], [4], [5], [6]]


def test_closing_finishes_the_line(bench: Bench) -> None:
    answers = [bench.send(value) for value in (1, 2, 3)]
    closing = bench.callers.submit(bench.batcher.close)
    bench.engine.gate.set()
    closing.result(LATE_S)
    assert [answer.result(LATE_S) for answer in answers] == [1, 2, 3]
    assert bench.engine.closed
    with pytest.raises(Retired):
        bench.batcher.submit(numbers(1), Call(LATE_S))


def test_stopping_at_once_fails_the_line_loudly(bench: Bench) -> None:
    running, waiting = bench.send(1), bench.send(2)
    closing = bench.callers.submit(lambda: bench.batcher.close(drain=False))
    with pytest.raises(Busy, match="stopping"):
        waiting.result(LATE_S)
    bench.engine.gate.set()
    assert running.result(LATE_S) == 1
    closing.result(LATE_S)


def test_free_runners_share_the_line() -> None:
    bench = Bench(GatedEngine(lanes=3), batch=4, waiting=20)
    blocked = [bench.send(value) for value in (1, 2, 3)]
    waiting = [bench.send(value) for value in (4, 5, 6, 7, 8, 9)]
    bench.engine.gate.set()
    assert [item.result(LATE_S) for item in blocked + waiting] == list(range(1, 10))
    assert max(map(len, bench.engine.batches)) <= 4
    bench.end()


def test_a_batch_waits_for_company_when_told_so() -> None:
    bench = Bench(GatedEngine(), batch=2, wait_s=LATE_S, waiting=20)
    bench.engine.gate.set()
    first, second = bench.send(1), bench.send(2)
    assert (first.result(1), second.result(1)) == (1, 2)
    assert bench.engine.batches == [[1, 2]]
    bench.end()


def test_quiet_means_that_nobody_is_inside(bench: Bench) -> None:
    bench.send(1)
    assert bench.batcher.quiet_s == 0
    bench.engine.gate.set()
    until = time.monotonic() + LATE_S
    while bench.batcher.quiet_s == 0:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_an_engine_that_takes_one_picture_gets_one() -> None:
    engine = FakeEngine({"first": np.zeros(1)}, max_batch=1)
    batcher = Batcher(engine, CONTRACT, Rules(batch=8))
    with ThreadPoolExecutor(8) as callers:
        list(callers.map(lambda value: batcher.submit(numbers(value), Call(LATE_S)), range(8)))
    batcher.close()
    assert engine.calls == [(1, 3, 4, 4)] * 8


def test_outputs_that_cannot_be_told_apart_are_run_one_by_one() -> None:
    class Merging(GatedEngine):
        def run(self, tensor: Tensor) -> Outputs:
            return {"first": super().run(tensor)["first"][:1]}

    bench = Bench(Merging(), batch=4, waiting=20)
    answers = [bench.send(value) for value in (1, 2, 3)]
    bench.engine.gate.set()
    assert [answer.result(LATE_S) for answer in answers] == [1, 2, 3]
    assert bench.engine.batches == [[1], [2, 3], [2], [3]]
    bench.end()


def test_the_buffer_is_used_again() -> None:
    buffer = InputBuffer(CONTRACT, 4)
    first = buffer.gather([numbers(1), numbers(2)])
    second = buffer.gather([numbers(3), numbers(4), numbers(5)])
    assert first.shape == (2, 3, 4, 4)
    assert second[:, 0, 0, 0].tolist() == [3, 4, 5]
    assert np.shares_memory(first, second)


def test_one_picture_is_not_copied() -> None:
    alone = numbers(1)
    batch = InputBuffer(CONTRACT, 4).gather([alone])
    assert batch.shape == (1, 3, 4, 4)
    assert np.shares_memory(batch, alone)
    bare = CONTRACT.model_copy(update={"layout": "CHW"})
    assert InputBuffer(bare, 2).gather([alone]) is alone


def test_the_buffer_follows_sizes_and_types() -> None:
    buffer = InputBuffer(CONTRACT, 2)
    assert buffer.gather([numbers(1), numbers(2)]).shape == (2, 3, 4, 4)
    assert buffer.gather([numbers(1, 8), numbers(2, 8)]).shape == (2, 3, 8, 8)
    small = [np.zeros((4, 4, 3), np.uint8)] * 2
    tensor = buffer.gather(small)
    assert tensor.shape == (2, 4, 4, 3)
    assert tensor.dtype == np.uint8


def test_a_call_tells_its_listeners_once_and_checks_itself() -> None:
    told: list[str] = []
    call = Call(LATE_S, lambda: told.append("left"))
    call.on_cancel(lambda: told.append("gone"))
    call.check()
    call.cancel()
    call.on_cancel(lambda: told.append("already"))
    with pytest.raises(DeadlineExceeded):
        call.check()
    with call:
        pass
    call.close()
    assert told == ["gone", "already", "left"]
    with pytest.raises(DeadlineExceeded, match="within the deadline"):
        Call(0).check()
