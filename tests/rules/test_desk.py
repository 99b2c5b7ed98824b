"""From a capture to the receiver: signed, tried again, across restarts, and never where it must not go."""

import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.outbound.postbox import postbox
from tests.rules.conftest import Opening, ended, rule
from tests.rules.receiver import Inbox

from sightline.errors import BadOption, FetchRefused, NotFound
from sightline.rules import Alert, RuleDesk, signing
from sightline.rules.courier import Courier
from sightline.settings import Settings
from sightline.storage import rule_rows
from sightline.storage.database import Database
from sightline.storage.kept import DATABASE, FOLDER
from sightline.storage.rule_kept import Action, Condition, Delivery, Rule
from sightline.types import Detections, ModelRef, Result

SEEN = Result(
    "r1",
    "door.jpg",
    ModelRef("toy", "1", "sha256:" + "0" * 64),
    "detect",
    100,
    80,
    ("person",),
    Detections(np.array([[0, 0, 9, 9]], np.float32), np.array([0.875], np.float32), np.array([0])),
)
EMPTY = replace(SEEN, prediction=Detections.empty())
HOOK = {"kind": "webhook", "url": "https://example.org/hook"}


def test_a_webhook_arrives_signed_and_its_answer_is_kept(opened: Opening, inbox: Inbox) -> None:
    desk = opened()
    kept = desk.add(rule({"kind": "webhook", "url": inbox.url}, name="Somebody"))
    (alert,) = desk.seen("door", SEEN, 1_700_000_000.0)
    assert alert == Alert(kept.id, "Somebody", "person", 0.875, "door", 1_700_000_000.0, browser=False)
    (one,) = ended(desk)
    assert (one.state, one.status, one.answer, one.attempts) == ("delivered", 200, "thank you", 1)
    ((headers, body),) = inbox.messages
    assert signing.verify(kept.secret, headers, body, now=time.time())
    assert headers["webhook-id"] == one.id
    assert headers["content-type"] == "application/json"
    event = json.loads(body)
    assert (event["type"], event["timestamp"]) == ("rule.fired", "2023-11-14T22:13:20.000+00:00")
    assert event["data"]["score"] == 0.875
    assert event["data"]["source"] == "door"


def test_it_is_tried_again_after_an_error_with_the_same_id_and_body(opened: Opening, inbox: Inbox) -> None:
    inbox.statuses[:] = [500, 503]
    desk = opened()
    desk.add(rule({"kind": "webhook", "url": inbox.url}))
    desk.seen("door", SEEN, 1.0)
    (one,) = ended(desk)
    assert (one.state, one.attempts) == ("delivered", 3)
    assert len({headers["webhook-id"] for headers, _ in inbox.messages}) == 1
    assert len({body for _, body in inbox.messages}) == 1


def test_it_is_tried_again_after_a_restart(opened: Opening, inbox: Inbox) -> None:
    inbox.statuses[:] = [500]
    first = opened(waits_s=(1.0,) * 7)
    first.add(rule({"kind": "webhook", "url": inbox.url}))
    first.seen("door", SEEN, 1.0)
    inbox.wait()
    first.close()
    second = opened()
    assert second.deliveries()[0].state == "waiting"
    second.start()
    (one,) = ended(second)
    assert (one.state, one.attempts) == ("delivered", 2)


def test_enough_is_enough_and_can_be_tried_once_more_by_hand(opened: Opening, inbox: Inbox) -> None:
    inbox.statuses[:] = [500] * 3
    desk = opened(waits_s=(0.01, 0.01))
    desk.add(rule({"kind": "webhook", "url": inbox.url}))
    desk.seen("door", SEEN, 1.0)
    (one,) = ended(desk)
    assert (one.state, one.status, one.answer, one.attempts) == ("failed", 500, "not now", 3)
    desk.again(one.id)
    (one,) = ended(desk)
    assert one.state == "delivered"
    with pytest.raises(NotFound):
        desk.again(one.id)


def test_a_receiver_that_is_gone_for_good_is_left_alone(opened: Opening, inbox: Inbox) -> None:
    inbox.statuses[:] = [410]
    desk = opened()
    desk.add(rule({"kind": "webhook", "url": inbox.url}))
    desk.seen("door", SEEN, 1.0)
    (one,) = ended(desk)
    assert (one.state, one.attempts, len(inbox.messages)) == ("failed", 1, 1)


def test_a_redirect_is_an_answer_and_not_a_way(opened: Opening, inbox: Inbox) -> None:
    inbox.statuses[:] = [302]
    desk = opened(waits_s=())
    desk.add(rule({"kind": "webhook", "url": inbox.url}))
    desk.seen("door", SEEN, 1.0)
    (one,) = ended(desk)
    assert (one.state, one.status) == ("failed", 302)


def test_quiet_goes_on_after_a_restart_and_sources_do_not_share_it(opened: Opening) -> None:
    first = opened()
    first.add(rule({"kind": "log"}, quiet_s=600))
    now = time.time()
    assert len(first.seen("door", SEEN, now)) == 1
    assert first.seen("door", SEEN, now + 1) == ()
    assert len(first.seen("yard", SEEN, now + 1)) == 1
    first.close()
    second = opened()
    assert second.seen("door", SEEN, now + 2) == ()
    assert len(second.seen("door", SEEN, now + 700)) == 1


