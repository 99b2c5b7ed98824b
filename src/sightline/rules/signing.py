"""Signatures of webhooks, as Standard Webhooks (standardwebhooks.com, symmetric ``v1``) describes them.

``webhook-signature: v1,<base64 of HMAC-SHA256(secret, "<webhook-id>.<webhook-timestamp>.<body>")>``; the
secret is ``whsec_`` and base64 of its bytes. Ready-made libraries of that convention verify it.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Final

PREFIX: Final = "whsec_"
TOLERANCE_S: Final = 300
"""How old (or how far in the future) a message may be; older ones may be replays."""


def new_secret() -> str:
    """A secret of 256 random bits."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def headers(secret: str, message_id: str, time: float, body: bytes) -> dict[str, str]:
    """The three headers of a message that is sent at ``time`` (Unix seconds)."""
    stamp = str(int(time))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{_sum(secret, message_id, stamp, body)}",
    }


def verify(secret: str, found: Mapping[str, str], body: bytes, *, now: float) -> bool:
    """Whether a message was signed with this secret not long ago: what a receiver has to do.

    ``found``: the headers, their names in lower case.
    """
    message_id, stamp = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    if not stamp.isascii() or not stamp.isdigit() or abs(now - int(stamp)) > TOLERANCE_S:
        return False
    wanted = _sum(secret, message_id, stamp, body).encode()
    given = [part.partition(",") for part in found.get("webhook-signature", "").split()]
    return any(version == "v1" and hmac.compare_digest(wanted, value.encode()) for version, _, value in given)


def _sum(secret: str, message_id: str, stamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{stamp}.".encode() + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
