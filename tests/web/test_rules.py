"""Rules over HTTP and from a live camera: made, fired, delivered, shown, removed."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.rules.receiver import receiving
from tests.web.conftest import Server
from tests.web.talking import Talk

from sightline.rules import signing

RULES, DELIVERIES = "/api/v1/rules", "/api/v1/deliveries"


def ended(client: httpx.Client, rule: str, count: int) -> list[dict[str, Any]]:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found: list[dict[str, Any]] = client.get(DELIVERIES, params={"rule": rule}).json()["deliveries"]
        if sum(one["finished"] is not None for one in found) == count:
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_a_live_camera_makes_a_rule_fire_and_a_signed_webhook_arrives(
    starting: Callable[..., Server], cat: bytes
) -> None:
    with receiving() as inbox:
        server = starting(fetch_allow=inbox.allow)
        with httpx.Client(base_url=server.url, timeout=30) as client:
            wish = {"what": "person", "min_score": 0.5, "hits": 2, "of": 3, "sources": ["door"]}
            actions = [{"kind": "webhook", "url": inbox.url}, {"kind": "browser"}]
            made = client.post(RULES, json=wish | {"actions": actions})
            assert made.status_code == 201
            rule = made.json()
            assert rule["secret"].startswith("whsec_")
            (listed,) = client.get(RULES).json()["rules"]
            assert "secret" not in listed
            assert listed == {name: value for name, value in rule.items() if name != "secret"}
            with Talk(server.port) as talk:
                talk.options(source="door")
                told = []
                for _ in range(3):
                    talk.send(cat)
                    told.append(talk.hear()["alerts"])
            assert [len(alerts) for alerts in told] == [0, 1, 0]  # two of three, then quiet
            assert told[1][0]["browser"]
            assert (told[1][0]["rule"], told[1][0]["source"]) == (rule["id"], "door")
            states = {one["kind"]: one["state"] for one in ended(client, rule["id"], 2)}
            assert states == {"webhook": "delivered", "browser": "delivered"}
            ((headers, body),) = inbox.messages
            assert signing.verify(rule["secret"], headers, body, now=time.time())
            tried = client.post(f"{RULES}/{rule['id']}/test").json()["deliveries"]
            assert len(tried) == 2
            assert not any(str(one["due"]).startswith("1970") for one in tried)
            assert {one["kind"]: one["state"] for one in tried}["browser"] == "waiting"
            ended(client, rule["id"], 3)
            assert client.delete(f"{RULES}/{rule['id']}").status_code == 204
            assert client.get(RULES).json() == {"rules": []}
            assert client.get(DELIVERIES).json() == {"deliveries": [], "next": None}


def test_a_picture_that_is_named_a_capture_counts_too(starting: Callable[..., Server], cat: bytes) -> None:
    server = starting()
    with httpx.Client(base_url=server.url, timeout=30) as client:
        client.post(RULES, json={"what": "person", "sources": ["door"], "actions": [{"kind": "log"}]})

        def sent(**query: str) -> dict[str, Any]:
            found: dict[str, Any] = client.post("/api/v1/predict", files={"image": cat}, params=query).json()
            return found

        assert "alerts" not in sent()
        assert sent(capture="yard")["alerts"] == []
        (alert,) = sent(capture="door")["alerts"]
        assert (alert["what"], alert["source"], alert["browser"]) == ("person", "door", False)
        assert sent(capture="door")["alerts"] == []
        assert sent(capture="x" * 101)["code"] == "bad_option"


def test_what_is_kept_besides_makes_no_rule_fire(starting: Callable[..., Server], cat: bytes) -> None:
    """The model sees a cat of 0.2, which is kept; its own threshold is 0.3, and that was asked for."""
    with httpx.Client(base_url=starting().url, timeout=30) as client:
        wish = {"what": "<b>cat</b>", "min_score": 0.1, "quiet_s": 0, "actions": [{"kind": "log"}]}
        assert client.post(RULES, json=wish).status_code == 201

        def fired(**query: str) -> int:
            asked = {"capture": "door"} | query
            body = client.post("/api/v1/predict", files={"image": cat}, params=asked).json()
            return len(body["alerts"])

        for store in ("false", "true"):
            assert fired(store=store) == 0
            assert fired(store=store, min_score="0.15") == 1


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({}, "bad_option"),
        ({"what": "dog", "actions": []}, "bad_option"),
        ({"what": "dog", "actions": [{"kind": "command", "argv": ["true"]}]}, "bad_option"),
        ({"what": "dog", "actions": [{"kind": "webhook", "url": "http://127.0.0.1/"}]}, "fetch_refused"),
        ({"what": "dog", "actions": [{"kind": "webhook", "url": "http://[fd00::1]/"}]}, "fetch_refused"),
        ({"what": "dog", "hits": 2, "actions": [{"kind": "log"}]}, "bad_option"),
        ({"what": "dog", "actions": [{"kind": "email", "to": "a@example.org"}]}, "bad_option"),
    ],
)
def test_a_rule_that_must_not_be_is_refused(client: httpx.Client, wish: dict[str, Any], code: str) -> None:
    before = client.get(RULES).json()  # other tests share the server
    answer = client.post(RULES, json=wish)
    assert answer.status_code in range(400, 500)
    assert answer.json()["code"] == code
    assert client.get(RULES).json() == before


def test_what_is_off_is_said_in_words_that_fit(client: httpx.Client) -> None:
    def refused(action: dict[str, str]) -> dict[str, Any]:
        answer = client.post(RULES, json={"what": "dog", "actions": [action]})
        assert answer.status_code in (400, 422), answer.text
        found: dict[str, Any] = answer.json()
        return found

    assert "mail_server" in refused({"kind": "email", "to": "jo@example.org"})["detail"]
    for url in ("javascript:1", "https://jo:hush@example.org/", "http://10.0.0.9/"):
        said = refused({"kind": "webhook", "url": url})
        assert "picture" not in said["detail"] + said["next_step"]
        assert "hush" not in said["detail"] + said["next_step"]


def test_what_is_no_json_is_refused(client: httpx.Client) -> None:
    assert client.post(RULES, content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert client.post(RULES, data={"what": "dog"}).status_code == 415


def test_what_is_not_there_is_404(client: httpx.Client) -> None:
    assert client.delete(f"{RULES}/nothing").status_code == 404
    assert client.post(f"{RULES}/nothing/test").status_code == 404
    assert client.post(f"{DELIVERIES}/nothing/retry").status_code == 404


def test_a_word_that_no_model_says_is_kept_with_a_warning(starting: Callable[..., Server]) -> None:
    server = starting()
    with httpx.Client(base_url=server.url, timeout=30) as client:
        words = client.get(f"{RULES}/words").json()["words"]
        assert "person" in {word["what"] for word in words}
        told = {}
        for what in ("person", "PERSON", "unicorn", "persn"):
            made = client.post(RULES, json={"what": what, "actions": [{"kind": "log"}]})
            assert made.status_code == 201
            told[what] = made.json()["warning"]
        assert (told["person"], told["PERSON"]) == (None, None)
        assert told["unicorn"].startswith("No model here says 'unicorn'")
        assert "Close to it: person" in told["persn"]
        assert [rule["warning"] for rule in client.get(RULES).json()["rules"]] == list(told.values())


def test_a_wrong_action_is_said_in_words_at_its_field(starting: Callable[..., Server]) -> None:
    server = starting(mail_server="smtp://mail.invalid", mail_from="us@mail.invalid")
    with httpx.Client(base_url=server.url, timeout=30) as client:

        def refused(**wish: Any) -> tuple[str, str]:
            body = client.post(RULES, json={"what": "person", "actions": [{"kind": "log"}]} | wish).json()
            return body["field"], body["detail"]

        field, words = refused(actions=[{"kind": "log"}, {"kind": "email", "to": "jo"}])
        assert field.startswith("actions.1")
        assert "no e-mail address; one looks like jo@example.org" in words
        field, words = refused(actions=[{"kind": "webhook", "url": "http://10.0.0.1/x"}])
        assert field == "actions.0"
        assert "not on the public internet" in words
        field, words = refused(hits=3, of=2)
        assert field == "of"
        assert refused(min_score=2) == ("min_score", "min_score: it must be 1 or less.")
