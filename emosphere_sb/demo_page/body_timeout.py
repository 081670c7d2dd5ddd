"""Stop receiving an upload from which no more bytes arrive.

Room is reserved for each upload. Without a limit, a few slow connections could keep all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

IDLE_SECONDS = 30.0
"""Longest time without a byte of the body, in seconds."""

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class TimedBody:
    """Receive the body of a request, and stop if no bytes arrive for :data:`IDLE_SECONDS`.

    Pass :meth:`receive` and :meth:`send` to the application. After a timeout, its answer is
    discarded, because the caller answers the request.

    Arguments
    ---------
    receive, send : callable
        Functions of the ASGI connection.

    Attributes
    ----------
    expired : bool
        Whether no bytes arrived in time.
    answered : bool
        Whether the application has answered.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self.expired = self.answered = self._complete = False
        self._receive, self._send = receive, send

    async def receive(self) -> dict[str, Any]:
        """Return the next message.

        Raises
        ------
        starlette.formparsers.MultiPartException
            If no bytes arrive in time. Gradio deletes the incomplete file after this error.
        """
        if self._complete:  # the application waits for the end of the connection
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), IDLE_SECONDS)
        except asyncio.TimeoutError:
            # Imported here, because it is installed with the extra "page" only.
            from starlette.formparsers import MultiPartException

            self.expired = True
            raise MultiPartException("No more bytes of the upload arrived.") from None
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message of the application, unless the time is over."""
        if not self.expired:
            self.answered = True
            await self._send(message)
