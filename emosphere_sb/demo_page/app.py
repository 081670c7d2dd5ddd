"""The page: what it is made of, and what happens when something is recorded or dropped."""

# Annotations are values here, not strings: Gradio reads those of functions inside functions.

import logging
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from emosphere_sb.audio.errors import AudioError
from emosphere_sb.demo_page.address import LOOPBACK, exposure
from emosphere_sb.demo_page.analysis import read
from emosphere_sb.demo_page.gradio_import import gradio
from emosphere_sb.demo_page.limits import Limits
from emosphere_sb.demo_page.result_html import alert, nothing, result
from emosphere_sb.demo_page.uploads import Uploads
from emosphere_sb.html import render
from emosphere_sb.inference.interface import EmoSphere
from emosphere_sb.release.model import About

logger = logging.getLogger(__name__)

TITLE = "EmoSphere: valence, arousal and dominance from speech"
WAITING = 16
"""Recordings that may wait; more are turned away with a message."""
KEPT = (600, 3600)
"""Seconds: how often old uploads are looked for, and how old they may become."""


def build(model: EmoSphere, limits: Limits, uploads: Uploads, host: str = "127.0.0.1") -> Any:
    """The page, not yet listening.

    Arguments
    ---------
    model : EmoSphere
        Who answers. One recording runs at a time.
    limits : Limits
        Of recordings.
    uploads : Uploads
        Removes them.
    host : str
        Where it will listen: another one than this machine's own is warned of on the page.

    Returns
    -------
    gradio.Blocks
        Its queue takes 16 recordings.

    Raises
    ------
    ImportError
        If Gradio is not installed.
    """
    gr = gradio()

    def answer(
        path: str | None,
        request: gr.Request,
        progress=gr.Progress(),  # noqa: B008  Gradio knows it by this default
    ) -> dict[str, Any]:
        if path is None:
            uploads.close(request.session_hash)
            return nothing()
        uploads.show(request.session_hash, path)
        return reply(model, limits, path, lambda share: progress(share, desc="Listening"))

    def leave(request: gr.Request) -> None:
        uploads.close(request.session_hash)

    with gr.Blocks(analytics_enabled=False, title=TITLE, delete_cache=KEPT) as page:
        gr.HTML(heading(model.about, limits, host), elem_id="em-head", apply_default_css=False)
        recording = gr.Audio(
            sources=["upload", "microphone"], type="filepath", editable=False, buttons=[],
            label="Recording", elem_id="em-audio",
        )  # fmt: skip
        shown = gr.HTML(
            nothing(), html_template="${value.html}", js_on_load=script(), elem_id="em-result",
            apply_default_css=False,
        )  # fmt: skip
        recording.change(
            answer, recording, shown, api_visibility="private", trigger_mode="always_last"
        )
        page.unload(leave)
    return page.queue(max_size=WAITING, default_concurrency_limit=1)


def reply(model: EmoSphere, limits: Limits, path: str, progress=lambda share: None) -> dict:
    """What the page shows of an upload: its result, or why there is none.

    Arguments
    ---------
    model, limits
        As for :func:`build`.
    path : str
        Of the upload.
    progress : callable
        Called with the share that is done.

    Returns
    -------
    dict
        As :func:`emosphere_sb.demo_page.result_html.result` gives it.
    """
    try:
        limits.check(path)
        return result(read(model, path, progress=progress), model.about)
    except (AudioError, ValueError) as error:
        # People know their file by its name; the folder is of this page.
        return alert(str(error).replace(path, os.path.basename(path)))
    except Exception as error:
        # The page stays up for the next recording; the terminal has all of it.
        logger.exception("No answer for %s", path)
        return alert(
            f"Something failed here ({type(error).__name__}). The terminal in which the page was "
            f"started says what."
        )


def heading(about: About, limits: Limits, host: str) -> str:
    """Which model this is, its licence, the SYNTHETIC mark, and what happens to recordings."""
    warning = "" if host in LOOPBACK else exposure(host)
    view = {"title": TITLE, "about": about, "limits": limits, "warning": warning}
    return str(render("demo_page/heading.html.jinja", **view))


def script() -> str:
    """The drawing of the sphere, as Gradio runs it when the result's place is there."""
    return files(__package__).joinpath("sphere.js").read_text(encoding="utf-8")


def style() -> Path:
    """How the page looks."""
    return Path(str(files(__package__).joinpath("page.css")))
