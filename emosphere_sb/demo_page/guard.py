"""Reject requests of other sites and uploads that stop, and limit the size of all uploads.

A page on another site can send requests to a server on this machine through the visitor's browser,
and can even read the answers if its own name is made to point here (DNS rebinding). The browser
reveals both: the header Host has the name in the address bar, and Origin that of the other site. A
request for an image or a script has no Origin, but Sec-Fetch-Site (W3C Fetch Metadata) shows that
another site sent it. A link to this page is allowed: its mode is ``navigate``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from emosphere_sb.demo_page.address import LOOPBACK
from emosphere_sb.demo_page.body_timeout import TimedBody
from emosphere_sb.demo_page.limits import FORM_BYTES
from emosphere_sb.demo_page.uploads import Uploads

UPLOAD_PATHS = ("/gradio_api/upload", "/upload")
"""Paths that receive files; all other requests are small."""
MAX_REQUEST_BYTES = 1 << 20
"""Maximum size of requests other than uploads."""


def host_name(authority: str) -> str:
    """Return the name of a host without its port, or an empty string if it is invalid.

    Example
    -------
    >>> [host_name(text) for text in ("localhost:7860", "[::1]:7860", "a@127.0.0.1", "x:y:z")]
    ['localhost', '::1', '', '']
    """
    try:
        parts = urlsplit(f"//{authority}")
        _ = parts.port  # raises ValueError if it is not a number
    except ValueError:
        return ""
    plain = parts.netloc == authority and "@" not in authority
    return (parts.hostname or "") if plain else ""


def is_own_request(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a request comes from a page of this server.

    Arguments
    ---------
    headers : iterable of (bytes, bytes)
        Headers of the request, with names in lower case.

    Example
    -------
    >>> is_own_request([(b"host", b"127.0.0.1:7860"), (b"origin", b"http://127.0.0.1:7860")])
    True
    >>> is_own_request([(b"host", b"127.0.0.1:7860"), (b"origin", b"https://example.org")])
    False
    >>> is_own_request([(b"host", b"127.0.0.1:7860"), (b"sec-fetch-site", b"cross-site")])
    False
    """
    values = {b"host": [], b"origin": [], b"sec-fetch-site": [], b"sec-fetch-mode": []}
    for name, value in headers:
        if name in values:
            values[name].append(value.decode("latin-1"))
    hosts, origins, sites, modes = values.values()
    if len(hosts) != 1 or host_name(hosts[0]) not in LOOPBACK:
        return False
    if "cross-site" in map(str.casefold, sites) and list(map(str.casefold, modes)) != ["navigate"]:
        return False
    allowed = {f"http://{hosts[0]}".casefold(), f"https://{hosts[0]}".casefold()}
    return all(origin.casefold() in allowed for origin in origins)


class RequestGuard:
    """ASGI middleware that rejects foreign and oversized requests.

    Arguments
    ---------
    app : callable
        Wrapped ASGI application.
    uploads : Uploads
        Manager of the upload folder, which makes room for new uploads.
    max_bytes : int
        Maximum size of an uploaded file.
    local : bool
        Whether the server listens on a loopback address only. Otherwise, the names under which it
        is reached are unknown and not checked.
    """

    def __init__(self, app: Any, uploads: Uploads, max_bytes: int, local: bool = True) -> None:
        self.app, self.uploads, self.local = app, uploads, local
        self.max_upload = max_bytes + FORM_BYTES

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        """Handle a request."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
        elif self.local and not is_own_request(scope["headers"]):
            await _refuse(scope, send, 403, "Requests from other sites are refused.")
        elif scope["type"] == "websocket" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
        else:
            await self._limited(scope, receive, send)

    async def _limited(self, scope: dict, receive: Any, send: Any) -> None:
        is_upload = scope["path"].rstrip("/") in UPLOAD_PATHS
        limit = self.max_upload if is_upload else MAX_REQUEST_BYTES
        size = _content_length(scope["headers"])
        if size is None:  # in chunks: browsers always send the length
            await _refuse(scope, send, 411, "The request must have a length.")
        elif size > limit:
            await _refuse(scope, send, 413, "The request is larger than the maximum allowed size.")
        elif not is_upload:
            await self.app(scope, receive, send)
        elif not self.uploads.reserve(size):
            await _refuse(scope, send, 503, "Too many uploads at the same time. Try again.")
        else:
            body = TimedBody(receive, send)
            try:
                await self.app(scope, body.receive, body.send)
            except Exception:
                if not body.expired:
                    raise
            finally:
                self.uploads.release(size)
            if body.expired and not body.answered:
                await _refuse(scope, send, 408, "The upload stopped. Try again.")


def _content_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Return the length of a request; None if it is unknown. The server enforces it."""
    values = {value for name, value in headers if name == b"content-length"}
    chunked = any(name == b"transfer-encoding" for name, _ in headers)
    if chunked or len(values) != 1:
        return None
    text = values.pop().decode("latin-1")
    return int(text) if text.isascii() and text.isdigit() else None


async def _refuse(scope: dict, send: Any, status: int, text: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = text.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
