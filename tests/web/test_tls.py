"""https: the certificate that is made, kept and renewed, the one that is brought, what changes with them."""

import datetime as dt
import hashlib
import ipaddress
import os
import pty
import re
import select
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from tests.web import tiny
from tests.web.conftest import Server, end, start

from sightline.errors import ConfigError
from sightline.settings import Settings, load_settings
from sightline.web import tls
from sightline.web.addresses import as_address, in_url, lan_addresses
from sightline.web.greeting import greeting
from sightline.web.tls import RENEW, VALID, Identity, identity, wanted_addresses, wanted_names, wants_tls


def options(folder: Path, **wishes: object) -> Settings:
    return load_settings({"data_dir": str(folder / "data"), "tls": True} | wishes, environment={})


def made(settings: Settings) -> Identity:
    found = identity(settings)
    assert found is not None
    return found


def certificate(settings: Settings) -> x509.Certificate:
    return x509.load_pem_x509_certificate((settings.data_path / "tls.pem").read_bytes())


def test_nothing_is_made_unless_asked_for(tmp_path: Path) -> None:
    settings = options(tmp_path, tls=False)
    assert not wants_tls(settings)
    assert identity(settings) is None
    assert not settings.data_path.exists()


def test_one_is_made_kept_and_private(tmp_path: Path) -> None:
    settings = options(tmp_path)
    first = made(settings)
    assert (settings.data_path / "tls.pem").stat().st_mode & 0o777 == 0o600
    assert made(settings).fingerprint == first.fingerprint
    assert not first.own
    found = certificate(settings)
    assert found.not_valid_after_utc - found.not_valid_before_utc == VALID < dt.timedelta(days=398)
    digest = hashlib.sha256(
        ssl.PEM_cert_to_DER_cert((settings.data_path / "tls.pem").read_text().split("-----BEGIN PRIV")[0])
    )
    assert first.fingerprint.replace(":", "").lower() == digest.hexdigest()


def test_it_carries_the_names_and_addresses(tmp_path: Path) -> None:
    settings = options(tmp_path, host="192.168.77.5", allowed_hosts="box.lan, shop.example:8443, 10.9.9.9")
    made(settings)
    names = certificate(settings).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    host = socket.gethostname().lower()
    assert {"localhost", host, "box.lan", "shop.example"} <= set(names.get_values_for_type(x509.DNSName))
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    wanted = {"127.0.0.1", "::1", "192.168.77.5", "10.9.9.9", *map(str, lan_addresses())}
    assert wanted <= addresses
    constraints = certificate(settings).extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.ca is False


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost", "127.0.0.1", "bad name", "[::1]"])
def test_odd_binds_need_no_name_of_their_own(tmp_path: Path, host: str) -> None:
    settings = options(tmp_path, host=host)
    assert "localhost" in wanted_names(settings)
    assert not {"0.0.0.0", "::", "bad name"} & {
        *wanted_names(settings),
        *map(str, wanted_addresses(settings)),
    }
    assert made(settings)


def test_new_names_make_a_new_one(tmp_path: Path) -> None:
    first = made(options(tmp_path)).fingerprint
    second = made(options(tmp_path, allowed_hosts="camera.lan")).fingerprint
    assert first != second
    assert made(options(tmp_path)).fingerprint == second, "names that are no longer needed do no harm"


def test_it_is_renewed_before_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = options(tmp_path)
    monkeypatch.setattr(tls, "VALID", RENEW + dt.timedelta(days=1, minutes=-1))
    first = made(settings).fingerprint
    monkeypatch.undo()
    second = made(settings)
    assert second.fingerprint != first
    assert made(settings).fingerprint == second.fingerprint


@pytest.mark.parametrize(
    "damage", ["", "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n", "half"]
)
def test_what_is_damaged_is_made_anew(tmp_path: Path, damage: str) -> None:
    settings = options(tmp_path)
    first = made(settings).fingerprint
    path = settings.data_path / "tls.pem"
    path.write_text(path.read_text().split("-----BEGIN PRIV")[0] if damage == "half" else damage)
    assert made(settings).fingerprint != first
    assert made(settings).context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_key_that_others_could_read_is_given_up(tmp_path: Path) -> None:
    settings = options(tmp_path)
    first = made(settings).fingerprint
    (settings.data_path / "tls.pem").chmod(0o644)
    assert made(settings).fingerprint != first
    assert (settings.data_path / "tls.pem").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, Path]:
    """An owner's certificate and key in two files."""
    settings = options(tmp_path / "other")
    made(settings)
    both = (settings.data_path / "tls.pem").read_text()
    at = both.index("-----BEGIN PRIVATE")
    pair = tmp_path / "chain.pem", tmp_path / "key.pem"
    pair[0].write_text(both[:at])
    pair[1].write_text(both[at:])
    return pair


