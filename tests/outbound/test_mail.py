"""E-mail over a real connection: encrypted or not, with a password, refused, and never answered."""

import email
import email.policy
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from tests.outbound.postbox import Postbox, postbox

from sightline.errors import BadOption, ConfigError, FetchRefused
from sightline.outbound import mail
from sightline.outbound.mail import check_mail, send_mail
from sightline.settings import Settings, load_settings
from sightline.web.tls import identity

TO = "jo@example.org"


def settings_for(box: Postbox, scheme: str = "smtp", login: str = "") -> Settings:
    address = f"{scheme}://{login}localhost:{box.port}"
    return replace(Settings(), mail_server=address, mail_from="door@example.org")


def send(settings: Settings, subject: str = "Rider at the door") -> None:
    send_mail(TO, subject, "rider scored 0.91.\nSource: naïve\n", settings)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """A server's side of TLS for localhost, and the file that vouches for it."""
    folder = tmp_path_factory.mktemp("tls")
    words = {"data_dir": str(folder), "tls": True, "allowed_hosts": "localhost"}
    made = identity(load_settings(words, environment={}))
    assert made is not None
    return made.context, folder / "tls.pem"


@pytest.fixture
def trusted(own: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The same, trusted as an operator's own authority is: by the environment of OpenSSL."""
    monkeypatch.setenv("SSL_CERT_FILE", str(own[1]))
    return own[0]


def test_a_letter_arrives_whole() -> None:
    with postbox() as box:
        send(settings_for(box), "Rider at the\n\r door\x0b")
    (letter,) = box.letters
    read = email.message_from_bytes(letter, policy=email.policy.default)
    assert (read["From"], read["To"]) == ("door@example.org", TO)
    assert read["Subject"] == "Rider at the door"
    assert read.get_content().replace("\r\n", "\n") == "rider scored 0.91.\nSource: naïve\n"
    assert f"rcpt TO:<{TO}>".lower() in [line.lower() for line in box.said]
    assert box.encrypted == [False]


@pytest.mark.parametrize("to", ["a@[", "jo@example.org\nBcc: kim@example.org"])
def test_an_address_that_no_message_can_have_is_no_riddle(to: str) -> None:
    with postbox() as box, pytest.raises(BadOption, match="No message can be sent to"):
        send_mail(to, "Rider at the door", "rider scored 0.91.\n", settings_for(box))
    assert box.letters == []


def test_a_sender_that_is_none_is_said_before_a_rule_is_made() -> None:
    with postbox() as box, pytest.raises(ConfigError, match="mail_from"):
        check_mail(replace(settings_for(box), mail_from="a@["))


def test_encryption_that_is_offered_is_used(trusted: ssl.SSLContext) -> None:
    with postbox(tls=trusted) as box:
        send(settings_for(box, login="joe:s%20ecret@"))
    assert box.encrypted == [True]
    assert "\0joe\0s ecret" in box.said
    assert [line.split(" ")[0].upper() for line in box.said[:3]] == ["EHLO", "STARTTLS", "EHLO"]


def test_smtps_is_encrypted_from_the_first_byte(trusted: ssl.SSLContext) -> None:
    with postbox(tls=trusted, at_once=True) as box:
        send(settings_for(box, "smtps", "joe:secret@"))
    assert (box.encrypted, len(box.letters)) == ([True], 1)


def test_a_password_is_never_said_in_the_open() -> None:
    with postbox() as box, pytest.raises(FetchRefused, match="offers no encryption"):
        send(settings_for(box, login="joe:secret@"))
    assert not any("AUTH" in line.upper() or "secret" in line for line in box.said)
    assert box.letters == []


@pytest.mark.parametrize("at_once", [False, True])
def test_a_certificate_that_nobody_vouches_for_gets_nothing(
    own: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    scheme = "smtps" if at_once else "smtp"
    wrong = pytest.raises(FetchRefused, match="certificate is not trusted")
    with postbox(tls=own[0], at_once=at_once) as box, wrong:
        send(settings_for(box, scheme, "joe:secret@"))
    assert not any("secret" in line for line in box.said)
    assert box.letters == []


def test_encryption_that_is_offered_and_then_refused_ends_it(trusted: ssl.SSLContext) -> None:
    with postbox(tls=trusted, refuse={"STARTTLS": b"454 not now"}) as box, pytest.raises(FetchRefused):
        send(settings_for(box, login="joe:secret@"))
    assert not any("secret" in line for line in box.said)
    assert box.letters == []


@pytest.mark.parametrize(
    ("refuse", "words"),
    [
        ({"": b"554 go away"}, "554 go away"),
        ({"MAIL": b"553 not from there"}, "553 not from there"),
        ({"RCPT": b"550 no such box"}, "550 no such box"),
        ({"DATA": b"451 later"}, "451 later"),
        ({".": b"552 too much"}, "552 too much"),
        ({"EHLO": b"502 no", "HELO": b"501 not even that"}, "501 not even that"),
        ({"MAIL": b"421 closing"}, "421 closing|closed the connection"),
    ],
)
def test_what_the_server_says_no_with_is_said(refuse: dict[str, bytes], words: str) -> None:
    with postbox(refuse=refuse) as box, pytest.raises(FetchRefused, match=words) as caught:
        send(settings_for(box))
    assert "mail_server" in caught.value.next_step
    assert box.letters == []


def test_a_wrong_password_is_refused(trusted: ssl.SSLContext) -> None:
    wrong = pytest.raises(FetchRefused, match="535 wrong")
    with postbox(tls=trusted, refuse={"AUTH": b"535 wrong"}) as box, wrong as caught:
        send(settings_for(box, login="joe:secret@"))
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("hang", ["EHLO", "RCPT", "DATA"])
def test_a_server_that_hangs_is_left(hang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "_WAIT_S", 1.0)
    with postbox(hang=hang) as box, pytest.raises(FetchRefused, match="did not answer within 1 s"):
        send(settings_for(box))
    assert box.letters == []


def test_where_nobody_listens_it_says_so() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        box = Postbox(port=free.getsockname()[1])
        with pytest.raises(FetchRefused, match="ConnectionRefusedError"):
            send(settings_for(box))


@pytest.mark.parametrize(
    "address", ["", "localhost:25", "http://localhost", "smtp://", "smtp://h:99999", "smtp://h:x"]
)
def test_settings_that_name_no_server(address: str) -> None:
    with pytest.raises(ConfigError, match="mail_server"):
        check_mail(replace(Settings(), mail_server=address, mail_from="door@example.org"))


def test_a_sender_is_needed() -> None:
    with pytest.raises(ConfigError, match="mail_from"):
        check_mail(replace(Settings(), mail_server="smtp://localhost"))
