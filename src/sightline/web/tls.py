"""Certificates for https: the one that an owner brings, or one that is made here and kept in the data folder.

A made certificate is its own authority: browsers cannot know it and ask once. What it gives is that nobody in
between reads or changes anything, and that browsers hand out the camera (secure contexts, W3C). Whoever wants
to be sure compares the SHA-256 fingerprint that `serve` prints with the one that the browser shows.
"""

import contextlib
import datetime as dt
import hashlib
import os
import secrets
import socket
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sightline.errors import ConfigError
from sightline.private import private_folder
from sightline.settings import Settings
from sightline.web.addresses import Address, as_address, is_wildcard, lan_addresses
from sightline.web.plain import PlainAware

VALID: Final = dt.timedelta(days=397)
"""Apple's devices refuse certificates that are valid for longer than 398 days."""
RENEW: Final = dt.timedelta(days=30)
"""A certificate that ends within this time is made anew at the next start."""
_BACK: Final = dt.timedelta(days=1)
"""It is valid since yesterday: clocks of phones are late at times."""
_FILE: Final = "tls.pem"


@dataclass(frozen=True, slots=True)
class Identity:
    """What the server shows: a context ready to use, the fingerprint to compare, and whose it is."""

    context: ssl.SSLContext
    fingerprint: str
    """SHA-256 of the certificate, as browsers write it: ``AB:CD:…``."""
    own: bool
    """Whether the owner brought it."""


def wants_tls(settings: Settings) -> bool:
    """Whether the server speaks https: asked for, or given a certificate."""
    return settings.tls or bool(settings.tls_cert)


def identity(settings: Settings) -> Identity | None:
    """The server's certificate, made or renewed if need be; None where it speaks plain HTTP.

    Raises:
        ConfigError: The owner's files cannot be read or do not belong together, or the made file cannot be
            kept.
    """
    if not wants_tls(settings):
        return None
    if settings.tls_cert:
        certificate, key = Path(settings.tls_cert).expanduser(), Path(settings.tls_key).expanduser()
        return Identity(_context(certificate, key), _fingerprint(certificate), own=True)
    path = settings.data_path / _FILE
    names, addresses = wanted_names(settings), wanted_addresses(settings)
    if not _still_good(path, names, addresses):
        _make(path, names, addresses)
    return Identity(_context(path, path), _fingerprint(path), own=False)


def wanted_names(settings: Settings) -> list[str]:
    """The names that the certificate must carry: this machine's, and those that the owner allows."""
    host = socket.gethostname().lower()
    asked = [entry.strip().lower() for entry in (settings.host, *settings.allowed_hosts.split(","))]
    bare = [entry.rpartition(":")[0] if entry.count(":") == 1 else entry for entry in asked]
    names = ["localhost", host, *([] if "." in host else [f"{host}.local"])]
    names += [name for name in bare if name and as_address(name) is None]
    return [name for name in dict.fromkeys(names) if _is_name(name)]


def wanted_addresses(settings: Settings) -> list[Address]:
    """The literal addresses: loopback, all of the machine's, and the one that is bound."""
    asked = [entry.strip() for entry in (settings.host, *settings.allowed_hosts.split(","))]
    literal = [as_address(entry) for entry in asked if entry and not is_wildcard(entry)]
    found = [ip_address("127.0.0.1"), ip_address("::1"), *lan_addresses()]
    return list(dict.fromkeys([*found, *(address for address in literal if address is not None)]))


def _is_name(name: str) -> bool:
    """Whether a certificate can carry it: ASCII, 63 characters a part, 253 in all."""
    parts = name.split(".")
    sound = all(part and len(part) < 64 and part.replace("-", "").isalnum() for part in parts)
    return sound and name.isascii() and len(name) < 254


def _still_good(path: Path, names: list[str], addresses: list[Address]) -> bool:
    """Whether the kept certificate can be read, lasts, and carries all that is wanted."""
    try:
        kept = x509.load_pem_x509_certificate(path.read_bytes())
        alternatives = kept.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password=_no_password)
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    if path.stat().st_mode & 0o077:
        return False  # others may have read its key
    lasts = kept.not_valid_after_utc - dt.datetime.now(dt.UTC) > RENEW
    has_names = set(names) <= set(alternatives.get_values_for_type(x509.DNSName))
    return lasts and has_names and set(addresses) <= set(alternatives.get_values_for_type(x509.IPAddress))


def _make(path: Path, names: list[str], addresses: list[Address]) -> None:
    """Write a new key and certificate, whole or not at all, readable by their owner only."""
    key = ec.generate_private_key(ec.SECP256R1())
    plain = serialization.NoEncryption()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption_algorithm=plain
    )
    data = _signed(key, names, addresses).public_bytes(serialization.Encoding.PEM) + pem
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        private_folder(path.parent)
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        half.replace(path)
    except OSError as error:
        raise ConfigError(
            f"The certificate for https cannot be kept in the data folder: {error.strerror or error}.",
            next_step="Make the data folder writable, or bring a certificate with --tls-cert and --tls-key.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)


def _signed(key: ec.EllipticCurvePrivateKey, names: list[str], addresses: list[Address]) -> x509.Certificate:
    """A certificate for a server, signed with its own key; it may sign no others."""
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Sightline"),
            x509.NameAttribute(NameOID.COMMON_NAME, socket.gethostname()[:64] or "localhost"),
        ]
    )
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives += [x509.IPAddress(address) for address in addresses]
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=subject, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - _BACK).not_valid_after(now - _BACK + VALID)
    builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(key, hashes.SHA256())


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = PlainAware(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"The certificate {certificate.name} with the key {key.name} cannot be used: {reason}.",
            next_step="tls_cert is a PEM file with the whole chain, the server's own certificate first; "
            "tls_key is its key, PEM without a password.",
        ) from error
    return context


def _no_password() -> str:
    """Asked for by OpenSSL where a key is encrypted; a server has nobody to ask."""
    raise ValueError("the key has a password")


def _fingerprint(path: Path) -> str:
    first = x509.load_pem_x509_certificate(path.read_bytes())
    digest = hashlib.sha256(first.public_bytes(serialization.Encoding.DER)).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
