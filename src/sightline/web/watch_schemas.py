"""The JSON of watches over HTTP as types; OpenAPI is made from them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sightline.manifest import SIDE_MAX
from sightline.web.schemas import Body


class WatchWish(BaseModel):
    """A camera that the server shall watch. Private addresses and devices must be listed in `fetch_allow`."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(
        max_length=2000,
        pattern=r"^((rtsps?|https?)://\S+|/dev/video[0-9]{1,3}|[0-9]{1,3})$",
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
    model: str | None
    state: Literal["starting", "watching", "lost", "ended"] = Field(
        description="`lost`: it is tried again. `ended`: it is not, until the server starts again."
    )
    answers: int = Field(ge=0, description="Since the server started.")
    seen: str | None = Field(description="When the last picture was taken; null: none was.")
    result: str | None = Field(description="Id of the last answer; a stored result's too.")
    counts: dict[str, int] = Field(description="How many of each label in the last answer.")
    error: WatchErrorBody | None
    picture: str | None = Field(description="Address of the last picture with everything drawn on it.")


class WatchListBody(Body):
    """All watches, the oldest first."""

    watches: list[WatchBody]
