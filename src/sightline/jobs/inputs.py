"""What a job of pictures says in its payload: who is to look, with which wishes, and at what.

The page, HTTP and the command line write it; workers read it. Pictures and addresses are a list in a blob
of its own, so that the row of a job of 10,000 pictures stays as small as any other.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sightline.errors import presentable
from sightline.jobs.version import VERSION, check_version
from sightline.types import Ask

PREDICT: Final = "predict"
"""The kind of such a job."""
LIST_TYPE: Final = "application/json"
"""Media type of a list's blob."""
_LISTED: Final = 2
"""Of several sources, those that a job is called by."""

Type = Literal["pictures", "urls", "prefix", "files"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where the pictures are.

    ``pictures``: blobs; ``list`` is the digest of a blob that holds ``[[digest, name], …]``;
    what is named ``….zip`` stands for the pictures in it.
    ``urls``: ``list`` is the digest of a blob that holds ``["https://…", …]``.
    ``prefix``: ``place`` is ``s3://bucket/folder/``; the worker lists it.
    ``files``: ``list`` is the digest of a blob that holds ``["word", …]``: files, folders, globs and zips of
    this machine, addresses and prefixes. Never from HTTP.
    """

    type: Type
    list: str = ""
    count: int = 0
    """How many, where that is known when the job is submitted."""
    place: str = ""
    name: str = ""
    """For people, to tell jobs apart: a file, folder, zip or address; never a whole path of this machine."""

    def to_json(self) -> dict[str, Any]:
        """What the payload holds."""
        found: dict[str, Any] = {"type": self.type}
        if self.list:
            found |= {"list": self.list, "count": self.count}
        more = {"place": self.place, "name": self.name}
        return found | {name: value for name, value in more.items() if value}


@dataclass(frozen=True, slots=True)
class PredictOrder:
    """The payload of a `PREDICT` job."""

    inputs: Inputs
    model: str | None = None
    ask: Ask = field(default_factory=Ask)

    def to_json(self) -> dict[str, Any]:
        """The payload."""
        labels = sorted(self.ask.labels) if self.ask.labels is not None else None
        return {
            "version": VERSION,
            "model": self.model,
            "ask": {
                "min_score": self.ask.min_score,
                "max_results": self.ask.max_results,
                "labels": labels,
                "size": self.ask.size,
            },
            "inputs": self.inputs.to_json(),
        }

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> "PredictOrder":
        """Read a payload.

        Raises:
            ConfigError: It was written by another version.
        """
        check_version(payload)
        ask, inputs = payload["ask"], payload["inputs"]
        labels = frozenset(ask["labels"]) if ask["labels"] is not None else None
        return cls(
            Inputs(**inputs),
            payload["model"],
            Ask(ask["min_score"], ask["max_results"], labels, ask["size"]),
        )


def shared_name(names: Sequence[str]) -> str:
    """What files are called together: the folder that they share, else the first of the folders and files."""
    if len(names) == 1:
        return presentable(names[0].rpartition("/")[2][:200])
    return listed_name(list(dict.fromkeys(name.partition("/")[0] for name in names)))


def listed_name(names: Sequence[str]) -> str:
    """One name, or the first two of several: ``0.jpg, 1.jpg, …``."""
    if len(names) < _LISTED:
        return presentable(names[0][:200]) if names else ""
    first = presentable(", ".join(name[:90] for name in names[:_LISTED]))
    return f"{first}, …" if len(names) > _LISTED else first


def pictures_blob(pictures: Sequence[tuple[str, str]]) -> bytes:
    """(digest, name) of each picture, as the blob of a list."""
    return json.dumps([list(pair) for pair in pictures], separators=(",", ":")).encode()


def urls_blob(urls: Sequence[str]) -> bytes:
    """Addresses, as the blob of a list."""
    return json.dumps(list(urls), separators=(",", ":")).encode()


def read_pictures(data: bytes) -> list[tuple[str, str]]:
    """What `pictures_blob` wrote."""
    return [(str(digest), str(name)) for digest, name in json.loads(data)]


def read_urls(data: bytes) -> list[str]:
    """What `urls_blob` wrote."""
    return [str(url) for url in json.loads(data)]
