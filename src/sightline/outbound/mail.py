"""E-mail through the operator's own server: the only place that speaks SMTP."""

import smtplib
import ssl
import urllib.parse
from email.message import EmailMessage
from typing import Final

from sightline.errors import BadOption, ConfigError, FetchRefused
from sightline.settings import Settings

_PORTS: Final = {"smtp": 587, "smtps": 465}
_WAIT_S: Final = 20.0
_EXAMPLE: Final = "Write it as `smtps://user:password@mail.example.org` or `smtp://localhost:25`."
_SENDER: Final = "Write it as `sightline@example.org`."


def check_mail(settings: Settings) -> None:
    """Whether mail can be sent at all.

    Raises:
        ConfigError: ``mail_server`` or ``mail_from`` is missing or malformed.
    """
    _server(settings)
    _begun(settings)


def send_mail(to: str, subject: str, text: str, settings: Settings) -> None:
    """Send one plain message.

    Over ``smtp`` the connection is encrypted where the server offers it; with a password it must.

    Raises:
        ConfigError: The settings name no server, or no sender.
        BadOption: No message can be addressed like this; trying again is of no use.
        FetchRefused: The server could not be reached, or refused.
    """
    server = _server(settings)
    message = _begun(settings)
    try:
        message["To"] = to
    except Exception as error:  # the library's parser trips in ways of its own: AttributeError at `a@[`
        raise BadOption(
            f"No message can be sent to {to[:60]!r}.", next_step="Make the rule again with another address."
        ) from error
    message["Subject"] = " ".join(subject.split())[:200]
    message.set_content(text)
    host, port = server.hostname or "", server.port or _PORTS[server.scheme]
    context = ssl.create_default_context()
    try:
        if server.scheme == "smtps":
            with smtplib.SMTP_SSL(host, port, timeout=_WAIT_S, context=context) as line:
                _say(line, server, message)
            return
        with smtplib.SMTP(host, port, timeout=_WAIT_S) as line:
            line.ehlo_or_helo_if_needed()
            if line.has_extn("starttls"):
                line.starttls(context=context)
            elif server.password:
                raise FetchRefused("The mail server offers no encryption, so it is not told the password.")
            _say(line, server, message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise FetchRefused(
            f"The mail server {host} did not take the message: {_why(error)}.",
            next_step="Check mail_server and mail_from, and the address it goes to.",
        ) from error


def _begun(settings: Settings) -> EmailMessage:
    """A message that says whom it is from.

    Raises:
        ConfigError: ``mail_from`` is no address.
    """
    message = EmailMessage()
    try:
        message["From"] = settings.mail_from
    except Exception as error:  # as with the address it goes to
        raise ConfigError("mail_from is no address of a sender.", next_step=_SENDER) from error
    return message


def _why(error: Exception) -> str:
    """What the server answered, or what went wrong on the way."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            code, words = next(iter(error.recipients.values()))
        case smtplib.SMTPResponseException():
            code, told = error.smtp_code, error.smtp_error
            words = told if isinstance(told, bytes) else told.encode()
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})"
        case smtplib.SMTPServerDisconnected() if not isinstance(error.__context__, TimeoutError):
            return "it closed the connection"
        case TimeoutError() | smtplib.SMTPServerDisconnected():
            return f"it did not answer within {_WAIT_S:.0f} s"
        case _:
            return type(error).__name__
    return f"{code} {' '.join(words.decode('utf-8', 'replace').split())[:200]}"


def _say(line: smtplib.SMTP, server: urllib.parse.SplitResult, message: EmailMessage) -> None:
    if server.username:
        line.login(urllib.parse.unquote(server.username), urllib.parse.unquote(server.password or ""))
    line.send_message(message)


def _server(settings: Settings) -> urllib.parse.SplitResult:
    if not settings.mail_server or not settings.mail_from:
        raise ConfigError("No mail can be sent: mail_server and mail_from are not set.", next_step=_EXAMPLE)
    try:
        server = urllib.parse.urlsplit(settings.mail_server)
        known = server.scheme in _PORTS and bool(server.hostname) and (server.port or 1) > 0
    except ValueError:
        known = False
    if not known:
        raise ConfigError("mail_server is no address of a mail server.", next_step=_EXAMPLE)
    return server
