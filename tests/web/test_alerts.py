"""Rules that fire, told to whoever listens: from every process, resumable, bounded."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.rules.test_desk import SEEN
from tests.web.conftest import Server, awaited

from sightline.errors import Unreachable
from sightline.rules import RuleDesk
from sightline.settings import Settings, load_settings
from sightline.storage.database import Database
from sightline.storage.rule_kept import Notice
from sightline.web.alert_events import AlertFeed, Board
from sightline.web.event_stream import STREAMS_MAX, EventStream
from sightline.web.guards import HostList
from sightline.web.keys import Keyring
from sightline.web.services import Services

ALERTS, RULES, DELIVERIES = "/api/v1/alerts/events", "/api/v1/rules", "/api/v1/deliveries"
NOTIFY = {"what": "person", "actions": [{"kind": "browser"}], "quiet_s": 0}
Json = dict[str, Any]


class Listener:
    """One connection that hears of alerts."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()
        assert next(self._lines).startswith("retry:")

    def hear(self) -> tuple[int, Json]:
        """The next alert: its number and its data."""
        number = 0
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "id":
                number = int(value)
            if name == "data":
                return number, json.loads(value)
        raise AssertionError("The stream has ended.")

    def is_over(self) -> bool:
        """Whether nothing but comments and empty lines comes until the end."""
        return all(line == "" or line.startswith(":") for line in self._lines)


@contextmanager
def listening(client: httpx.Client, after: int | None = None, last: int | None = None) -> Iterator[Listener]:
    query = {} if after is None else {"after": str(after)}
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with client.stream("GET", ALERTS, params=query, headers=headers) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == "text/event-stream"
        yield Listener(response)


@pytest.fixture
def here(starting: Callable[..., Server]) -> Iterator[tuple[Server, httpx.Client]]:
    server = starting()
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield server, client


def made(client: httpx.Client, **more: Any) -> str:
    answer = client.post(RULES, json=NOTIFY | more)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def try_out(client: httpx.Client, rule: str) -> str:
    (one,) = client.post(f"{RULES}/{rule}/test").json()["deliveries"]
    assert (one["state"], one["finished"]) == ("waiting", None)
    return str(one["id"])


def state(client: httpx.Client, delivery: str) -> tuple[str, str]:
    (one,) = (it for it in client.get(DELIVERIES).json()["deliveries"] if it["id"] == delivery)
    return one["state"], one["answer"]


def test_every_listener_is_told_once_and_resumes_where_it_was(here: tuple[Server, httpx.Client]) -> None:
    _, client = here
    rule = made(client, name="At the door")
    with listening(client) as first, listening(client) as second:
        sent = try_out(client, rule)
        number, told = first.hear()
        assert told == {
            "id": sent,
            "rule": {"id": rule, "name": "At the door"},
            "what": "person",
            "score": 0.5,
            "source": "(test)",
            "time": told["time"],
            "test": True,
            "result": None,
        }
        assert second.hear() == (number, told)
        later = try_out(client, rule)
        assert [one.hear()[1]["id"] for one in (first, second)] == [later, later], "nothing comes twice"
    with listening(client, after=number) as back:
        assert back.hear()[1]["id"] == later
    assert state(client, sent) == state(client, later) == ("delivered", "handed to an open page")
    with listening(client, last=number) as back:
        assert back.hear()[1]["id"] == later
    with listening(client, after=0) as back:
        assert [back.hear()[1]["id"] for _ in range(2)] == [sent, later], "all that is still news"
    alone = try_out(client, rule)
    with listening(client) as new:
        assert new.hear()[1]["id"] == alone, "who is new begins with what nobody has"


def test_what_fires_elsewhere_is_told_too(here: tuple[Server, httpx.Client], cat: bytes) -> None:
    server, client = here
    made(client, sources=["door"])
    elsewhere = RuleDesk.open(load_settings({"data_dir": str(server.data)}, environment={}))
    with listening(client) as page:
        elsewhere.seen("door", SEEN)  # as `sightline watch` does, in a process of its own
        _, told = page.hear()
        assert (told["source"], told["test"], told["result"]) == ("door", False, None)
        assert state(client, told["id"])[0] == "delivered"
        query = {"capture": "door", "store": "true"}
        kept = client.post("/api/v1/predict", files={"image": cat}, params=query).json()
        _, told = page.hear()
        assert told["result"] == kept["id"], "what is kept can be looked at"
        assert state(client, told["id"]) == ("delivered", "handed to the page that took the capture")
    elsewhere.close()


