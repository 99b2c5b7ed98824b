"""asyncio's event loop, with a farewell of TLS that does not keep the server from leaving.

uvloop is a little faster, but under overload it starves new connections.
"""

import asyncio
from typing import Any, Final

_FAREWELL_S: Final = 1.0
"""asyncio would wait 30 s for a client that is connected, idle, and does not read that the server closes."""


class EventLoop(asyncio.SelectorEventLoop):
    """What uvicorn runs in; it has no setting for this."""

    async def create_server(self, *words: Any, **more: Any) -> asyncio.Server:
        """As asyncio's."""
        if more.get("ssl") is not None:
            more["ssl_shutdown_timeout"] = _FAREWELL_S
        return await super().create_server(*words, **more)
