"""The page on an address, until it is interrupted."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emosphere_sb.demo_page.app import build, style
from emosphere_sb.demo_page.gradio_import import gradio
from emosphere_sb.demo_page.limits import Limits
from emosphere_sb.demo_page.privacy import PrivateHeaders
from emosphere_sb.demo_page.uploads import Uploads, upload_folder
from emosphere_sb.html import render
from emosphere_sb.inference.interface import EmoSphere

logger = logging.getLogger(__name__)

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
"""Of the reader's own machine: Gradio's themes ask a server of fonts otherwise."""


def serve(
    model: EmoSphere,
    limits: Limits,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    announce: Callable[[str], None] = logger.info,
) -> None:
    """Open the page and keep it open until Ctrl+C or SIGTERM.

    Arguments
    ---------
    model, limits
        See :func:`emosphere_sb.demo_page.app.build`.
    host, port
        See :func:`opened`.
    announce : callable
        Called with a line that names the address; logged by default.

    Raises
    ------
    OSError
        If the address cannot be listened on.
    """
    over = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: over.set())
    try:
        with opened(model, limits, host=host, port=port) as address:
            announce(f"The page is at {address} (Ctrl+C ends it).")
            over.wait()
    except KeyboardInterrupt:
        logger.info("Closed; uploads are removed.")
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def opened(
    model: EmoSphere, limits: Limits, *, host: str = "127.0.0.1", port: int | None = None
) -> Iterator[str]:
    """The page while the context lasts.

    Arguments
    ---------
    model, limits
        See :func:`emosphere_sb.demo_page.app.build`.
    host : str
        Address to listen on.
    port : int, optional
        The default is the first free one from 7860 on.

    Yields
    ------
    str
        Its address.

    Raises
    ------
    OSError
        If the address cannot be listened on.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells each request to itself
    with upload_folder() as folder:
        page = build(model, limits, Uploads(folder), host)
        try:
            yield _listen(page, limits, host, port)
        finally:
            page.close(verbose=False)


def _listen(page, limits: Limits, host: str, port: int | None) -> str:
    """Start to answer; the address."""
    try:
        socket.getaddrinfo(host, port)
    except OSError as error:  # Gradio would try a hundred ports on it
        raise OSError(f"There is no address {host!r} ({error}). Choose another --host.") from error
    theme = gradio().themes.Base(font=FONTS, font_mono=["ui-monospace", "monospace"])
    try:
        _, address, _ = page.launch(
            server_name=host, server_port=port, prevent_thread_lock=True, quiet=True,
            show_error=False, share=False, inbrowser=False, ssr_mode=False, pwa=False,
            mcp_server=False, enable_monitoring=False, run_history=False, footer_links=[],
            max_file_size=limits.max_bytes, css_paths=[style()], theme=theme,
            head=str(render("demo_page/head.html.jinja")),
            app_kwargs={"middleware": [_private_headers()]},
        )  # fmt: skip
    except OSError as error:
        raise OSError(
            f"The page cannot listen on {host}, port {port or '7860 to 7959'}: another program "
            f"does, or this machine has no such address. Choose another --port or --host."
        ) from error
    return address.rstrip("/")


def _private_headers():
    """The headers of :mod:`emosphere_sb.demo_page.privacy`, as Starlette takes them."""
    from starlette.middleware import Middleware

    return Middleware(PrivateHeaders)
