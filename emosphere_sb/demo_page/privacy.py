"""HTTP headers that keep the page from contacting other hosts, regardless of Gradio's content."""

from __future__ import annotations

from typing import Any

POLICY = "; ".join(
    (
        "default-src 'self'",
        # Gradio uses inline scripts and styles, and builds templates from strings.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy, level 3 (W3C)."""

HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
NO_STORE_PREFIX = "/gradio_api/"
"""Prefix of the paths of recordings and results, which browsers must not cache."""


class PrivateHeaders:
    """ASGI middleware that adds :data:`HEADERS` to each response, including streams.

    Arguments
    ---------
    app : callable
        Wrapped ASGI application.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        """Handle a request."""

        async def with_headers(message: dict) -> None:
            if message["type"] == "http.response.start":
                wanted = dict(HEADERS)
                if scope["path"].startswith(NO_STORE_PREFIX):
                    wanted["cache-control"] = "no-store"
                others = [pair for pair in message["headers"] if pair[0].decode() not in wanted]
                added = [(name.encode(), value.encode()) for name, value in wanted.items()]
                message = {**message, "headers": [*others, *added]}
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)
