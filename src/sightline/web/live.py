"""One live connection: pictures come up as they are made, answers go down, and the newest picture wins.

There is room for one picture that waits. A newer one takes its place, and the place is all there is: a camera
that is faster than the model never builds up a line, so the delay stays that of one or two pictures. The
pictures take the same road as those of every other door, and wait in the same line there.
"""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from starlette.types import Message, Receive, Send

from sightline.errors import BadOption
from sightline.web.answer import Answer, Wish, answer
from sightline.web.intake import Upload
from sightline.web.live_options import LiveOptions, read_options
from sightline.web.problems import problem_of
from sightline.web.services import ClientGone, Services, Ticket

STOPPING: Final = 1012
"""Close code: the server stops (RFC 6455's registry: service restart)."""
IDLE: Final = 4408
"""Close code: no picture came for too long."""
BROKEN: Final = 1011
LEFT: Final = 1006
"""Not sent: the client left without a word."""
CAMERA: Final = "camera"
"""What rules call a camera that has no name of its own."""
_ENCODE: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@dataclass(slots=True)
class Frame:
    """One picture that arrived, with the options that held then."""

    data: bytes
    number: int
    wish: LiveOptions
    ticket: Ticket
    arrived: float = field(default_factory=time.perf_counter)


@dataclass(slots=True)
class Count:
    """What a connection did, for the log."""

    captures: int = 0
    answered: int = 0
    replaced: int = 0


class Slot:
    """Room for one picture."""

    def __init__(self, count: Count) -> None:
        """Empty; replaced pictures are counted in ``count``."""
        self._count = count
        self._frame: Frame | None = None
        self._closed = False
        self._filled = asyncio.Event()

    @property
    def empty(self) -> bool:
        """Whether no picture waits."""
        return self._frame is None

    def put(self, frame: Frame) -> None:
        """The newest picture; one that waits is forgotten."""
        if self._closed:
            frame.ticket.release()
            return
        if self._frame is not None:
            self._frame.ticket.release()
            self._count.replaced += 1
        self._frame = frame
        self._filled.set()

    async def take(self) -> Frame | None:
        """The picture that waits, as soon as one does; None once the slot is closed."""
        await self._filled.wait()
        frame, self._frame = self._frame, None
        if not self._closed:
            self._filled.clear()
        return frame

    def close(self) -> None:
        """Forget what waits, and take nothing more."""
        if self._frame is not None:
            self._frame.ticket.release()
            self._frame = None
        self._closed = True
        self._filled.set()


