"""One suite for each pair of queue and database: what a job may count on."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sightline.errors import BadOption, Busy, Conflict, NotFound
from sightline.jobs.ledger import Ledger
from sightline.jobs.stops import Lost
from sightline.storage import claims
from sightline.storage.job_kept import Claim, Item
from sightline.storage.kept import Picture

KINDS = ("work", "part")
ERROR = {"code": "broken", "message": "It broke.", "next_step": "Mend it."}


def claim(ledger: Ledger, job_id: str | None = None, worker: str = "w") -> Claim:
    found = ledger.claim(worker, KINDS, job_id)
    assert found is not None
    return found


def item(claimed: Claim, index: int, state: Any = "done", **more: Any) -> Item:
    return Item(claimed.root, index, f"{index}.jpg", state, result={"index": index}, **more)


def test_a_job_lives_from_submission_to_result(ledger: Ledger) -> None:
    job = ledger.submit("work", {"model": "m", "n": 3}, total=3)
    assert (job.state, job.attempt, job.progress.total) == ("queued", 0, 3)
    assert abs(job.created - time.time()) < 60
    mine = claim(ledger)
    assert (mine.job.id, mine.job.state, mine.job.attempt, mine.fence) == (job.id, "running", 1, 1)
    assert mine.job.payload == {"model": "m", "n": 3}
    assert ledger.claim("other", KINDS) is None, "it is taken"
    ledger.progress(mine, 2)
    assert ledger.get(job.id).progress.done == 2
    assert ledger.renew(mine) == "go"
    assert ledger.finish(mine, {"answer": 42})
    done = ledger.get(job.id)
    assert (done.state, done.result, done.error) == ("done", {"answer": 42}, None)
    assert done.finished is not None
    assert done.expires == pytest.approx(done.finished + 7 * 86_400, abs=1)
    assert done.to_json()["model"] == "m"
    assert not ledger.finish(mine, {"answer": 43}), "an attempt ends once"
    assert ledger.unfinished() == 0


def test_only_known_kinds_are_taken(ledger: Ledger) -> None:
    ledger.submit("strange", {})
    assert ledger.claim("w", KINDS) is None
    assert ledger.claim("w", ()) is None


def test_nobody_reads_or_changes_anothers(ledger: Ledger) -> None:
    job = ledger.submit("work", {}, owner="ann")
    for act in (
        ledger.get,
        ledger.cancel,
        ledger.retry,
        ledger.remove,
        ledger.items,
        ledger.events,
        ledger.counts,
    ):
        with pytest.raises(NotFound):
            act(job.id, owner="bob")
    assert ledger.page(owner="bob").total == 0
    assert ledger.page(owner="ann").items[0].id == job.id


def test_a_hundred_equal_submissions_are_one_job(ledger: Ledger, another: Callable[..., Ledger]) -> None:
    ledgers = [ledger, another(), another()]

    def submit(number: int) -> str:
        return ledgers[number % 3].submit("work", {"a": 1}, idempotency_key="k").id

    with ThreadPoolExecutor(12) as crowd:
        ids = set(crowd.map(submit, range(100)))
    assert len(ids) == 1
    assert ledger.page().total == 1
    with pytest.raises(Conflict):
        ledger.submit("work", {"a": 2}, idempotency_key="k")
    assert ledger.submit("work", {"a": 2}, idempotency_key="k", owner="bob").id not in ids


def test_the_line_is_bounded(another: Callable[..., Ledger]) -> None:
    ledger = another(jobs_max=2)
    first = ledger.submit("work", {}, idempotency_key="first")
    ledger.submit("work", {})
    with pytest.raises(Busy):
        ledger.submit("work", {}, idempotency_key="third")
    assert ledger.submit("work", {}, idempotency_key="first").id == first.id
    claim(ledger)
    ledger.submit("work", {}, idempotency_key="third")


def test_priority_then_fairness_then_age(ledger: Ledger) -> None:
    many = [ledger.submit("work", {}, owner="ann").id for _ in range(4)]
    few = [ledger.submit("work", {}, owner="bob").id for _ in range(2)]
    urgent = ledger.submit("work", {}, owner="ann", priority=5).id
    order = [claim(ledger).job.id for _ in range(7)]
    assert order[0] == urgent
    assert order[1:5] == [few[0], many[0], few[1], many[1]], "who has less running goes first"
    assert order[5:] == many[2:]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_small_job_goes_between_the_parts_of_a_large_one(ledger: Ledger, workers: int) -> None:
    large = ledger.submit("work", {}).id
    ledger.split(claim(ledger), "part", [{"first": number} for number in range(2000)], total=2000)
    running = [claim(ledger) for _ in range(workers)]
    assert {one.root for one in running} == {large}
    small = [ledger.submit("work", {}).id for _ in range(2)]
    served = []
    for _ in range(6):
        ledger.finish(running.pop(0))
        running.append(claim(ledger))
        served.append(running[-1].root)
        time.sleep(0.005)
    assert set(small) <= set(served[:3])
    assert served[0] == small[0], "the next free slot"
    assert served.count(large) == 4, "nor does the large one wait"


def test_a_claim_looks_at_no_part_that_it_does_not_take(ledger: Ledger) -> None:
    """However many parts wait: whole jobs are put in order, and parts come in the order of an index."""
    statement = claims._best(("work", "part"))
    engine = ledger.database.engine
    text = str(statement.compile(engine, compile_kwargs={"literal_binds": True}))
    how = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    ledger.submit("work", {})
    with engine.begin() as connection:
        if how == "EXPLAIN":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # the table is too small to care
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(f"{how} {text}"))
    assert "jobs_by_parent" in plan, plan
    if how != "EXPLAIN":
        assert "SCAN whole" not in plan
        assert "SCAN part" not in plan


def test_a_stream_of_small_jobs_does_not_stop_a_large_one(ledger: Ledger) -> None:
    large = ledger.submit("work", {}).id
    ledger.split(claim(ledger), "part", [{"first": number} for number in range(20)], total=20)
    served = []
    for _ in range(10):
        ledger.submit("work", {})
        ledger.submit("work", {})
        time.sleep(0.005)
        mine = claim(ledger)
        served.append(mine.root)
        ledger.finish(mine)
        time.sleep(0.005)
    assert 2 <= served.count(large) <= 8


def test_priority_goes_before_fairness(ledger: Ledger) -> None:
    large = ledger.submit("work", {}, priority=1).id
    ledger.split(claim(ledger), "part", [{}, {}], total=2)
    ledger.submit("work", {})
    assert [claim(ledger).root for _ in range(2)] == [large, large]


def test_one_worker_serves_owners_in_turn(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.submit("work", {}, owner="ann")
    for _ in range(3):
        ledger.submit("work", {}, owner="bob")
    served = []
    for _ in range(6):
        mine = claim(ledger)
        served.append(mine.job.owner)
        ledger.finish(mine)
        time.sleep(0.005)
    assert served in (["ann", "bob"] * 3, ["bob", "ann"] * 3)


def test_many_workers_never_share_a_job(ledger: Ledger, another: Callable[..., Ledger]) -> None:
    ids = [ledger.submit("work", {}).id for _ in range(40)]
    ledgers = [ledger, another(), another(), another()]
    taken: list[str] = []

    def work(one: Ledger) -> None:
        while (mine := one.claim("w", KINDS)) is not None:
            taken.append(mine.job.id)
            assert one.finish(mine, {})

    threads = [threading.Thread(target=work, args=(one,)) for one in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(ids)


def _vanish(ledger: Ledger) -> None:
    """Whoever works has not been heard of for longer than a lease."""
    late = "UPDATE jobs SET lease_until = lease_until - 7200"
    ledger.database.write(lambda it: it.exec_driver_sql(late))


def test_a_vanished_worker_loses_the_job_and_can_write_nothing(another: Callable[..., Ledger]) -> None:
    ledger = another(lease_s=60)
    job = ledger.submit("work", {})
    lost = claim(ledger)
    assert ledger.reap().requeued == 0, "its lease has not passed"
    _vanish(ledger)
    assert ledger.reap().requeued == 1
    assert ledger.get(job.id).state == "queued"
    mine = claim(ledger)
    assert (mine.job.attempt, mine.fence) == (2, 2)
    assert ledger.renew(lost) == "lost"
    assert not ledger.finish(lost, {"who": "lost"})
    assert not ledger.fail(lost, ERROR, retry=True)
    assert not ledger.hand_back(lost)
    with pytest.raises(Lost):
        ledger.put_items(lost, [item(lost, 0)])
    ledger.progress(lost, 7)
    assert ledger.get(job.id).progress.done == 0
    assert ledger.counts(job.id) == {"done": 0, "failed": 0}
    assert ledger.finish(mine, {"who": "mine"})
    assert ledger.get(job.id).result == {"who": "mine"}


@pytest.mark.parametrize("way", ["its worker vanished", "it was handed back", "a part of it vanished"])
def test_a_job_that_lost_its_worker_does_not_stand_behind_all_others(
    another: Callable[..., Ledger], way: str
) -> None:
    ledger = another(lease_s=60)
    first = ledger.submit("work", {}).id
    mine = claim(ledger)
    if way == "a part of it vanished":
        ledger.split(mine, "part", [{"first": number} for number in range(2)], total=2)
        mine = claim(ledger)
    others = [ledger.submit("work", {}).id for _ in range(3)]
    assert mine.root == first
    if way == "it was handed back":
        assert ledger.hand_back(mine)
    else:
        _vanish(ledger)
        assert ledger.reap().requeued == 1
    assert claim(ledger).root == first
    assert claim(ledger).root == others[0]


def test_renewing_keeps_the_lease(another: Callable[..., Ledger]) -> None:
    ledger = another(lease_s=60)
    ledger.submit("work", {})
    mine = claim(ledger)
    for _ in range(4):
        _vanish(ledger)
        assert ledger.renew(mine) == "go", "late, but nobody has taken the job back"
        assert ledger.reap().requeued == 0


def test_a_job_whose_workers_keep_vanishing_is_buried(another: Callable[..., Ledger]) -> None:
    ledger = another(lease_s=60, job_attempts=1)
    job = ledger.submit("work", {})
    buried = 0
    for _ in range(3):
        claim(ledger)
        _vanish(ledger)
        buried += ledger.reap().buried
    dead = ledger.get(job.id)
    assert (buried, dead.state, dead.attempt) == (1, "dead", 3)
    assert dead.error is not None
    assert dead.error["code"] == "worker_lost"
    assert "3 times" in dead.error["message"]


def test_a_job_that_breaks_is_dead_after_three_attempts_and_can_be_tried_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ledger.submit("work", {})
    for attempt in (1, 2, 3):
        end = time.monotonic() + 10
        while (mine := ledger.claim("w", KINDS)) is None and time.monotonic() < end:
            time.sleep(0.05)  # there is a pause between attempts
        assert mine is not None
        assert mine.job.attempt == attempt
        assert ledger.fail(mine, ERROR, retry=True)
        now = ledger.get(job.id)
        assert now.state == ("dead" if attempt == 3 else "queued")
        assert now.error == ERROR
    again = ledger.retry(job.id)
    assert (again.state, again.attempt, again.error) == ("queued", 0, None)
    assert ledger.finish(claim(ledger), {})


def test_a_rate_leaves_out_the_time_before_a_retry(ledger: Ledger) -> None:
    job = ledger.submit("work", {})
    mine = ledger.claim("w", KINDS)
    assert mine is not None
    ledger.put_items(mine, [Item(job.id, index, f"{index}", "done", result={}) for index in range(100)])
    ledger.fail(mine, ERROR, retry=False)
    earlier = f"UPDATE jobs SET started = finished - 1002, finished = finished - 1000 WHERE id = '{job.id}'"
    ledger.database.write(lambda it: it.exec_driver_sql(earlier))
    ledger.retry(job.id)
    again = ledger.claim("w", KINDS)
    assert again is not None
    assert ledger.finish(again)
    rate = ledger.get(job.id).rate
    assert rate is not None
    assert 1 < rate <= 50, "100 in two seconds before, and in the moment since"


def test_what_the_work_itself_refuses_fails_at_once(ledger: Ledger) -> None:
    job = ledger.submit("work", {})
    assert ledger.fail(claim(ledger), ERROR, retry=False)
    assert ledger.get(job.id).state == "failed"
    with pytest.raises(Conflict):
        ledger.retry(ledger.submit("work", {}).id)


def test_handing_back_costs_no_attempt(ledger: Ledger) -> None:
    ledger.submit("work", {})
    for _ in range(5):
        mine = claim(ledger)
        assert mine.job.attempt == 1
        assert ledger.hand_back(mine)


def test_cancelling_stops_what_waits_and_what_runs(ledger: Ledger) -> None:
    waiting = ledger.submit("work", {})
    assert ledger.cancel(waiting.id).state == "cancelled"
    assert ledger.claim("w", KINDS) is None
    running = ledger.submit("work", {})
    mine = claim(ledger)
    assert ledger.cancel(running.id).state == "cancelled"
    assert ledger.renew(mine) == "cancelled"
    assert not ledger.finish(mine, {})
    assert ledger.get(running.id).result is None
    assert ledger.cancel(running.id).finished is not None, "cancelling twice is cancelling once"
    assert ledger.retry(running.id).state == "queued"


def test_items_are_kept_once_for_each_index(ledger: Ledger) -> None:
    job = ledger.submit("work", {}, total=5)
    mine = claim(ledger)
    ledger.put_items(mine, [item(mine, 0), item(mine, 1, "failed", error=ERROR)])
    ledger.put_items(mine, [item(mine, 1), item(mine, 2), item(mine, 4, "failed", error=ERROR)])
    ledger.put_items(mine, [])
    now = ledger.get(job.id)
    assert (now.progress.done, now.failed) == (4, 1)
    assert ledger.counts(job.id) == {"done": 3, "failed": 1}
    assert ledger.done_indexes(mine, 0, 5) == {0, 1, 2}
    first = ledger.items(job.id, limit=3)
    assert ([one.index for one in first.items], first.next, first.total) == ([0, 1, 2], 2, 4)
    rest = ledger.items(job.id, after=2)
    assert [(one.index, one.state, one.error) for one in rest.items] == [(4, "failed", ERROR)]
    assert rest.next is None
    assert first.items[0].result == {"index": 0}
    assert [one.index for one in ledger.items(job.id, failed_only=True).items] == [4]


def test_a_large_job_is_split_and_ends_with_its_last_part(ledger: Ledger) -> None:
    job = ledger.submit("work", {})
    whole = claim(ledger)
    ledger.split(whole, "part", [{"first": 0}, {"first": 2}], total=4)
    assert ledger.get(job.id).state == "running"
    assert ledger.page().total == 1, "people see the whole only"
    parts = [claim(ledger), claim(ledger)]
    assert [part.job.parent for part in parts] == [job.id] * 2
    for part in parts:
        first = part.job.payload["first"]
        ledger.put_items(part, [item(part, first), item(part, first + 1)])
        assert ledger.get(job.id).state == "running"
        assert ledger.finish(part, {})
    done = ledger.get(job.id)
    assert (done.state, done.progress.done, done.progress.total, done.result) == ("done", 4, 4, {"parts": 2})
    assert [one.index for one in ledger.items(job.id).items] == [0, 1, 2, 3]


def test_a_part_that_fails_fails_the_whole_and_is_tried_again_alone(ledger: Ledger) -> None:
    job = ledger.submit("work", {})
    ledger.split(claim(ledger), "part", [{"first": 0}, {"first": 1}], total=2)
    good, bad = claim(ledger), claim(ledger)
    ledger.fail(bad, ERROR, retry=False)
    assert ledger.get(job.id).state == "running"
    ledger.put_items(good, [item(good, 0)])
    ledger.finish(good, {})
    failed = ledger.get(job.id)
    assert (failed.state, failed.error) == ("failed", ERROR)
    assert ledger.retry(job.id).state == "running"
    again = claim(ledger)
    assert again.job.id == bad.job.id
    assert ledger.claim("w", KINDS) is None, "the good part is not done again"
    ledger.put_items(again, [item(again, 1)])
    ledger.finish(again, {})
    assert ledger.get(job.id).state == "done"
    assert ledger.get(job.id).progress.done == 2


def test_cancelling_the_whole_cancels_its_parts(ledger: Ledger) -> None:
    job = ledger.submit("work", {})
    ledger.split(claim(ledger), "part", [{}, {}], total=2)
    part = claim(ledger)
    assert ledger.cancel(job.id).state == "cancelled"
    assert ledger.renew(part) == "cancelled"
    assert not ledger.finish(part, {})
    assert ledger.claim("w", KINDS) is None
    assert ledger.get(job.id).state == "cancelled"
    assert ledger.unfinished() == 0


def test_a_job_split_into_nothing_is_done(ledger: Ledger) -> None:
    job = ledger.submit("work", {})
    ledger.split(claim(ledger), "part", [], total=0)
    assert ledger.get(job.id).state == "done"


def test_done_with_failures_can_be_tried_again_for_these(ledger: Ledger) -> None:
    job = ledger.submit("work", {})
    mine = claim(ledger)
    ledger.put_items(mine, [item(mine, 0), item(mine, 1, "failed", error=ERROR)])
    ledger.finish(mine, {})
    assert ledger.retry(job.id).state == "queued"
    again = claim(ledger)
    assert ledger.done_indexes(again, 0, 2) == {0}
    ledger.put_items(again, [item(again, 1)])
    ledger.finish(again, {})
    done = ledger.get(job.id)
    assert (done.state, done.progress.done, done.failed) == ("done", 2, 0)


def test_events_are_numbered_and_can_be_resumed(ledger: Ledger, another: Callable[..., Ledger]) -> None:
    job = ledger.submit("work", {}, total=2)
    mine = claim(ledger)
    ledger.put_items(mine, [item(mine, 0)])
    seen = ledger.events(job.id)
    ledger.put_items(mine, [item(mine, 1)])
    ledger.finish(mine, {})
    rest = another().events(job.id, seen[-1].seq)
    everything = seen + rest
    assert [one.seq for one in everything] == list(range(1, len(everything) + 1))
    assert [one.type for one in everything] == ["state", "state", *["items", "progress"] * 2, "state"]
    assert everything[2].data == {"indexes": [0], "failed": 0}
    assert everything[-2].data == {"done": 2, "total": 2, "failed": 0}
    assert [one.data["state"] for one in everything if one.type == "state"] == ["queued", "running", "done"]
    assert ledger.events(job.id, rest[-1].seq) == []


def test_events_of_parallel_parts_have_no_gaps(ledger: Ledger, another: Callable[..., Ledger]) -> None:
    job = ledger.submit("work", {})
    ledger.split(claim(ledger), "part", [{"first": number * 10} for number in range(6)], total=60)

    def work(one: Ledger) -> None:
        part = claim(one)
        for step in range(10):
            one.put_items(part, [item(part, part.job.payload["first"] + step)])
        one.finish(part, {})

    with ThreadPoolExecutor(6) as crowd:
        list(crowd.map(work, [ledger, another(), another(), another(), another(), another()]))
    assert ledger.get(job.id).state == "done"
    assert ledger.get(job.id).progress.done == 60
    numbers = [one.seq for one in ledger.events(job.id, limit=1000)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_files_live_as_long_as_their_job(ledger: Ledger, another: Callable[..., Ledger]) -> None:
    first = ledger.keep(Picture(b"input", "image/jpeg"))
    job = ledger.submit("work", {"picture": first}, blobs=[first, first])
    mine = claim(ledger)
    small = ledger.keep(Picture(b"small", "image/webp"))
    ledger.put_items(mine, [item(mine, 0, thumbnail=small, image=first)])
    assert ledger.picture(job.id, small) == Picture(b"small", "image/webp")
    assert ledger.picture(job.id, first).data == b"input"
    other = ledger.submit("work", {})
    with pytest.raises(NotFound):
        ledger.picture(other.id, small)
    with pytest.raises(NotFound):
        ledger.submit("work", {}, blobs=["f" * 64])
    with pytest.raises(Conflict):
        ledger.remove(job.id)
    ledger.finish(mine, {})
    ledger.remove(job.id)
    with pytest.raises(NotFound):
        ledger.get(job.id)
    ledger.expire()
    assert sorted(ledger.blobs.digests()) == sorted([first, small]), "just put here: perhaps for another job"
    _age(ledger)
    ledger.expire()
    assert ledger.blobs.digests() == []


def _age(ledger: Ledger) -> None:
    """Files look as if they had been put here long ago."""
    ledger.database.write(lambda it: it.exec_driver_sql("UPDATE blobs SET kept = kept - 7200"))


def test_ended_jobs_expire(another: Callable[..., Ledger]) -> None:
    ledger = another(job_days=0.1 / 86_400)
    done = ledger.submit("work", {}, idempotency_key="k")
    ledger.finish(claim(ledger), {})
    waits = ledger.submit("work", {})
    time.sleep(0.2)
    assert ledger.expire() == 1
    with pytest.raises(NotFound):
        ledger.get(done.id)
    assert ledger.get(waits.id).state == "queued"
    assert ledger.submit("work", {}, idempotency_key="k").id != done.id


def test_a_job_past_its_time_is_gone_before_it_is_swept(another: Callable[..., Ledger]) -> None:
    ledger = another(job_days=1e-9)
    job = ledger.submit("work", {})
    ledger.finish(claim(ledger))
    time.sleep(0.01)
    with pytest.raises(NotFound):
        ledger.get(job.id)
    assert ledger.page().total == 0
    assert ledger.was_here(job.id)
    assert not ledger.was_here(job.id, owner="bob")
    assert ledger.expire() == 1
    assert ledger.was_here(job.id), "the id is remembered"
    assert not ledger.was_here("0" * 32)


def test_pages_go_on_where_the_last_one_ended(ledger: Ledger) -> None:
    ids = [ledger.submit("work", {}).id for _ in range(5)]
    first = ledger.page(limit=3)
    rest = ledger.page(limit=3, before=first.next or "")
    assert [job.id for job in first.items + rest.items] == ids[::-1]
    assert (first.total, rest.next) == (5, None)
    claim(ledger)
    assert [job.id for job in ledger.page(state="running").items] == [ids[0]]
    assert ledger.page(kind="other").items == ()
    with pytest.raises(BadOption):
        ledger.page(before="x")


@pytest.mark.parametrize("wrong", [{"priority": 101}, {"idempotency_key": "k" * 201}])
def test_odd_wishes_are_refused(another: Callable[..., Ledger], wrong: dict[str, Any]) -> None:
    with pytest.raises(BadOption):
        another().submit("work", {}, **wrong)
