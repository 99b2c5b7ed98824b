"""Where a started process begins: read the order, become a supervisor or a child."""

import json
import logging
import signal
import sys
from typing import Any

from sightline.settings import Settings
from sightline.worker.kin import end_with


def main() -> None:
    """Read the order on standard input and carry it out."""
    order: dict[str, Any] = json.load(sys.stdin)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True)
    settings = Settings(**order["settings"])
    if order["role"] == "child":
        end_with(order["parent"], signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        from sightline.worker.child import Child, load  # noqa: PLC0415 - a supervisor needs none of it
        from sightline.worker.keeper import forked  # noqa: PLC0415

        load(settings, order["tasks"])
        if forked(order["orders"], order["line"]):
            Child(settings, order["tasks"], order["name"], order["line"]).run()
    else:
        end_with(order["parent"], signal.SIGTERM)
        from sightline.worker.main import work  # noqa: PLC0415 - a child needs none of it

        work(settings, slots=order["slots"], tasks=order["tasks"], idle_s=order["idle_s"])
