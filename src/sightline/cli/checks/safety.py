"""Settings that work but are dangerous, and files that others can read."""

import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from sightline.cli.checks.finding import Finding, ok
from sightline.settings import Settings
from sightline.web.guards import is_loopback
from sightline.web.tls import wants_tls

_TIMES = 4
"""A limit that was raised by more than this is worth a word."""
_LIMITS = (
    "upload_max_mb",
    "jpeg_max_mp",
    "picture_max_mp",
    "side_max",
    "jpeg_scans_max",
    "decode_memory_mb",
    "decode_cpu_s",
    "decode_wall_s",
    "fetch_max_mb",
    "files_max",
)


def settings_are_safe(settings: Settings) -> Iterator[Finding]:
    """Addresses that strangers reach, names that fit none, limits that no longer limit."""
    findings = [*_address(settings), *_hosts(settings), *_limits(settings)]
    yield from findings or [ok("settings", "nothing unsafe is set")]


def _address(settings: Settings) -> Iterator[Finding]:
    if is_loopback(settings.host):
        return
    if wants_tls(settings):
        yield Finding(
            "settings",
            "note",
            f"host is {settings.host}: others in the network reach it, over https.",
            "Keep the key to yourself; or set host to 127.0.0.1.",
        )
    else:
        yield Finding(
            "settings",
            "warning",
            f"host is {settings.host}: others in the network reach it, and nothing is encrypted.",
            "Keep the key to yourself, and set tls, or put a proxy with TLS in front; "
            "or set host to 127.0.0.1.",
        )


def _hosts(settings: Settings) -> Iterator[Finding]:
    if "*" in settings.allowed_hosts:
        yield Finding(
            "settings",
            "warning",
            f"allowed_hosts is {settings.allowed_hosts}, but names are compared as they stand: "
            "`*` lets nobody in.",
            "List the exact names under which the server is reached.",
        )
    if settings.fetch_allow.strip():
        yield Finding(
            "settings",
            "warning",
            f"fetch_allow lets callers reach these private hosts: {settings.fetch_allow}.",
            "Keep only hosts that serve nothing but pictures.",
        )


def _limits(settings: Settings) -> Iterator[Finding]:
    defaults: dict[str, Any] = {item.name: item.default for item in fields(Settings)}
    for name in _LIMITS:
        value = getattr(settings, name)
        if value > _TIMES * defaults[name]:
            yield Finding(
                "settings",
                "warning",
                f"{name} is {value:g}, far above the default {defaults[name]:g}; one picture may use it.",
                f"Lower {name}, unless everyone who can send pictures is trusted.",
            )


def files(settings: Settings) -> Iterator[Finding]:
    """Who else may read or change what Sightline keeps."""
    folder = settings.data_path
    if os.geteuid() == 0:
        yield Finding(
            "files",
            "note",
            "Sightline runs as root.",
            "Make a user for it: nothing here needs to be root.",
        )
    for path in (folder, folder / "models"):
        if path.is_dir() and path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            yield Finding(
                "files",
                "warning",
                f"Other users may write to {path}, and so replace models or results.",
                f"chmod go-w {path}",
            )
    yield from _secrets(folder)


def _secrets(folder: Path) -> Iterator[Finding]:
    names = ("key", "secret", "token")
    kept = [path for name in names for path in folder.glob(f"*{name}*") if path.is_file()]
    for path in kept:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield Finding("files", "problem", f"Other users may read the key in {path}.", f"chmod 600 {path}")
        else:
            yield ok("files", f"the key in {path.name} is readable by its owner only")


def port(settings: Settings) -> Iterator[Finding]:
    """Whether ``serve`` could bind its address now."""
    if settings.port == 0:
        yield ok("port", "serve takes a free one")
        return
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host.strip("[]"), settings.port))
        except OSError as error:
            yield Finding(
                "port",
                "note",
                f"{settings.host}:{settings.port} cannot be bound now: {error.strerror}.",
                "If this is not Sightline already running, choose another: `sightline serve --port 8080`.",
            )
        else:
            yield ok("port", f"{settings.host}:{settings.port} is free")