class Conversation:
    """A live connection from its acceptance to its end."""

    def __init__(self, services: Services, request_id: str, receive: Receive, send: Send) -> None:
        """Talk over ``receive`` and ``send``; the handshake is done."""
        self._services, self._id = services, request_id
        self._receive, self._send = receive, send
        self._gone = asyncio.Event()
        self._wish = LiveOptions()
        self._busy = False
        self._last = time.monotonic()
        self.count = Count()
        self._slot = Slot(self.count)

    async def run(self, ending: asyncio.Event) -> int:
        """Talk until the client leaves, falls silent, or ``ending`` is set; gives the close code."""
        listening = asyncio.create_task(self._listen())
        looking = asyncio.create_task(self._look())
        stopping = asyncio.create_task(self._until(ending))
        try:
            await asyncio.wait({listening, looking}, return_when=asyncio.FIRST_COMPLETED)
            return await self._close(listening if listening.done() else looking)
        finally:
            self._gone.set()
            self._slot.close()
            listening.cancel()
            stopping.cancel()
            await asyncio.gather(listening, looking, stopping, return_exceptions=True)

    async def _close(self, task: "asyncio.Task[int]") -> int:
        """Close in order, or as broken where the task failed."""
        error = task.exception()
        if isinstance(error, OSError | ClientGone):
            return LEFT
        if error is not None:
            self._services.journal.failure(self._id, error)
        code = BROKEN if error else task.result()
        words = {
            BROKEN: "The server failed; its log has the details.",
            STOPPING: "The server is stopping.",
            IDLE: f"No picture came for {self._services.settings.receive_s:g} s.",
        }
        if code in words:
            with contextlib.suppress(OSError):
                await self._send({"type": "websocket.close", "code": code, "reason": words[code]})
        return code

    async def _listen(self) -> int:
        """Take what comes; the code with which it ended."""
        patience = self._services.settings.receive_s
        while True:
            try:
                async with asyncio.timeout(patience):
                    message = await self._receive()
            except TimeoutError:
                if not self._busy and self._slot.empty and time.monotonic() - self._last >= patience:
                    return IDLE
                continue
            if message["type"] == "websocket.disconnect":
                self._gone.set()
                return int(message.get("code") or 1005)
            self._last = time.monotonic()
            await self._told(message)

    async def _told(self, message: Message) -> None:
        """What a message is refused for goes back in its own words."""
        try:
            await self._took(message)
        except OSError:
            pass  # the client is leaving: the next message says so
        except Exception as error:  # noqa: BLE001 - each message is answered for itself
            picture = message.get("bytes") is not None
            with contextlib.suppress(OSError):
                await self._refuse(error, self.count.captures if picture else None)

    async def _took(self, message: Message) -> None:
        data = message.get("bytes")
        if data is None:
            self._wish = read_options(message.get("text") or "")
            await self._say({"type": "options", "keep": self._wish.options.store})
            return
        self.count.captures += 1
        if not data:
            raise BadOption("The message is empty; it should be the bytes of a picture.")
        ticket = Ticket(self._services)
        try:
            ticket.hold(len(data))
        except Exception:
            ticket.release()
            raise
        self._slot.put(Frame(data, self.count.captures, self._wish, ticket))

    async def _look(self) -> int:
        """Answer pictures, one after the other, until the server stops."""
        while (frame := await self._slot.take()) is not None:
            self._busy = True
            try:
                await self._answer(frame)
            finally:
                frame.ticket.release()
                self._busy, self._last = False, time.monotonic()
        return STOPPING

    async def _answer(self, frame: Frame) -> None:
        begun = time.perf_counter()
        try:
            with self._services.road.enter() as call:
                upload = Upload(frame.data, frame.wish.source)
                options = replace(frame.wish.options, capture=frame.wish.source or CAMERA)
                work = partial(answer, self._services, upload, Wish(options), call)
                (outcome,) = await self._services.run(self._leaving, [work], call)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - a picture that fails does not end the connection
            outcome = error
        if isinstance(outcome, Exception):
            await self._refuse(outcome, frame.number)
            return
        self.count.answered += 1
        await self._say(self._result(frame, begun, outcome))

    def _result(self, frame: Frame, begun: float, outcome: Answer) -> dict[str, Any]:
        now = time.perf_counter()
        return {
            "type": "result",
            "capture": frame.number,
            "replaced": self.count.replaced,
            "wait_ms": round(1e3 * (begun - frame.arrived), 2),
            "work_ms": round(1e3 * (now - begun), 2),
            "kept": frame.wish.options.store,
            "alerts": outcome.body.pop("alerts", []),
            "result": outcome.body,
        }

    async def _refuse(self, error: Exception, number: int | None) -> None:
        problem = problem_of(error, self._id)
        if problem.status == 500:
            self._services.journal.failure(self._id, error)
        self._services.metrics.refused(str(problem.body["code"]))
        retry = problem.headers.get("retry-after")
        more = {"retry_after_s": int(retry)} if retry else {}
        await self._say({"type": "problem", "capture": number, "problem": problem.body} | more)

    async def _say(self, body: dict[str, Any]) -> None:
        await self._send({"type": "websocket.send", "text": _ENCODE(body)})

    async def _leaving(self) -> Message:
        """As ASGI says of an HTTP client that it has left."""
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _until(self, ending: asyncio.Event) -> None:
        """When the server stops, what is at hand is finished and nothing else is begun."""
        await ending.wait()
        self._slot.close()
