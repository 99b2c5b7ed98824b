"""How long a large body may take: as long as it keeps coming at a modem's speed.

A prediction has seconds to arrive. A folder of pictures may take an hour, but only as bytes: a client that
sends one a second is cut off after the same seconds as everywhere else.
"""

import re
from typing import Final

SLOWEST_BYTES_S: Final = 16 * 1024
"""Bytes a second that a large body must reach on average, after the first ``receive_s``."""
_LARGE: Final = re.compile(rb"/api/v1/(jobs|uploads)(\?|$)")


def is_large(method: bytes, url: bytes) -> bool:
    """Whether a request's body may be as large as `job_upload_mb`."""
    return method == b"POST" and _LARGE.match(url) is not None


def allowed_s(receive_s: float, received: int) -> float:
    """Seconds from its beginning that a body may have taken when so many bytes have come."""
    return receive_s + received / SLOWEST_BYTES_S
