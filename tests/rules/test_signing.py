"""Signatures: against a worked example, against forgeries."""

import base64
import hashlib
import hmac

import pytest

from sightline.rules import signing

BODY = b'{"type":"rule.fired"}'


def test_the_signature_is_the_one_of_the_convention() -> None:
    secret = signing.PREFIX + base64.b64encode(b"k" * 32).decode()
    sent = signing.headers(secret, "msg_1", 1_700_000_000.9, BODY)
    wanted = hmac.new(b"k" * 32, b"msg_1.1700000000." + BODY, hashlib.sha256).digest()
    assert sent == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1," + base64.b64encode(wanted).decode(),
    }


@pytest.mark.parametrize(
    ("change", "body", "now"),
    [
        ({"webhook-id": "msg_2"}, BODY, 1000),
        ({"webhook-timestamp": "1001"}, BODY, 1000),
        ({"webhook-timestamp": "²"}, BODY, 1000),
        ({"webhook-signature": "v1,ümlaut"}, BODY, 1000),
        ({"webhook-signature": ""}, BODY, 1000),
        ({}, BODY + b" ", 1000),
        ({}, BODY, 1301),
        ({}, BODY, 699),
    ],
)
def test_forgeries_and_replays_are_refused(change: dict[str, str], body: bytes, now: float) -> None:
    secret = signing.new_secret()
    sent = signing.headers(secret, "msg_1", 1000, BODY)
    assert signing.verify(secret, sent, BODY, now=1000)
    assert not signing.verify(secret, sent | change, body, now=now)
    assert not signing.verify(signing.new_secret(), sent, BODY, now=1000)
