"""Host, Origin, key: who may ask at all."""

import json
import socket
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.web.conftest import Server

from sightline.errors import ConfigError, SightlineError
from sightline.settings import Settings, load_settings
from sightline.web.guards import HostList, check_origin, is_loopback, split_host
from sightline.web.keys import Keyring, load_secret, needs_key
from sightline.web.problems import BadRequest, HostRefused, NotSignedIn, OriginRefused


def hosts(**options: object) -> HostList:
    return HostList(load_settings(options, environment={}))


def host_header(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", value.encode("latin-1")) for value in values]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("localhost", ("localhost", "")),
        ("LocalHost.:80", ("localhost", "80")),
        ("127.0.0.1:8000", ("127.0.0.1", "8000")),
        ("[::1]", ("::1", "")),
        ("[::1]:8000", ("::1", "8000")),
    ],
)
def test_hosts_are_split(value: str, expected: tuple[str, str]) -> None:
    assert split_host(value) == expected


@pytest.mark.parametrize(
    "value",
    [*["", ":80", "::1", "[::1", "[::1]x", "[::1]:", "a:b", "a:80:80", "a/b", "a\\b"], "u@a", "é", "a:٣"],
)  # fmt: skip
def test_odd_hosts_are_refused(value: str) -> None:
    with pytest.raises(BadRequest):
        split_host(value)


@given(st.text(max_size=40))
def test_any_text_is_split_or_refused(value: str) -> None:
    try:
        name, port = split_host(value)
    except BadRequest:
        return
    assert name
    assert not set(name) & set("/\\@?#")
    assert port == "" or port.isdigit()


@pytest.mark.parametrize(
    ("options", "good", "bad"),
    [
        (
            {},
            ["localhost", "127.0.0.1:9", "[::1]:8000"],
            ["evil.example", "localhost.evil", "10.0.0.5", "[::2]"],
        ),
        ({"host": "0.0.0.0"}, ["10.0.0.5:8000", "[2001:db8::1]"], ["evil.example", "10.0.0.5.evil"]),
        ({"host": "::"}, ["10.0.0.5", "[fe80::1]:1"], ["evil"]),
        ({"host": "192.168.1.4"}, ["192.168.1.4:8000", "localhost"], ["192.168.1.5"]),
        (
            {"allowed_hosts": "box.lan, shop.example:8443, [2001:db8::7]"},
            ["box.lan", "BOX.lan:1", "shop.example:8443", "[2001:db8::7]:80"],
            ["shop.example", "shop.example:80", "box.lan.evil"],
        ),
    ],
)
def test_the_host_list(options: dict[str, object], good: list[str], bad: list[str]) -> None:
    names = hosts(**options)
    for value in good:
        assert names.check(host_header(value)) == value
    for value in bad:
        with pytest.raises(HostRefused):
            names.check(host_header(value))


def test_there_is_exactly_one_host_header() -> None:
    for headers in ([], host_header("localhost", "localhost")):
        with pytest.raises(BadRequest):
            hosts().check(headers)


ORIGINS = (
    b"",
    b"http://localhost:8000",
    b"https://localhost:8000",
    b"http://localhost",
    b"http://evil",
    b"null",
    b"x",
)
SITES = (b"", b"same-origin", b"none", b"same-site", b"cross-site", b"odd")


