"""Answering a web camera that asks for name and password: Basic (RFC 7617) and Digest (RFC 7616)."""

import base64
import hashlib
import re
import secrets
from typing import Final

from sightline.errors import FetchRefused
from sightline.watching.source import Login

_PAIR: Final = re.compile(r"(\w+)\s*=\s*(?:\"([^\"]*)\"|([^\s,]+))")
_HASHES: Final = {"MD5": "md5", "SHA-256": "sha256"}


def answer(challenge: str, login: Login | None, path: str) -> str:
    """The header ``Authorization`` for a GET of ``path``, as the camera's ``WWW-Authenticate`` wants it.

    Raises:
        FetchRefused: There is no login, or the camera wants another way.
    """
    if login is None:
        raise FetchRefused(
            "The camera wants a name and a password.",
            next_step="Write them into its address: http://name:password@camera/path.",
        )
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic":
        pair = f"{login.user}:{login.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"
    fields = {name.lower(): quoted or plain for name, quoted, plain in _PAIR.findall(rest)}
    algorithm = fields.get("algorithm", "MD5").upper()
    if scheme.lower() != "digest" or algorithm not in _HASHES or "nonce" not in fields:
        raise FetchRefused(
            f"The camera asks for the login {scheme[:20]!r}; Sightline knows Basic and Digest."
        )
    return _digest(fields, algorithm, login, path)


def _digest(fields: dict[str, str], algorithm: str, login: Login, path: str) -> str:
    def hashed(text: str) -> str:
        return hashlib.new(_HASHES[algorithm], text.encode(), usedforsecurity=False).hexdigest()

    realm, nonce = fields.get("realm", ""), fields["nonce"]
    first = hashed(f"{login.user}:{realm}:{login.password}")
    second = hashed(f"GET:{path}")
    parts = {"username": login.user, "realm": realm, "nonce": nonce, "uri": path}
    bare = {"algorithm": algorithm}
    if "auth" in [word.strip() for word in fields.get("qop", "").split(",")]:
        count, mine = "00000001", secrets.token_hex(8)
        parts["cnonce"] = mine
        bare |= {"qop": "auth", "nc": count}
        parts["response"] = hashed(f"{first}:{nonce}:{count}:{mine}:auth:{second}")
    else:
        parts["response"] = hashed(f"{first}:{nonce}:{second}")
    if "opaque" in fields:
        parts["opaque"] = fields["opaque"]
    text = [f'{name}="{value}"' for name, value in parts.items()] + [f"{n}={v}" for n, v in bare.items()]
    return f"Digest {', '.join(text)}"
