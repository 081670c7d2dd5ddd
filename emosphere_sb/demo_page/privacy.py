"""A header that forbids the page to ask another host for anything, whatever Gradio puts in it."""

from __future__ import annotations

from typing import Any

POLICY = "; ".join(
    (
        "default-src 'self'",
        # Gradio's pages hold scripts and styles in their text, and build templates from strings.
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
NOT_KEPT = "/gradio_api/"
"""Paths under this are recordings and results, which no browser shall keep."""


class PrivateHeaders:
    """ASGI middleware that puts :data:`HEADERS` on every answer, streams among them.

    Arguments
    ---------
    app : callable
        The ASGI application behind it.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        """Answer a request."""

        async def with_headers(message: dict) -> None:
            if message["type"] == "http.response.start":
                wanted = dict(HEADERS)
                if scope["path"].startswith(NOT_KEPT):
                    wanted["cache-control"] = "no-store"
                kept = [pair for pair in message["headers"] if pair[0].decode() not in wanted]
                own = [(name.encode(), value.encode()) for name, value in wanted.items()]
                message = {**message, "headers": [*kept, *own]}
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)
