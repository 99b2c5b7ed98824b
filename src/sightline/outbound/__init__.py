"""The only door out: every connection that Sightline opens to somewhere else starts here.

- ``safe_fetch``: a picture from an address that a stranger gave;
- ``open_stream``: a large file from an address that the operator or the catalogue gave;
- ``safe_post``: a small message to an address that somebody gave (webhooks);
- ``mail``: e-mail through the operator's own server, which is asked for nothing else.

The first three resolve a name once, demand that every address it has is public, connect to exactly that
address while keeping the name for ``Host`` and the certificate, check each redirect like a new
address, use no proxy from the environment, and ask for no compression.
"""

from sightline.outbound.fetch import Fetched, Stream, open_stream, safe_fetch

__all__ = ["Fetched", "Stream", "open_stream", "safe_fetch"]
