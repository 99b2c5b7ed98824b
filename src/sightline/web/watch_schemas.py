"""The JSON of watches over HTTP as types; OpenAPI is made from them."""

import re
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sightline.manifest import SIDE_MAX
from sightline.web.intake import UNPRINTABLE
from sightline.web.schemas import Body

_SOURCE: Final = re.compile(r"^((rtsps?|https?)://\S+|/dev/video[0-9]{1,3}|[0-9]{1,3})$")


def camera(source: str) -> str:
    """The same, where a request may name such a thing at all.

    Raises:
        ValueError: It is no address of a camera.
    """
    if not _SOURCE.match(source):
        msg = (
            "this is no address of a camera; one looks like rtsp://camera.lan/stream1 or "
            "http://camera.lan/video.mjpg, and a camera of the server's machine like /dev/video0"
        )
        raise ValueError(msg)
    return source


class WatchWish(BaseModel):
    """A camera that the server shall watch. Private addresses and devices must be listed in `fetch_allow`."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(
        max_length=2000,
        json_schema_extra={"pattern": _SOURCE.pattern},
        description="rtsp://… or http://… (MJPEG or JPEG), or a camera of the server's machine.",
    )
    name: str = Field(default="", max_length=200, description="For people and rules; empty: its address.")
    every_s: float = Field(default=10.0, ge=0, le=86_400, description="0: as fast as answers come.")
    motion: bool = Field(default=False, description="Look only when something has changed.")
    store: bool = Field(default=False, description="Keep pictures and answers in the history.")
    model: str | None = Field(default=None, max_length=200)
    min_score: float | None = Field(default=None, ge=0, le=1)
    labels: list[str] | None = Field(default=None, min_length=1, max_length=1000)
    size: int | None = Field(default=None, ge=1, le=SIDE_MAX)

    @model_validator(mode="before")
    @classmethod
    def _every_is_in_seconds(cls, given: Any) -> Any:
        """The command line has `--every`, so that is what people try here."""
        if isinstance(given, dict) and "every" in given:
            msg = "there is no field `every`; it is `every_s`, a number of seconds"
            raise ValueError(msg)
        return given

    @field_validator("name")
    @classmethod
    def _is_printable(cls, name: str) -> str:
        """Not every database takes NUL, and other signs turn lines around."""
        return UNPRINTABLE.sub("", name)

    @field_validator("source")
    @classmethod
    def _is_camera(cls, source: str) -> str:
        return camera(source)


class WatchChange(WatchWish):
    """What a watch shall be from now on; a field that is left out is as of a new one, but for the source."""

    source: str = Field(
        default="",
        max_length=2000,
        json_schema_extra={"pattern": f"^$|{_SOURCE.pattern}"},
        description="Empty: as it was, with its name and password.",
    )

    @field_validator("source")
    @classmethod
    def _is_camera(cls, source: str) -> str:
        return camera(source) if source else source


class WatchErrorBody(Body):
    """What went wrong last."""

    code: str
    message: str
    next_step: str


class WatchBody(Body):
    """A watch, and how it is doing."""

    id: str
    name: str
    source: str = Field(description="Without name, password and query.")
    every_s: float
    motion: bool
    store: bool
    model: str | None = Field(description="As it was wished for; null: the server's default.")
    min_score: float | None
    labels: list[str] | None
    size: int | None
    state: Literal["starting", "watching", "lost", "ended"] = Field(
        description="`lost`: it is tried again. `ended`: it is not, until the server starts again."
    )
    answers: int = Field(ge=0, description="Since the server started.")
    seen: str | None = Field(description="When the last picture was taken; null: none was.")
    result: str | None = Field(description="Id of the last answer; a stored result's too.")
    counts: dict[str, int] = Field(description="How many of each label in the last answer.")
    verdict: str | None = Field(description="Of a pipeline: what it says about the last picture.")
    verdict_title: str | None = Field(description="The verdict in words.")
    error: WatchErrorBody | None
    picture: str | None = Field(description="Address of the last picture with everything drawn on it.")


class WatchListBody(Body):
    """All watches, the oldest first."""

    watches: list[WatchBody]
