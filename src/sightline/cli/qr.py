"""A link as a square that phones read, for terminals. Only this module knows segno."""

import io
import sys


def square(link: str) -> str:
    """The QR code of a link in half blocks; empty where standard output is no terminal."""
    if not sys.stdout.isatty():
        return ""
    import segno  # noqa: PLC0415 - only when there is somebody to scan it

    text = io.StringIO()
    segno.make(link, error="m", micro=False).terminal(out=text, compact=True, border=2)
    return text.getvalue()