def test_an_own_certificate_is_taken(tmp_path: Path, own: tuple[Path, Path]) -> None:
    settings = options(tmp_path, tls=False, tls_cert=str(own[0]), tls_key=str(own[1]))
    assert wants_tls(settings)
    found = made(settings)
    assert found.own
    assert found.fingerprint == made(options(tmp_path / "other")).fingerprint
    assert not (settings.data_path / "tls.pem").exists()


def test_an_own_certificate_that_cannot_be_used_is_a_sentence(tmp_path: Path, own: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match="belong together"):
        options(tmp_path, tls_cert=str(own[0]))
    for cert, key in ((own[1], own[1]), (own[0], own[0]), (tmp_path / "none.pem", own[1])):
        with pytest.raises(ConfigError, match="cannot be used"):
            identity(options(tmp_path, tls_cert=str(cert), tls_key=str(key)))
    locked = tmp_path / "locked.pem"
    command = [
        "openssl",
        "pkcs8",
        "-topk8",
        "-in",
        str(own[1]),
        "-out",
        str(locked),
        "-passout",
        "pass:secret",
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("There is no openssl here to lock a key with.")
    with pytest.raises(ConfigError, match="password"):
        identity(options(tmp_path, tls_cert=str(own[0]), tls_key=str(locked)))


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be made"):
        identity(options(tmp_path))


@contextmanager
def serving(folder: Path, **wishes: object) -> Iterator[tuple[Server, ssl.SSLContext]]:
    """A server over https, and a context that trusts its certificate and nothing else."""
    data = folder / "served"
    tiny.install(load_settings({"data_dir": str(data)}, environment={}), folder / "bundles")
    server = start(data, None, **{"tls": True, **wishes})
    trusting = ssl.create_default_context(cafile=str(wishes.get("tls_cert") or data / "tls.pem"))
    trusting.verify_flags &= ~ssl.VERIFY_X509_STRICT
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it is its own authority and yet none
    try:
        yield server, trusting
    finally:
        end(server)


def test_the_server_answers_over_https_under_each_name(tmp_path: Path, cat: bytes) -> None:
    with serving(tmp_path) as (server, trusting):
        assert server.url.startswith("https://127.0.0.1:")
        for name in ("localhost", "127.0.0.1"):
            with httpx.Client(
                base_url=f"https://{name}:{server.port}", verify=trusting, timeout=30
            ) as client:
                answer = client.post("/api/v1/predict", files={"image": cat})
                assert answer.status_code == 200
                assert "strict-transport-security" not in answer.headers
        printed = "".join(server.lines)
        shown = re.search(r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}", printed)
        assert shown
        raw = socket.create_connection(("127.0.0.1", server.port))
        with trusting.wrap_socket(raw, server_hostname="localhost") as shaken:
            seen = shaken.getpeercert(binary_form=True)
            assert seen is not None
            assert hashlib.sha256(seen).hexdigest() == shown[0].replace(":", "").lower()
            assert shaken.version() in {"TLSv1.2", "TLSv1.3"}
        assert server.stop() == 0


def test_a_client_that_stays_connected_does_not_keep_the_server(tmp_path: Path) -> None:
    with serving(tmp_path) as (server, trusting):
        raw = socket.create_connection(("127.0.0.1", server.port))
        with trusting.wrap_socket(raw, server_hostname="localhost") as idle:
            idle.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(100).startswith(b"HTTP/1.1 200 ")
            assert server.stop(timeout=20) == 0  # it took asyncio's 30 s for a farewell that nobody reads


def test_plain_http_is_told_of_https_and_browsers_are_led_there(tmp_path: Path) -> None:
    with serving(tmp_path) as (server, trusting), httpx.Client(timeout=30, verify=trusting) as client:
        plain = f"http://localhost:{server.port}"
        page = client.get(f"{plain}/history?q=cat", headers={"accept": "text/html,*/*"})
        assert page.status_code == 307
        assert page.headers["location"] == f"https://localhost:{server.port}/history?q=cat"
        root = client.get(f"{plain}/", headers={"accept": "text/html"}, follow_redirects=True)
        assert (root.status_code, root.url.scheme) == (200, "https")
        for refused in (
            client.get(f"{plain}/api/v1/models"),  # a program that follows would send its key in the clear
            client.post(f"{plain}/api/v1/predict", content=b"x" * 300_000),
            client.put(f"{plain}/api/v1/models/default", headers={"accept": "application/json"}),
        ):
            assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")
            assert "speaks https" in refused.json()["detail"]
            assert refused.headers["connection"] == "close"
        for odd in (
            b"GET /x\r\n\r\n",
            b"GET /\r\nHost: a b\r\n",
            b"\x00" * 100,
            b"DELETE / HTTP/1.1\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", server.port), 30) as raw:
                raw.sendall(odd)
                assert raw.recv(100).startswith(b"HTTP/1.1 400 ") or odd[:3] != b"GET"
        assert client.get(f"https://localhost:{server.port}/health/live").status_code == 200


