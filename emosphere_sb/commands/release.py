"""``emosphere release``: package a trained model for distribution."""

from __future__ import annotations

from collections.abc import Sequence

from emosphere_sb.commands.arguments import CommandParser

DESCRIPTION = """\
Package the model of a finished run in a self-contained folder: safetensors weights, JSON settings,
a model card with metrics and confidence intervals, and checksums. Using the model requires neither
the corpus nor any download.

  emosphere release results/MSP-Podcast-1.11/published/official/7 models/emosphere

OUT must either not exist yet or be empty; it is written atomically. RUN/hyperparams.yaml is
executed as in training, so release only runs that you trust. Before you share the model, read the
section "Licence and terms" of OUT/README.md.
"""


def run(argv: Sequence[str]) -> int:
    """Run ``emosphere release``.

    Arguments
    ---------
    argv : sequence of str
        Arguments after ``emosphere release``.

    Returns
    -------
    int
        Exit status 0.

    Raises
    ------
    ValueError, OSError
        If the run cannot be released or the output folder cannot be written.
    """
    options = build_release_parser().parse_args(argv)
    from emosphere_sb.release.load import load_released
    from emosphere_sb.release.release import release

    out = release(options.run, options.out, name=options.name)
    _, info = load_released(out)  # check that the written model can be loaded
    if info.synthetic:
        print("Synthetic speech: do not draw conclusions about human speech from this model.")
    print(f"{info.name}: {out}")
    print(f"Licence: {info.licence}")
    print(f"Usage: emosphere predict {out} speech.wav")
    return 0


def build_release_parser() -> CommandParser:
    """Build the argument parser of ``emosphere release``."""
    parser = CommandParser("release", DESCRIPTION)
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument("out", metavar="OUT", help="new or empty folder for the released model")
    parser.add_argument("--name", help="name of the model (default: corpus and preset)")
    return parser
