"""What `serve` says when it is ready: where it is, for whom, and how to tell that it is really it."""

import socket
from collections.abc import Callable
from typing import Final

from sightline.settings import Settings
from sightline.web.addresses import in_url, is_wildcard, lan_addresses
from sightline.web.keys import load_secret, needs_key
from sightline.web.tls import Identity

_MADE: Final = "The certificate was made here, so each browser warns once. It is the right one if it shows"


def greeting(
    settings: Settings, bound: tuple[str, int], identity: Identity | None, draw: Callable[[str], str] | None
) -> str:
    """The lines that are printed once.

    Args:
        settings: All of them.
        bound: Host and port that the server listens on.
        identity: Its certificate, if it speaks https.
        draw: Makes a picture of a link that phones can read, for terminals; an empty text where it cannot.
    """
    host, port = bound
    key = f"?key={load_secret(settings.data_path)}" if needs_key(settings) else ""

    def link(name: str) -> str:
        return f"{'https' if identity else 'http'}://{in_url(name)}:{port}/{key}"

    lines = [f"Sightline is at {link(socket.gethostname() if is_wildcard(host) else host)}"]
    if key:
        lines.append("Whoever has this link may use the server.")
        other = link(_reachable(host))
        if other != lines[0].rpartition(" ")[2]:
            lines.append(f"From other devices in this network: {other}")
        lines += [drawn.rstrip("\n")] if (drawn := draw(other) if draw else "") else []
    if identity:
        words = (
            "SHA-256 fingerprint of the certificate:"
            if identity.own
            else f"{_MADE} this SHA-256 fingerprint:"
        )
        lines += [words, identity.fingerprint]
    return "\n".join(lines)


def _reachable(host: str) -> str:
    """What others can resolve: an address where the server listens on all of them, else what is bound."""
    if not is_wildcard(host):
        return host
    found = lan_addresses()
    return str(found[0]) if found else socket.gethostname()
