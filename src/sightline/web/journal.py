"""The log: one JSON line a request on standard error, without bodies, queries or keys.

JSON escapes every control character and everything beyond ASCII, so a hostile path or name can neither
start a new line nor move a terminal's cursor.
"""

import json
import logging
import sys
import time
import traceback
from typing import Any, Final, TextIO

_TEXT_MAX: Final = 200


class Journal:
    """Writes events as JSON lines."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to ``stream``, or to standard error as it is at each line."""
        self._stream = stream

    def write(self, event: str, **fields: Any) -> None:
        """One line; texts are cut at 200 characters."""
        line: dict[str, Any] = {"time": round(time.time(), 3), "event": event}
        for name, value in fields.items():
            line[name] = value[:_TEXT_MAX] if isinstance(value, str) else value
        stream = self._stream or sys.stderr
        stream.write(json.dumps(line, separators=(",", ":"), default=str) + "\n")
        stream.flush()

    def failure(self, request_id: str, error: BaseException) -> None:
        """An exception that is a defect: the traceback goes here and never into an answer."""
        text = "".join(traceback.format_exception(error, limit=-12))
        line = {
            "time": round(time.time(), 3),
            "event": "failure",
            "request_id": request_id,
            "traceback": text,
        }
        stream = self._stream or sys.stderr
        stream.write(json.dumps(line, separators=(",", ":")) + "\n")
        stream.flush()


class JournalHandler(logging.Handler):
    """Lets libraries that use ``logging`` write the same JSON lines."""

    def __init__(self, journal: Journal) -> None:
        """Pass records on to ``journal``."""
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        """One record."""
        if record.exc_info and record.exc_info[1] is not None:
            self._journal.failure("", record.exc_info[1])
        else:
            self._journal.write(
                "log", level=record.levelname, logger=record.name, message=record.getMessage()
            )
