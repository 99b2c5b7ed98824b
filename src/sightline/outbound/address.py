"""Which addresses may be opened: one strict parser, and one list of what is public.

The parsed object that is checked is the object that is connected to; the text of the address is
never read a second time by another parser (URL confusion: CVE-2026-28416, GHSA-rv25-cq3f-x5f2).
"""

import ipaddress
import re
import urllib.parse
from dataclasses import dataclass
from typing import TypeAlias

from sightline.errors import FetchRefused

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
URL_MAX = 4096
PORTS = {"http": 80, "https": 443}
_SHAPE = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>[/?][^#]*)?(?:#.*)?",
    re.IGNORECASE,
)
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_LOGIN = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/?#]*@", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_PATH_SAFE = "!$%&'()*+,-./:;=?@_~"


@dataclass(frozen=True, slots=True)
class Target:
    """An address that has passed the parser. ``host`` is lower case, without brackets or final dot."""

    scheme: str
    host: str
    port: int
    path: str
    """Path and query, only printable ASCII, beginning with ``/``."""

    @property
    def authority(self) -> str:
        """What ``Host`` says; also how the allow-list names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def literal(self) -> Address | None:
        """The IP address that the host spells, if it is no name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


def without_login(text: str) -> str:
    """An address as it may be shown: without name and password (which would not be opened anyway)."""
    return _LOGIN.sub(r"\1", text)


def parse(text: str) -> Target:
    """Text -> target.

    Raises:
        FetchRefused: No absolute http(s) address, or one with user names, backslashes, control
            characters, an odd port, or a number in an unusual spelling for a host.
    """
    if len(text) > URL_MAX:
        raise FetchRefused(f"The address may have {URL_MAX} characters, it has {len(text)}.")
    if any(char <= " " or char in '\\\x7f"<>^`{|}' for char in text) or not text.isprintable():
        raise FetchRefused(
            "The address holds a space, a control character or a backslash.",
            next_step="Copy the address again; write such characters as %20 and so on.",
        )
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise FetchRefused(
            "This is no address that can be opened: it must look like https://host/path, "
            "without a user name and with the host in ASCII (xn--… for others).",
            next_step="Copy the whole address again; it begins with https:// or http://.",
        )
    scheme = found["scheme"].lower()
    port = int(found["port"]) if found["port"] else PORTS[scheme]
    if not 0 < port < 65536:
        raise FetchRefused(f"The address names port {port}, which does not exist.")
    rest = found["rest"] or "/"
    path = urllib.parse.quote(rest if rest.startswith("/") else f"/{rest}", safe=_PATH_SAFE)
    return Target(scheme, _host(found["host"]), port, path)


def join(base: Target, location: str) -> Target:
    """Where a redirect leads; relative ones are resolved against ``base``.

    Raises:
        FetchRefused: As `parse`, or from https back to http.
    """
    if any(char <= " " or char == "\\" for char in location) or len(location) > URL_MAX:
        raise FetchRefused("The address redirects to something that is no address.")
    try:
        target = parse(urllib.parse.urljoin(base.url, location))
    except ValueError as error:
        raise FetchRefused("The address redirects to something that is no address.") from error
    if (base.scheme, target.scheme) == ("https", "http"):
        raise FetchRefused("The address redirects from https to http, which gives up its protection.")
    return target


def allow_list(text: str) -> frozenset[str]:
    """The setting ``fetch_allow`` -> hosts and host:port pairs that may be private."""
    return frozenset(entry.strip().lower() for entry in text.split(",") if entry.strip())


def is_listed(target: Target, allowed: frozenset[str]) -> bool:
    """Whether the operator allowed this host (with its usual port) or this host and port."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = target.port == PORTS[target.scheme]
    return f"{host}:{target.port}" in allowed or (usual and (host in allowed or target.host in allowed))


def check_port(target: Target) -> None:
    """Only the ports of the web, unless the operator listed another.

    Raises:
        FetchRefused: Another port.
    """
    if target.port not in PORTS.values():
        raise FetchRefused(
            f"Port {target.port} may not be opened; addresses use 80 or 443.",
            next_step=f"If it may be reached, list {target.authority} in the setting `fetch_allow`.",
        )


def is_public(address: Address) -> bool:
    """Whether an address belongs to the internet, and so does every IPv4 address inside it.

    Refuses private, shared (100.64/10), loopback, link-local, multicast, reserved and documentation
    ranges, and IPv6 forms that carry an IPv4 address somewhere else (compatible, 6to4, Teredo,
    ISATAP); mapped and NAT64 ones are as public as what they carry.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not (address.is_multicast or address.is_reserved)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    isatap = (int(address) >> 32) & 0xFDFFFFFF == 0x00005EFE
    return (
        address in _UNICAST
        and address.is_global
        and not isatap
        and not any(address in net for net in _CARRIERS)
    )


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")
_CARRIERS = (
    ipaddress.IPv6Network("2002::/16"),
    ipaddress.IPv6Network("2001::/32"),
    ipaddress.IPv6Network("3fff::/20"),
)


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError as error:
            raise FetchRefused(f"The host {text} is no IPv6 address.") from error
    host = text.lower().removesuffix(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # 0x7f.1, 017700000001 and 2130706433 all mean 127.0.0.1 to some programs.
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError as error:
            raise FetchRefused(f"The host {text} spells a number in an unusual way.") from error
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise FetchRefused(f"The host {text} is no valid name.")
    return host
