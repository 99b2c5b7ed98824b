"""One attempt at one action: what is sent, and what came back."""

import json
import logging
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sightline.errors import BadOption, SightlineError
from sightline.outbound.mail import send_mail
from sightline.outbound.post import safe_post
from sightline.rules import signing
from sightline.settings import Settings
from sightline.storage.rule_kept import Action, Delivery

COMMAND_S: Final = 30.0
_KEPT_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
_GONE: Final = 410
"""A receiver that says so wants nothing more: trying again would be rude."""

UNSEEN_S: Final = 60.0
"""A notification waits so long for a page. Later it is no news, and the rule's other actions have told it."""
SHOWN: Final = "handed to the page that took the capture"
OFFERED: Final = "waits for an open page"
HANDED: Final = "handed to an open page"
UNSEEN: Final = "Nobody could see it: no page with notifications on was open."
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """How it went. ``final``: trying again is of no use."""

    done: bool
    status: int | None
    answer: str
    final: bool = False


def act(one: Delivery, action: Action, secret: str, settings: Settings) -> Attempt:
    """Try once. Nothing is raised: whatever goes wrong is how it went, and what nobody foresaw is final."""
    try:
        match action.kind:
            case "webhook":
                return _post(one, action, secret, settings)
            case "email":
                send_mail(action.to, subject(one.payload), letter(one.payload), settings)
                return Attempt(done=True, status=None, answer="taken by the mail server")
            case "command":
                return _run(one, action)
            case "log":
                return Attempt(done=True, status=None, answer="")
            case "browser":  # it is due when no page has taken it: later is of no use
                return Attempt(done=False, status=None, answer=UNSEEN, final=True)
    except SightlineError as error:
        final = isinstance(error, BadOption)
        return Attempt(done=False, status=None, answer=error.message, final=final)
    except Exception as error:  # noqa: BLE001 - the next delivery must not wait for ever for this one
        _log.exception("The delivery %s of the rule %s broke.", one.id, one.rule)
        words = f"It broke: {type(error).__name__}. The log of the process that tried has more."
        return Attempt(done=False, status=None, answer=words, final=True)


def body_of(one: Delivery) -> bytes:
    """The message: the same bytes at every attempt, so that a receiver can tell a repetition."""
    return json.dumps(dict(one.payload), ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def target_of(action: Action) -> str:
    """Where an action goes, for people."""
    words = shlex.join(action.argv) if action.kind == "command" else action.to
    return words.replace("\x00", " ")  # databases do not keep it


def subject(payload: Mapping[str, Any]) -> str:
    """One line for people."""
    data = payload["data"]
    return f"Sightline: {data['what']} at {data['source'] or 'a picture'} ({data['rule']['name']})"


def letter(payload: Mapping[str, Any]) -> str:
    """The same in a few lines."""
    data = payload["data"]
    lines = [
        f"{data['what']} scored {data['score']:.2f}.",
        f"Rule: {data['rule']['name']}",
        f"Source: {data['source'] or 'unknown'}",
        f"Time: {payload['timestamp']}",
        f"Model: {data['model']['name']}@{data['model']['version']}" if data.get("model") else "",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _post(one: Delivery, action: Action, secret: str, settings: Settings) -> Attempt:
    body = body_of(one)
    sent = {"Content-Type": "application/json"} | signing.headers(secret, one.id, time.time(), body)
    back = safe_post(action.to, body, sent, settings)
    done = 200 <= back.status < 300
    return Attempt(done=done, status=back.status, answer=back.answer, final=back.status == _GONE)


def _run(one: Delivery, action: Action) -> Attempt:
    """The command in a process group of its own, which is killed when its time is over."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    try:
        child = subprocess.Popen(  # noqa: S603 - argv of the operator, never over HTTP, no shell
            action.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=kept,
            start_new_session=True,
        )
    except OSError as error:
        return Attempt(
            done=False, status=None, answer=f"It could not be started: {error.strerror}.", final=True
        )
    with child:
        try:
            told, _ = child.communicate(body_of(one), timeout=COMMAND_S)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            words = f"It ran for more than {COMMAND_S:.0f} s and was ended."
            return Attempt(done=False, status=None, answer=words)
    return Attempt(
        done=child.returncode == 0, status=child.returncode, answer=told.decode("utf-8", "replace")
    )
