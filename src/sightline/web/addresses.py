"""The addresses under which this machine can be reached, asked of the kernel; nothing is sent anywhere."""

import contextlib
import fcntl
import ipaddress
import socket
import struct
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

_SIOCGIFADDR: Final = 0x8915
"""``ioctl`` of Linux: the IPv4 address of an interface (netdevice(7))."""
_IPV6: Final = Path("/proc/net/if_inet6")
_PASSING: Final = 0x01 | 0x20 | 0x40
"""Flags of IPv6 addresses that come and go: temporary, deprecated, tentative (linux/if_addr.h)."""
_WILDCARDS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound


def is_wildcard(host: str) -> bool:
    """Whether a server that binds ``host`` listens on all addresses of the machine."""
    return host.strip("[]") in _WILDCARDS


def lan_addresses() -> list[Address]:
    """All addresses but loopback and those that hold on one cable only (link-local), IPv4 first."""
    found = [*_ipv4(), *_ipv6()]
    return [address for address in found if not (address.is_loopback or address.is_link_local)]


def _ipv4() -> list[Address]:
    found: list[Address] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _number, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # an interface without an IPv4 address
                answer = fcntl.ioctl(asking, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                found.append(IPv4Address(answer[20:24]))
    return found


def _ipv6() -> list[Address]:
    try:
        lines = _IPV6.read_text("ascii").splitlines()
    except OSError:  # a machine without IPv6
        return []
    rows = [line.split() for line in lines]
    return [IPv6Address(bytes.fromhex(row[0])) for row in rows if not int(row[4], 16) & _PASSING]


def as_address(host: str) -> Address | None:
    """A literal address, or None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def in_url(host: str) -> str:
    """A name or an address as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
