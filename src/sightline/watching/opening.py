"""A source -> an eye that is open. Which reader takes it is decided here, once."""

from collections.abc import Callable
from typing import TypeAlias

from sightline.outbound.address import allow_list
from sightline.settings import Settings
from sightline.watching.capture import Capture
from sightline.watching.http_camera import HttpCamera, typed
from sightline.watching.shot import Eye
from sightline.watching.source import Source

Opener: TypeAlias = Callable[[Source, float], Eye]
"""Takes the source and the pace: of a file, seconds of the video between two frames that are wanted (0:
all)."""


def for_this_terminal(settings: Settings) -> Opener:
    """Opens whatever the person at this machine typed, on the local network too."""

    def opened(source: Source, pace_s: float) -> Eye:
        if source.kind == "http":
            return HttpCamera(source, settings, typed(source) | allow_list(settings.fetch_allow))
        return Capture(source, settings, pace_s)

    return opened
