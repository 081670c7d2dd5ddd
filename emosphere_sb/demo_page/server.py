"""Serve the page until it is interrupted."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emosphere_sb.demo_page.address import LOOPBACK
from emosphere_sb.demo_page.app import build_page, style_sheet
from emosphere_sb.demo_page.gradio_import import import_gradio
from emosphere_sb.demo_page.guard import RequestGuard
from emosphere_sb.demo_page.limits import Limits
from emosphere_sb.demo_page.privacy import PrivateHeaders
from emosphere_sb.demo_page.uploads import Uploads, upload_folder
from emosphere_sb.html import render
from emosphere_sb.inference.predictor import Predictor

logger = logging.getLogger(__name__)

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
"""System fonts; Gradio's themes would load fonts from another server."""


def serve(
    model: Predictor,
    limits: Limits,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    channel: str = "mix",
    announce: Callable[[str], None] = logger.info,
) -> None:
    """Serve the page until Ctrl+C or SIGTERM.

    Arguments
    ---------
    model, limits
        See :func:`emosphere_sb.demo_page.app.build_page`.
    host, port, channel
        See :func:`open_page`.
    announce : callable
        Function called with a message that contains the address. By default, the message is logged.

    Raises
    ------
    OSError
        If the server cannot listen on the address.
    """
    stopped = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        with open_page(model, limits, host=host, port=port, channel=channel) as address:
            announce(f"Page running at {address} (press Ctrl+C to stop).")
            stopped.wait()
    except KeyboardInterrupt:
        logger.info("Page closed; uploads have been deleted.")
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def open_page(
    model: Predictor,
    limits: Limits,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    channel: str = "mix",
) -> Iterator[str]:
    """Serve the page within a context.

    Arguments
    ---------
    model, limits
        See :func:`emosphere_sb.demo_page.app.build_page`.
    host : str
        Address to listen on.
    port : int, optional
        Port to listen on. The default is the first free port from 7860 upwards.
    channel : str
        Use of several channels; see :func:`emosphere_sb.demo_page.app.build_page`.

    Yields
    ------
    str
        URL of the page.

    Raises
    ------
    OSError
        If the server cannot listen on the address.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # logs Gradio's internal requests
    with upload_folder() as folder:
        uploads = Uploads(folder, limits.max_total_bytes)
        page = build_page(model, limits, uploads, host, channel)
        try:
            yield _listen(page, limits, host, port, uploads)
        finally:
            page.close(verbose=False)


def _listen(page, limits: Limits, host: str, port: int | None, uploads: Uploads) -> str:
    """Start the server and return its URL."""
    try:
        socket.getaddrinfo(host, port)
    except OSError as error:  # Gradio would try 100 ports
        raise OSError(f"Invalid --host {host!r} ({error}). Choose another one.") from error
    theme = import_gradio().themes.Base(font=FONTS, font_mono=["ui-monospace", "monospace"])
    try:
        _, address, _ = page.launch(
            server_name=host, server_port=port, prevent_thread_lock=True, quiet=True,
            show_error=False, share=False, inbrowser=False, ssr_mode=False, pwa=False,
            mcp_server=False, enable_monitoring=False, run_history=False, footer_links=[],
            max_file_size=limits.max_bytes, css_paths=[style_sheet()], theme=theme,
            head=str(render("demo_page/head.html.jinja")),
            app_kwargs={"middleware": _middleware(limits, host, uploads)},
        )  # fmt: skip
    except OSError as error:
        raise OSError(
            f"Cannot listen on {host}, port {port or '7860 to 7959'}: the port is in use, or the "
            f"address is not available. Choose another --port or --host."
        ) from error
    return address.rstrip("/")


def _middleware(limits: Limits, host: str, uploads: Uploads) -> list:
    """Return Starlette middleware: the headers of all answers, and the guard of all requests."""
    from starlette.middleware import Middleware

    guard = Middleware(
        RequestGuard, uploads=uploads, max_bytes=limits.max_bytes, local=host in LOOPBACK
    )
    return [Middleware(PrivateHeaders), guard]
