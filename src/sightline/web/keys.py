"""The server's one secret: made at first start, asked for wherever others than this machine can reach it.

``Authorization: Bearer <key>`` for programs; for people the link with ``?key=`` that `serve` prints,
exchanged at once for an HttpOnly, SameSite=Strict cookie so that the key leaves the address bar. The
cookie is derived from the key and does not reveal it.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from sightline.errors import ConfigError
from sightline.private import private_folder
from sightline.settings import Settings
from sightline.web.guards import Headers, is_loopback
from sightline.web.problems import NotSignedIn

COOKIE: Final = "sightline"
_FILE: Final = "secret"
_SHORTEST: Final = 32


def needs_key(settings: Settings) -> bool:
    """Whether requests must show the key: any bind that others reach, or further names for a proxy's sake."""
    return not is_loopback(settings.host) or bool(settings.allowed_hosts.strip())


def load_secret(folder: Path) -> str:
    """The secret of a data folder, made (256 bits, file mode 0600) if it has none.

    Raises:
        ConfigError: The file is too short to be safe, or others may read it.
    """
    path = folder / _FILE
    private_folder(folder)
    if not path.exists():
        try:
            _make(path)
        except OSError as error:
            raise ConfigError(
                f"The server's key cannot be kept in {folder}: {error.strerror or error}.",
                next_step="Give data_dir a folder that this user may write.",
            ) from error
    return _read(path)


def _make(path: Path) -> None:
    """Whole or not at all; whoever comes second keeps the first one's."""
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(
            os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
        ) as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        try:
            path.hardlink_to(half)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def _read(path: Path) -> str:
    secret = path.read_text("utf-8", errors="replace").strip()
    remedy = f"Delete {path.name} in the data folder; a new one is made at the next start."
    if len(secret) < _SHORTEST or len(set(secret)) < 10 or not secret.isascii():
        raise ConfigError("The secret in the data folder is too weak to protect a server.", next_step=remedy)
    if path.stat().st_mode & 0o077:
        raise ConfigError(
            "The secret in the data folder can be read by other users of this machine.",
            next_step=f"{remedy} Or take their rights away: chmod 600.",
        )
    return secret


class Keyring:
    """Checks requests. Without a secret everybody is let in: only this machine reaches the server then."""

    def __init__(self, secret: str = "") -> None:
        """Guard with ``secret``; empty means open."""
        self._secret = secret.encode()
        self.cookie = hmac.new(self._secret, b"sightline cookie 1", hashlib.sha256).hexdigest()

    @property
    def guarded(self) -> bool:
        """Whether a key is asked for."""
        return bool(self._secret)

    def fits(self, key: str) -> bool:
        """Whether this is the key; takes the same time for every wrong one."""
        return hmac.compare_digest(self._secret, key.encode("utf-8", "replace"))

    def check(self, headers: Headers) -> None:
        """Let a request pass, or not.

        Raises:
            NotSignedIn: No key, or a wrong one.
        """
        if not self.guarded:
            return
        for name, value in headers:
            text = value.decode("latin-1")
            if name == b"authorization" and text[:7].lower() == "bearer " and self.fits(text[7:].strip()):
                return
            if name == b"cookie" and hmac.compare_digest(_cookie(text).encode(), self.cookie.encode()):
                return
        raise NotSignedIn("This server wants its key.")


def _cookie(header: str) -> str:
    """Ours among all cookies of this host. Other ports' programs share them and write what they like."""
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value.strip('"')
    return ""
