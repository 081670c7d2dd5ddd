"""``emosphere demo``: serve a local web page that analyses recordings.

``--help`` imports no large package such as torch."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from functools import partial

from emosphere_sb.commands.arguments import (
    CommandParser,
    add_channel_option,
    add_engine_options,
    check_runtime,
    load_model,
)
from emosphere_sb.demo_page.address import LOOPBACK, exposure_warning

logger = logging.getLogger(__name__)

NO_MODEL = (
    "MODEL is required: `emosphere demo MODEL`. It is the folder of a released model, written by "
    "`emosphere release RUN OUT` (a run with --preset=smoke takes a minute and needs no data), or "
    "a public checkpoint on the Hugging Face Hub, such as "
    "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim."
)
NO_SHARE = (
    "--share is not supported, because a public link would send recordings through a third-party "
    "server. To use the page from another machine, open a tunnel with "
    "`ssh -L {port}:127.0.0.1:{port} THIS_MACHINE` and visit http://127.0.0.1:{port}; or use "
    "--host=0.0.0.0 together with a reverse proxy that requires a password."
)

DESCRIPTION = """\
Serve a local web page that shows the valence, arousal and dominance of recorded or uploaded speech
as points on the VAD sphere, as curves over time, and as numbers. Recordings are not sent to any
other machine.

MODEL is the folder of a released model (`emosphere release RUN OUT`), or its name on the
Hugging Face Hub.

  emosphere demo my_model
  emosphere demo my_model --port=8000 --max_seconds=120
"""


def run(argv: Sequence[str]) -> int:
    """Run the command until it is interrupted.

    Arguments
    ---------
    argv : sequence of str
        Arguments after ``emosphere demo``.

    Returns
    -------
    int
        Exit status 0, after Ctrl+C or SIGTERM.

    Raises
    ------
    ValueError
        If the model is missing or cannot be loaded, or an option is out of range.
    ImportError
        If the ``page`` extra is not installed.
    OSError
        If the port is in use.
    """
    options = build_demo_parser().parse_args(argv)
    validate_demo_options(options)
    from emosphere_sb.demo_page.limits import Limits

    limits = Limits(options.max_seconds, options.max_megabytes)
    if options.host not in LOOPBACK:
        logger.warning("%s", exposure_warning(options.host))
    from emosphere_sb.demo_page.gradio_import import import_gradio
    from emosphere_sb.demo_page.server import serve

    import_gradio()  # fail before a model is downloaded or loaded
    model = load_model(options)
    announce = partial(print, flush=True)
    settings = {"host": options.host, "port": options.port, "channel": options.channel}
    serve(model, limits, **settings, announce=announce)
    return 0


def validate_demo_options(options: argparse.Namespace) -> None:
    """Validate options before heavy packages are imported.

    Raises
    ------
    ValueError
        If the model is missing, ``--share`` is used, or the port is invalid.
    """
    if options.share:
        raise ValueError(NO_SHARE.format(port=options.port or 7860))
    if options.model is None:
        raise ValueError(NO_MODEL)
    if options.port is not None and not 1 <= options.port <= 65535:
        raise ValueError(f"--port must be between 1 and 65535; found {options.port}.")
    check_runtime(options)


def build_demo_parser() -> CommandParser:
    """Build the parser of the command line."""
    parser = CommandParser("demo", DESCRIPTION)
    add = parser.add_argument
    add(
        "model",
        metavar="MODEL",
        nargs="?",
        help="folder of a released model, or its name on the Hub",
    )
    add(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1, accessible only from this machine)",
    )
    add("--port", type=int, help="port to listen on (default: first free port from 7860 onwards)")
    add("--max_seconds", type=float, default=600.0,
        help="maximum duration of a recording in seconds (default: 600)")  # fmt: skip
    add("--max_megabytes", type=float, default=50.0,
        help="maximum file size in MB (default: 50)")  # fmt: skip
    add_engine_options(parser)
    add_channel_option(parser)
    add("--share", action="store_true", help=argparse.SUPPRESS)  # prints the alternatives
    return parser