def test_who_is_no_listener_is_refused(client: httpx.Client) -> None:
    for query, headers in (({"after": "-1"}, {}), ({"after": "x"}, {}), ({}, {"Last-Event-ID": "x"})):
        answer = client.get(ALERTS, params=query, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_option")
    assert client.post(ALERTS).status_code == 405


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "null"},
    ],
    ids=str,
)
def test_a_page_of_another_site_hears_nothing(
    here: tuple[Server, httpx.Client], headers: dict[str, str]
) -> None:
    """Its EventSource would swallow what the own pages are to show, and take the places to listen."""
    _, client = here
    sent = try_out(client, made(client))
    with client.stream("GET", ALERTS, headers=headers) as answer:
        answer.read() if answer.status_code != 200 else None
        assert answer.status_code == 403
        assert answer.json()["code"] == "origin_refused"
    assert state(client, sent)[0] == "waiting"
    own = {"origin": str(client.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    with client.stream("GET", ALERTS, headers=own) as answer:
        assert Listener(answer).hear()[1]["id"] == sent


def test_the_head_of_a_stream_is_no_listener(here: tuple[Server, httpx.Client]) -> None:
    _, client = here
    sent = try_out(client, made(client))
    answer = client.head(ALERTS)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
    assert state(client, sent)[0] == "waiting"
    with listening(client) as page:
        assert page.hear()[1]["id"] == sent


def test_only_so_many_listen_and_nobody_holds_the_server_up(here: tuple[Server, httpx.Client]) -> None:
    server, _ = here
    limits = httpx.Limits(max_connections=None)
    with httpx.Client(base_url=server.url, timeout=60, limits=limits) as client, ExitStack() as stack:
        pages = [stack.enter_context(listening(client)) for _ in range(STREAMS_MAX)]
        refused = client.get(ALERTS)
        assert (refused.status_code, refused.json()["code"]) == (503, "busy")
        assert "watch alerts" in refused.json()["detail"]
        sent = try_out(client, made(client))
        assert {page.hear()[1]["id"] for page in pages} == {sent}
        assert server.stop() == 0, "listeners do not hold the server up"
        assert all(page.is_over() for page in pages[:3])
    assert not [line for line in server.log if "Traceback" in line]


def test_listening_makes_no_database(here: tuple[Server, httpx.Client]) -> None:
    server, client = here
    with listening(client) as page:
        assert next(page._lines) == ""
    assert not (server.data / "results").exists()


class CountingDesk(RuleDesk):
    """A desk that counts how often it is asked, and whose database can be away."""

    asked = 0
    away = False

    def notices(self, **owner: str) -> tuple[Notice, ...]:
        self.asked += 1
        return super().notices(**owner)

    def taken(self, ids: Any) -> None:
        if self.away:
            raise Unreachable("The database is away.")
        super().taken(ids)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[CountingDesk]:
    settings = replace(Settings(), data_dir=str(tmp_path))
    opened = CountingDesk(settings, Database.of(settings))
    yield opened
    opened.close()


def test_many_listeners_ask_the_database_once(desk: CountingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightline.web.alert_events.LOOK_S", 3600.0)
    desk.test(desk.add(NOTIFY).id)

    async def listen() -> list[str]:
        board = Board(lambda: desk)
        assert desk.asked == 0, "nobody listens"
        feeds = [AlertFeed(board, None) for _ in range(50)]
        texts = [text for text, _ in await asyncio.gather(*(feed.more() for feed in feeds))]
        for feed in feeds:
            await feed.handed()
            assert await feed.more() == ("", False)
        return texts

    texts = awaited(listen())
    assert all(text.count("event: alert") == 1 for text in texts)
    assert desk.asked == 1
    assert desk.deliveries()[0].state == "delivered"


def test_what_could_not_be_written_down_is_written_later(
    desk: CountingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sightline.web.alert_events.LOOK_S", 0.0)
    desk.test(desk.add(NOTIFY).id)

    async def listen() -> None:
        feed = AlertFeed(Board(lambda: desk), None)
        assert "event: alert" in (await feed.more())[0]
        desk.away = True
        with pytest.raises(Unreachable):
            await feed.handed()
        assert desk.deliveries()[0].state == "waiting"
        desk.away = False
        assert await feed.more() == ("", False)

    awaited(listen())
    assert desk.deliveries()[0].answer == "handed to an open page"


def test_a_stream_whose_database_goes_away_ends_and_leaves_its_place(desk: CountingDesk) -> None:
    """Who comes back is refused in words until the database is there again."""
    settings = Settings()
    services = Services(settings, Keyring(""), HostList(settings))
    sent: list[Json] = []

    async def listen() -> None:
        feed = AlertFeed(Board(lambda: desk), None)
        first, _ = await feed.more()
        desk.away = True

        async def send(message: Any) -> None:
            assert services.streams["alerts"] == 1
            sent.append(message)

        never = asyncio.Event()

        async def receive() -> Any:
            await never.wait()

        desk.test(desk.add(NOTIFY).id)
        await EventStream(services, feed, first)({"type": "http"}, receive, send)

    awaited(listen())
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert b"event: alert" in sent[-2]["body"]
    assert services.streams["alerts"] == 0