def test_only_named_sources_and_enough_captures_count(opened: Opening) -> None:
    desk = opened()
    desk.add(rule({"kind": "browser"}, hits=2, of=3, sources=["door"], quiet_s=0))
    told = [
        desk.seen(source, seen, 1.0) for source, seen in (("yard", SEEN), ("door", SEEN), ("door", EMPTY))
    ]
    assert told == [(), (), ()]
    (alert,) = desk.seen("door", SEEN, 1.0)
    assert alert.browser
    (one,) = desk.deliveries(kinds=["browser"])
    assert (one.state, one.answer, one.attempts) == ("waiting", "waits for an open page", 0)
    desk.seen("door", SEEN, 2.0, page=True)
    desk.seen("door", SEEN, 3.0, page=True)
    newest, _ = desk.deliveries(kinds=["browser"])
    assert (newest.state, newest.answer) == ("delivered", "handed to the page that took the capture")


def test_a_command_gets_the_event_and_no_shell(opened: Opening, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SECRET_OF_OURS", "x")
    target = tmp_path / "told.json"
    code = "import json,os,sys; open(sys.argv[1],'w').write(json.dumps([sys.stdin.read(), dict(os.environ)]))"
    desk = opened()
    desk.add(
        rule({"kind": "command", "argv": [sys.executable, "-c", code, str(target), "; touch /x"]}),
        trusted=True,
    )
    desk.seen("door", SEEN, 1.0)
    (one,) = ended(desk)
    assert (one.state, one.status) == ("delivered", 0)
    event, environment = json.loads(target.read_text())
    assert json.loads(event)["data"]["what"] == "person"
    assert "SECRET_OF_OURS" not in environment


def test_a_command_that_fails_says_so(opened: Opening) -> None:
    desk = opened(waits_s=())
    desk.add(
        rule({"kind": "command", "argv": [sys.executable, "-c", "print('no milk'); exit(3)"]}), trusted=True
    )
    desk.add(rule({"kind": "command", "argv": ["/no/such/program"]}), trusted=True)
    desk.seen("door", SEEN, 1.0)
    told = {one.status: one.answer for one in ended(desk, 2)}
    assert told == {3: "no milk\n", None: "It could not be started: No such file or directory."}


def made_before(settings: Settings, opened: Opening, *actions: Action) -> RuleDesk:
    """A desk with rules that today's checks would refuse, each of one action."""
    file = settings.data_path / FOLDER / DATABASE
    database = Database(settings.database, file)
    for number, action in enumerate(actions):
        old = Rule(
            f"r{number}", f"r{number}", Condition("person", 0.5, 1, 1), (action,), 0.0, (), "whsec_eA=="
        )
        database.write(partial(rule_rows.add, rule=old))
    database.close()
    return opened(waits_s=(3600.0,))


def test_what_nobody_foresaw_fails_once_and_holds_up_nothing(
    settings: Settings, opened: Opening, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    poison, sound = Action("command", argv=("true", "a\0b")), Action("webhook", to=inbox.url)
    desk = made_before(settings, opened, poison, sound)
    desk.seen("door", SEEN, 1.0)
    told = {one.kind: one for one in ended(desk, 2)}
    assert (told["webhook"].state, told["command"].state) == ("delivered", "failed")
    assert told["command"].attempts == 1
    assert "ValueError" in told["command"].answer
    assert told["command"].id in caplog.text


def test_what_ends_whoever_tries_it_is_given_up(settings: Settings, inbox: Inbox) -> None:
    database = Database(settings.database, settings.data_path / FOLDER / DATABASE)
    action = Action("webhook", to=inbox.url)
    old = Rule("r1", "r1", Condition("person"), (action,), secret="whsec_eA==")
    one = Delivery("msg_1", "r1", "webhook", inbox.url, {"type": "rule.fired"}, "door", "waiting", 0.0)
    database.write(partial(rule_rows.add, rule=old))
    database.write(partial(rule_rows.put, rule=old, wanted=[(one, action)], unseen_s=0.0))
    for _ in range(3):
        assert database.write(partial(rule_rows.claim, lease_s=-1.0))  # and is gone before it says a word
    assert Courier(database, settings, waits_s=(0.01, 0.01)).deliver_one()
    (found,) = database.read(partial(rule_rows.page, wanted=rule_rows.Wanted(old.owner)))
    database.close()
    assert (found.state, found.attempts, inbox.messages) == ("failed", 4, [])
    assert "gone each time" in found.answer


def test_an_address_of_long_ago_that_is_none_fails_once(settings: Settings, opened: Opening) -> None:
    mailing = replace(settings, mail_server="smtp://localhost:9", mail_from="door@example.org")
    made_before(settings, opened, Action("email", to="a@["))
    file = settings.data_path / FOLDER / DATABASE
    desk = RuleDesk(mailing, Database(settings.database, file))
    try:
        desk.seen("door", SEEN, 1.0)
        (one,) = ended(desk)
    finally:
        desk.close()
    assert (one.state, one.attempts) == ("failed", 1)
    assert "No message can be sent to 'a@['" in one.answer


def test_a_test_does_the_actions_without_a_capture(opened: Opening, inbox: Inbox) -> None:
    desk = opened()
    kept = desk.add(rule({"kind": "webhook", "url": inbox.url}, quiet_s=600))
    desk.rules()
    desk.test(kept.id)
    ended(desk)
    assert json.loads(inbox.messages[0][1])["type"] == "rule.test"
    assert len(desk.seen("door", SEEN)) == 1  # a test is no firing


def test_a_removed_rule_is_gone_with_its_deliveries(opened: Opening, settings: Settings) -> None:
    desk = opened()
    kept = desk.add(rule({"kind": "log"}))
    desk.seen("door", SEEN)
    desk.remove(kept.id)
    assert (desk.rules(), desk.deliveries()) == ((), ())
    with pytest.raises(NotFound):
        desk.remove(kept.id)
    with pytest.raises(NotFound):
        desk.test(kept.id)


def test_asking_makes_no_database(opened: Opening, settings: Settings) -> None:
    desk = opened()
    desk.start()
    assert (desk.seen("door", SEEN), desk.rules(), desk.deliveries()) == ((), (), ())
    assert not settings.data_path.exists()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "https://user:pass@example.org/",
        "https://example.org:22/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "//example.org/",
        "https://example.org/\r\nX: y",
    ],
)
def test_hostile_addresses_are_refused_when_a_rule_is_made(opened: Opening, url: str) -> None:
    desk = opened()
    with pytest.raises(FetchRefused):
        desk.add(rule({"kind": "webhook", "url": url}))
    assert desk.rules() == ()