@pytest.mark.parametrize(
    ("method", "origin", "site"),
    list(product(("GET", "HEAD", "POST", "DELETE", "PUT", "ODD"), ORIGINS, SITES)),
)
def test_the_origin_matrix(method: str, origin: bytes, site: bytes) -> None:
    headers = [(b"origin", origin)] * bool(origin) + [(b"sec-fetch-site", site)] * bool(site)
    own = origin in ORIGINS[:3] and site in SITES[:3]
    if method in {"GET", "HEAD"} or own:
        check_origin(method, headers, "localhost:8000")
    else:
        with pytest.raises(OriginRefused):
            check_origin(method, headers, "localhost:8000")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("box", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_the_key_is_asked_for_wherever_others_reach() -> None:
    asked = [needs_key(load_settings(options, environment={})) for options in (
        {}, {"host": "::1"}, {"host": "0.0.0.0"}, {"host": "192.168.1.4"}, {"allowed_hosts": "box.lan"},
    )]  # fmt: skip
    assert asked == [False, False, True, True, True]


def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    secret = load_secret(tmp_path / "data")
    assert len(secret) >= 43
    assert load_secret(tmp_path / "data") == secret
    assert (tmp_path / "data" / "secret").stat().st_mode & 0o777 == 0o600
    assert load_secret(tmp_path / "other") != secret


@pytest.mark.parametrize(
    "text", ["", "short", "a" * 64, "é" * 40, "changeme-changeme-changeme-changeme"[:31]]
)
def test_weak_secrets_refuse_to_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret").write_text(text)
    (tmp_path / "secret").chmod(0o600)
    with pytest.raises(ConfigError, match="weak"):
        load_secret(tmp_path)


def test_a_readable_secret_refuses_to_start(tmp_path: Path) -> None:
    load_secret(tmp_path)
    (tmp_path / "secret").chmod(0o644)
    with pytest.raises(ConfigError, match="read by other"):
        load_secret(tmp_path)


def test_the_keyring() -> None:
    ring = Keyring("right-key-right-key")
    for good in (
        (b"authorization", b"Bearer right-key-right-key"),
        (b"authorization", b"bearer  right-key-right-key "),
        (b"cookie", f"a=b; sightline={ring.cookie}".encode()),
        (b"cookie", f'prefs={{"a":1}}; x=a b; flag; sightline={ring.cookie}; y=\xe9'.encode("latin-1")),
    ):
        ring.check([good])
    for bad in (
        (b"authorization", b"Bearer wrong"),
        (b"authorization", b"Basic right-key-right-key"),
        (b"authorization", b"Bearer "),
        (b"cookie", b"sightline=right-key-right-key"),
        (b"cookie", b"sightline="),
        (b"cookie", b'sightline="\xff'),
        (b"x-key", b"right-key-right-key"),
    ):
        with pytest.raises(NotSignedIn):
            ring.check([bad])
    Keyring().check([])


def test_the_cookie_is_not_the_key() -> None:
    assert Keyring("one").cookie != Keyring("two").cookie
    assert "one" not in Keyring("one").cookie


def test_a_server_for_others_demands_its_key(starting: Callable[..., Server], cat: bytes) -> None:
    server = starting(host="0.0.0.0")
    key = server.link.partition("?key=")[2]
    assert len(key) >= 43
    url = f"http://127.0.0.1:{server.port}"
    with httpx.Client(base_url=url, timeout=30) as client:
        for path in ("/api/v1/models", "/api/v1/results", "/metrics", "/api/docs", "/api/openapi.json"):
            assert client.get(path).json()["code"] == "not_signed_in"
        refused = client.post("/api/v1/predict", content=cat, headers={"content-type": "image/jpeg"})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="sightline"')
        assert client.get("/health/live").status_code == 200
        shell = client.get("/")
        assert shell.status_code == 401
        assert "Key" in shell.text
        headers = {"authorization": f"Bearer {key}"}
        assert client.get("/api/v1/models", headers=headers).status_code == 200
        assert client.get("/", params={"key": "wrong"}).status_code == 401
        exchanged = client.get("/", params={"key": key})
        assert (exchanged.status_code, exchanged.headers["location"]) == (303, "/")
        cookie = exchanged.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/"))
        assert client.get("/api/v1/models").status_code == 200
    with httpx.Client(base_url=url, timeout=30) as client:
        assert client.post("/signin", data={"key": "wrong"}).status_code == 401
        assert client.post("/signin", data={"key": key}).status_code == 303
        assert client.get("/").status_code == 200
        for odd in ("docs?", "x?/docs", "x#/docs"):
            assert client.get("/api/v1/models", headers={"host": odd}).json()["code"] in {
                "bad_request",
                "host_refused",
            }
    assert key not in "".join(server.log)


def _told(server: Server, path: str) -> dict[str, Any]:
    """The line of the log about the next request to a path."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for line in list(server.log):
            if f'"path":"{path}"' in line:
                found: dict[str, Any] = json.loads(line)
                return found
        time.sleep(0.02)
    raise AssertionError(server.log)


def test_who_hangs_up_at_the_door_is_no_failure(starting: Callable[..., Server]) -> None:
    server = starting()
    form = "content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(f"POST /signin HTTP/1.1\r\nhost: localhost\r\n{form}\r\nkey=".encode())
    assert _told(server, "/signin")["status"] == 499
    assert not any('"failure"' in line or "Traceback" in line for line in server.log)


def test_no_more_than_a_key_is_read_at_the_door(client: httpx.Client) -> None:
    refused = client.post("/signin", data={"key": "x" * 3000})
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")


def test_a_weak_secret_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    from sightline.web.app import create_app  # noqa: PLC0415

    with pytest.raises(SightlineError, match="weak"):
        create_app(Settings(data_dir=str(tmp_path), host="0.0.0.0"))
