"""Sending a small message to an address that somebody else chose: one POST, no redirects, a short answer."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sightline.errors import FetchRefused
from sightline.outbound.address import Target, allow_list, check_port, is_listed, is_public, parse
from sightline.outbound.fetch import in_words
from sightline.outbound.wire import Deadline, Resolver, resolve, send, system_resolver
from sightline.settings import Settings

ANSWER_MAX: Final = 2048
"""Bytes of the answer that are read."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What came back."""

    status: int
    answer: str
    """Its first words, as text; whatever is no text is replaced."""


def check_address(url: str, settings: Settings) -> None:
    """Refuse now what would be refused at every delivery: a malformed or a plainly private address.

    Raises:
        FetchRefused: The address may not be opened. Names are looked up, and judged, when something is sent.
    """
    target = parse(url)
    if _listed(target, settings):
        return
    check_port(target)
    literal = target.literal
    if literal is not None and not is_public(literal):
        raise FetchRefused(
            f"The host {target.host} is not on the public internet.",
            next_step=f"If it may be reached, list {target.authority} in the setting `fetch_allow`.",
        )


def safe_post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    settings: Settings,
    *,
    resolver: Resolver = system_resolver,
) -> Posted:
    """Post ``body``; any status is an answer, and a redirect is not followed.

    Raises:
        FetchRefused: The address may not be opened, or did not answer in time.
    """
    target = parse(url)
    private = _listed(target, settings)
    if not private:
        check_port(target)
    deadline = Deadline(settings.fetch_total_s)
    with in_words(target.url):
        addresses = resolve(target, resolver, deadline, private=private)
        sock, response = send(target, addresses, headers, deadline, body)
        with contextlib.closing(sock), contextlib.closing(response):
            return Posted(response.status, response.read(ANSWER_MAX).decode("utf-8", "replace"))


def _listed(target: Target, settings: Settings) -> bool:
    return is_listed(target, allow_list(settings.fetch_allow))
