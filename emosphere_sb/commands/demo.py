"""``emosphere demo``: a page on this machine to record or drop speech on. Its help is light."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from functools import partial

from emosphere_sb.commands.arguments import CommandParser
from emosphere_sb.demo_page.address import LOOPBACK, exposure

logger = logging.getLogger(__name__)

NO_MODEL = (
    "emosphere demo needs a model: `emosphere demo MODEL`, where MODEL is the folder that "
    "`emosphere release RUN OUT` writes from a finished run (of any size, a run with "
    "--preset=smoke takes a minute and no data), or the name of a public checkpoint on the "
    "HuggingFace hub, such as audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim."
)
NO_SHARE = (
    "--share is not offered: a public link would send people's voices through a server of "
    "somebody else. From another machine, open a tunnel: `ssh -L {port}:127.0.0.1:{port} THIS_"
    "MACHINE`, then http://127.0.0.1:{port}; or listen on the network with --host=0.0.0.0, behind "
    "a server of yours that asks for a password."
)

DESCRIPTION = """\
Opens a page on this machine: record speech or drop a file, and see valence, arousal and dominance
as a point on the sphere, over time, and in numbers. Nothing leaves this machine.

MODEL is a released model's folder (`emosphere release RUN OUT`), or a name on the HuggingFace hub.

  emosphere demo my_model
  emosphere demo my_model --port=8000 --max_seconds=120
"""


def run(words: Sequence[str]) -> int:
    """Run the command until it is interrupted.

    Arguments
    ---------
    words : sequence of str
        What stands behind ``emosphere demo``.

    Returns
    -------
    int
        0, once Ctrl+C or SIGTERM ended it.

    Raises
    ------
    ValueError
        If no model is named, it cannot be loaded, or an option is out of range.
    ImportError
        If the extra ``page`` is not installed.
    OSError
        If the port is taken.
    """
    options = parser().parse_args(words)
    check(options)
    from emosphere_sb.demo_page.limits import Limits

    limits = Limits(options.max_seconds, options.max_megabytes)
    if options.host not in LOOPBACK:
        logger.warning("%s", exposure(options.host))
    from emosphere_sb.demo_page.gradio_import import gradio
    from emosphere_sb.demo_page.server import serve
    from emosphere_sb.inference.interface import EmoSphere

    gradio()  # before a model is loaded, or downloaded, in vain
    model = EmoSphere.from_pretrained(options.model, device=options.device)
    announce = partial(print, flush=True)
    serve(model, limits, host=options.host, port=options.port, announce=announce)
    return 0


def check(options: argparse.Namespace) -> None:
    """See that the command can be run, before anything heavy is loaded.

    Raises
    ------
    ValueError
        If no model is named, a public link is asked for, or the port is impossible.
    """
    if options.share:
        raise ValueError(NO_SHARE.format(port=options.port or 7860))
    if options.model is None:
        raise ValueError(NO_MODEL)
    if options.port is not None and not 1 <= options.port <= 65535:
        raise ValueError(f"--port must be between 1 and 65535; found {options.port}.")


def parser() -> CommandParser:
    """The command's options."""
    parser = CommandParser("demo", DESCRIPTION)
    add = parser.add_argument
    add("model", metavar="MODEL", nargs="?", help="a released model's folder, or a hub name")
    add("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    add("--port", type=int, help="default: the first free one from 7860 on")
    add("--max_seconds", type=float, default=600.0, help="longest recording (default 600)")
    add("--max_megabytes", type=float, default=50.0, help="largest file (default 50)")
    add("--device", help="cpu, cuda, cuda:1, … (default: a GPU where there is one)")
    add("--share", action="store_true", help="refused: says how to reach the page from elsewhere")
    return parser