def test_a_name_that_means_a_private_address_gets_nothing(opened: Opening, inbox: Inbox) -> None:
    desk = opened(waits_s=())
    desk.add(rule({"kind": "webhook", "url": "http://localhost/hook"}))
    desk.seen("door", SEEN, 1.0)
    (one,) = ended(desk)
    assert (one.state, one.status, inbox.messages) == ("failed", None, [])
    assert "not on the public internet" in one.answer


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (rule(), "actions"),
        (rule(HOOK, hits=3, of=2), "can never be"),
        (rule(HOOK, min_score=1.5), "min_score"),
        (rule(HOOK, what=""), "what"),
        (rule(HOOK, quiet_s=-1), "quiet_s"),
        (rule(HOOK, colour="red"), "colour"),
        (rule({"kind": "telegram"}), "actions.0"),
        (rule({"kind": "webhook"}), "url"),
        (rule({"kind": "command", "argv": ["true"]}), "over HTTP"),
        (rule({"kind": "email", "to": "a@b\nBcc: c@d"}), "to"),
        (rule({"kind": "email", "to": "a@["}), "no e-mail address"),
        (rule({"kind": "command", "argv": ["true", "a\0b"]}), "argv.1: it cannot hold the character NUL"),
        (rule(HOOK, name="a\0b"), "name: it cannot hold the character NUL"),
    ],
)
def test_a_rule_that_is_off_is_refused_with_its_place(
    opened: Opening, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadOption, match=words):
        opened().add(given)


def test_email_needs_a_server(opened: Opening) -> None:
    with pytest.raises(BadOption, match="mail_server"):
        opened().add(rule({"kind": "email", "to": "a@example.org"}))


def test_two_processes_deliver_each_message_once(opened: Opening, inbox: Inbox) -> None:
    first, second = opened(), opened()
    first.add(rule({"kind": "webhook", "url": inbox.url}, quiet_s=0))
    second.start()
    for number in range(20):
        (first, second)[number % 2].seen("door", SEEN, float(number))
    ended(first, 20)
    assert len(inbox.messages) == 20
    assert len({headers["webhook-id"] for headers, _ in inbox.messages}) == 20


def test_an_email_is_tried_again_until_the_server_takes_it(settings: Settings, opened: Opening) -> None:
    with postbox(refuse={"RCPT": b"451 later"}) as box:
        told = {"mail_server": f"smtp://localhost:{box.port}", "mail_from": "door@example.org"}
        mailing = replace(settings, **told)  # type: ignore[arg-type]
        file = settings.data_path / FOLDER / DATABASE
        desk = RuleDesk(mailing, Database(settings.database, file), waits_s=(0.01, 0.01))
        try:
            desk.add(rule({"kind": "email", "to": "jo@example.org"}, name="Somebody"))
            desk.seen("door", SEEN, 1_700_000_000.0)
            (one,) = ended(desk)
            assert (one.state, one.attempts) == ("failed", 3)
            assert "451 later" in one.answer
            box.refuse.clear()
            desk.again(one.id)
            (one,) = ended(desk)
            assert (one.state, one.answer) == ("delivered", "taken by the mail server")
        finally:
            desk.close()
    (letter,) = box.letters
    assert b"Subject: Sightline: person at door (Somebody)" in letter
    assert b"person scored 0.88." in letter
