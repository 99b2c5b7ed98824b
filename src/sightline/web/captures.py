"""Pictures of a camera in somebody's browser: each is looked at, and the rules are told."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sightline.errors import SightlineError
from sightline.serving.call import Call
from sightline.web.answer import Answer, Wish, answer
from sightline.web.intake import Upload
from sightline.web.services import Services

if TYPE_CHECKING:
    from sightline.rules import Alert

CAMERA = "camera"
"""What a capture without a name of its own comes from, for rules."""


@dataclass(frozen=True, slots=True)
class Capture:
    """The answer about one picture, and the rules that it made fire."""

    answer: Answer
    alerts: tuple["Alert", ...] = ()


def captured(services: Services, upload: Upload, wish: Wish, call: Call) -> Capture:
    """Look at one picture of a camera. That its rules cannot be followed is no reason to answer nothing.

    Raises:
        SightlineError: Whatever the road or the store has against the picture.
    """
    found = answer(services, upload, wish, call)
    if found.result is None or not services.has_results:
        return Capture(found)
    try:
        return Capture(found, services.rules.seen(upload.source or CAMERA, found.result))
    except SightlineError as error:
        services.journal.write("rules", problem=error.code, detail=error.message)
        return Capture(found)
