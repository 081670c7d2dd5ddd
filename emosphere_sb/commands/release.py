"""``emosphere release``: the folder of a trained model that anybody can use."""

from __future__ import annotations

from collections.abc import Sequence

from emosphere_sb.commands.arguments import CommandParser

DESCRIPTION = """\
Writes the released model of a finished run: weights as safetensors, plain data, a model card with
figures and their intervals, checksums. Whoever has the folder needs no corpus and no download.

  emosphere release results/MSP-Podcast-1.11/published/official/7 models/emosphere

OUT must be new or empty, and appears whole or not at all. RUN's hyperparams.yaml is run, as it is
in training: release runs of your own. What you may share is said in OUT/README.md, Licence and
terms: read it first.
"""


def run(words: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    words : sequence of str
        What stands behind ``emosphere release``.

    Returns
    -------
    int
        0.

    Raises
    ------
    ValueError, OSError
        If the run or the place is at fault.
    """
    options = parser().parse_args(words)
    from emosphere_sb.release.load import load_released
    from emosphere_sb.release.release import release

    out = release(options.run, options.out, name=options.name)
    _, about = load_released(out)  # what was written is what can be read
    if about.synthetic:
        print("SYNTHETIC SPEECH: this model says nothing about human speech.")
    print(f"{about.name}: {out}")
    print(f"Licence: {about.licence}")
    print(f"Use: emosphere predict {out} speech.wav")
    return 0


def parser() -> CommandParser:
    """The command line."""
    found = CommandParser("release", DESCRIPTION)
    found.add_argument("run", metavar="RUN", help="a finished run's folder")
    found.add_argument("out", metavar="OUT", help="a new or empty folder")
    found.add_argument("--name", help="of the model, one line; default: the corpus and the row")
    return found