def test_cookies_are_secure_and_the_key_is_asked_for(tmp_path: Path) -> None:
    with serving(tmp_path, host="0.0.0.0") as (server, trusting):
        key = server.link.partition("?key=")[2]
        with httpx.Client(base_url=f"https://127.0.0.1:{server.port}", verify=trusting, timeout=30) as client:
            assert client.get("/api/v1/models").status_code == 401
            signed = client.get(f"/?key={key}")
            assert signed.status_code == 303
            assert "secure" in signed.headers["set-cookie"].lower()
            assert client.get("/api/v1/models").status_code == 200


def test_only_an_own_certificate_makes_browsers_insist(tmp_path: Path, own: tuple[Path, Path]) -> None:
    with serving(tmp_path, tls=False, tls_cert=str(own[0]), tls_key=str(own[1])) as (server, trusting):
        answer = httpx.get(f"https://localhost:{server.port}/health/live", verify=trusting, timeout=30)
        assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_the_greeting_says_where_for_whom_and_how_to_tell(tmp_path: Path) -> None:
    drawn: list[str] = []

    def draw(link: str) -> str:
        drawn.append(link)
        return "[square]\n"

    here = greeting(options(tmp_path, tls=False), ("127.0.0.1", 8000), None, draw)
    assert here == "Sightline is at http://127.0.0.1:8000/"
    assert drawn == []
    settings = options(tmp_path, host="0.0.0.0")
    text = greeting(settings, ("0.0.0.0", 8443), made(settings), draw)
    assert re.match(rf"Sightline is at https://{re.escape(socket.gethostname())}:8443/\?key=\S{{43}}\n", text)
    assert made(settings).fingerprint in text
    assert len(drawn) == 1
    assert "[square]" in text
    if lan_addresses():
        assert f"From other devices in this network: {drawn[0]}" in text
        assert as_address(drawn[0].split("://")[1].partition(":8443")[0]) in lan_addresses()
    bound = greeting(options(tmp_path, host="::5", tls=False), ("::5", 80), None, None)
    assert bound.startswith("Sightline is at http://[::5]:80/?key=")


def test_addresses_are_those_of_the_kernel() -> None:
    for address in lan_addresses():
        assert not address.is_loopback
        assert not address.is_link_local
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        with socket.socket(family) as one:
            one.bind((str(address), 0))  # only own addresses can be bound
    assert as_address("[::1]") == ipaddress.ip_address("::1")
    assert as_address("box") is None
    assert (in_url("::1"), in_url("box")) == ("[::1]", "box")


def test_the_square_is_for_terminals_only() -> None:
    program = "from sightline.cli.qr import square; print(repr(square('https://192.0.2.7:8000/?key=abc')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "''\n"


def _in_a_terminal(folder: Path, *words: str) -> str:
    """What `sightline serve` shows on a terminal until it is ready."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "sightline", "serve", "--port", "0", "--data-dir", str(folder), *words]
    process = subprocess.Popen(command, stdout=its, stderr=subprocess.DEVNULL)
    shown = b""
    until = time.monotonic() + 40
    try:
        while time.monotonic() < until and b"Sightline is at" not in shown:
            if select.select([ours], [], [], 1)[0]:
                shown += os.read(ours, 65536)
        while select.select([ours], [], [], 0.5)[0]:
            shown += os.read(ours, 65536)
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours)
        os.close(its)
    return shown.decode()


def test_a_terminal_shows_the_square_where_phones_can_reach_the_server(tmp_path: Path) -> None:
    shown = _in_a_terminal(tmp_path / "data", "--host", "0.0.0.0", "--tls")
    assert shown.count("\N{LOWER HALF BLOCK}") + shown.count("\N{UPPER HALF BLOCK}") > 100
    assert "SHA-256" in shown
    assert "\N{UPPER HALF BLOCK}" not in _in_a_terminal(tmp_path / "data")


def test_the_square_says_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    import segno  # noqa: PLC0415

    from sightline.cli.qr import square  # noqa: PLC0415

    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    link = "https://192.0.2.7:8000/?key=" + "x" * 43
    lines = square(link).rstrip("\n").split("\n")
    modules = segno.make(link, error="m", micro=False).symbol_size(border=2)[0]
    assert len(lines) == -(-modules // 2)
    assert modules <= 60, "it fits on a narrow terminal"
