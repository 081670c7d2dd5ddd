"""Gradio page: its components, and the handlers for recordings and uploads."""

# No `from __future__ import annotations`: Gradio reads the annotations of inner functions.

import logging
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.demo_page.address import LOOPBACK, exposure_warning
from emosphere_sb.demo_page.analysis import analyse
from emosphere_sb.demo_page.gradio_import import import_gradio
from emosphere_sb.demo_page.limits import Limits
from emosphere_sb.demo_page.result_html import alert_view, empty_view, result_view
from emosphere_sb.demo_page.uploads import Uploads
from emosphere_sb.html import render
from emosphere_sb.inference.predictor import Predictor
from emosphere_sb.release.model import ModelInfo

logger = logging.getLogger(__name__)

TITLE = "EmoSphere: valence, arousal and dominance from speech"
MAX_QUEUE = 16
"""Maximum number of waiting recordings; further ones are rejected with a message."""
UPLOAD_CLEANUP = (600, 3600)
"""Interval at which old uploads are deleted, and their maximum age, in seconds."""


def build_page(
    model: Predictor,
    limits: Limits,
    uploads: Uploads,
    host: str = "127.0.0.1",
    channel: str = "mix",
) -> Any:
    """Build the page without starting the server.

    Arguments
    ---------
    model : Predictor
        Model that predicts recordings, one at a time.
    limits : Limits
        Limits for recordings.
    uploads : Uploads
        Manager that deletes uploads.
    host : str
        Address the server will listen on. The page shows a warning unless it is a loopback address.
    channel : str
        Use of several channels: ``mix``, ``left``, ``right`` or ``loudest``.

    Returns
    -------
    gradio.Blocks
        Page with a queue for 16 recordings.

    Raises
    ------
    ImportError
        If Gradio is not installed.
    """
    gr = import_gradio()

    def analyse_upload(
        path: str | None,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008  required by Gradio
    ) -> dict[str, Any]:
        if path is None:
            uploads.close(request.session_hash)
            return empty_view()
        uploads.show(request.session_hash, path)
        return respond(
            model,
            limits,
            path,
            lambda share: progress(share, desc="Analysing"),
            channel=channel,
        )

    def close_session(request: gr.Request) -> None:
        uploads.close(request.session_hash)

    with gr.Blocks(analytics_enabled=False, title=TITLE, delete_cache=UPLOAD_CLEANUP) as page:
        gr.HTML(page_heading(model.info, limits, host), elem_id="em-head", apply_default_css=False)
        recording = gr.Audio(
            sources=["upload", "microphone"], type="filepath", editable=False, buttons=[],
            label="Recording", elem_id="em-audio",
        )  # fmt: skip
        shown = gr.HTML(
            empty_view(), html_template="${value.html}", js_on_load=sphere_script(),
            elem_id="em-result", apply_default_css=False,
        )  # fmt: skip
        recording.change(
            analyse_upload, recording, shown, api_visibility="private", trigger_mode="always_last"
        )
        page.unload(close_session)
    return page.queue(max_size=MAX_QUEUE, default_concurrency_limit=1)


def respond(
    model: Predictor,
    limits: Limits,
    path: str,
    progress=lambda share: None,
    *,
    channel: str = "mix",
) -> dict:
    """Analyse an upload and return the result or an error message for the page.

    Arguments
    ---------
    model, limits
        See :func:`build_page`.
    path : str
        Path of the upload.
    progress : callable
        Function called with the completed fraction.
    channel : str
        See :func:`build_page`.

    Returns
    -------
    dict
        Content of the page (see :func:`emosphere_sb.demo_page.result_html.result_view`).
    """
    try:
        limits.check(path)
        return result_view(analyse(model, path, channel=channel, progress=progress), model.info)
    except (AudioError, ValueError) as error:
        # Show the file name only; the upload folder is internal.
        return alert_view(str(error).replace(path, os.path.basename(path)))
    except Exception as error:
        # Keep the page running, and log the traceback in the terminal.
        logger.exception("Analysis of %s failed", path)
        return alert_view(
            f"Internal error ({type(error).__name__}). For details, see the terminal in which the "
            f"page was started."
        )


def page_heading(about: ModelInfo, limits: Limits, host: str) -> str:
    """Render the heading: model, licence, SYNTHETIC label, and handling of recordings."""
    warning = "" if host in LOOPBACK else exposure_warning(host)
    view = {"title": TITLE, "about": about, "limits": limits, "warning": warning}
    return str(render("demo_page/heading.html.jinja", **view))


def sphere_script() -> str:
    """Return the JavaScript that draws the sphere; Gradio runs it when a result is shown."""
    return files(__package__).joinpath("sphere.js").read_text(encoding="utf-8")


def style_sheet() -> Path:
    """Return the path of the style sheet."""
    return Path(str(files(__package__).joinpath("page.css")))
