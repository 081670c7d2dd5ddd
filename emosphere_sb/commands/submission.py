"""``emosphere submission``: write the challenge's file from a run, or check one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from emosphere_sb.commands.arguments import CommandParser

PROBLEMS = 1
"""Exit status where a file does not pass its check."""

DESCRIPTION = """\
Writes the submission of the MSP-Podcast challenge (FileName,EmoAct,EmoVal,EmoDom, 1 to 7) from a
finished run's predictions, and checks what it wrote; or checks a file that is there.

  emosphere submission results/MSP-Podcast-1.11/published/official/7 --set=test3 --out=test3.csv
  emosphere submission --check test3.csv --list=test3_files.txt
"""


def run(words: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    words : sequence of str
        What stands behind ``emosphere submission``.

    Returns
    -------
    int
        0, or 1 where the file has problems, all of which are printed.

    Raises
    ------
    ValueError, OSError
        If the command line, the run, or a file is at fault.
    """
    options = parser().parse_args(words)
    if options.check is not None:
        return check_file(options)
    return write_file(options)


def parser() -> CommandParser:
    """The command line."""
    made = CommandParser("submission", DESCRIPTION)
    made.add_argument("run", nargs="?", metavar="RUN_FOLDER", help="a finished run, or an average")
    made.add_argument("--set", help="the set to hand in, such as test3")
    made.add_argument("--out", metavar="FILE", help="the CSV to write")
    made.add_argument(
        "--list", metavar="FILE",
        help="the challenge's list: a name a line, or a CSV with FileName; order and names of the "
        "submission are its. Default: the set's utterances, as .wav files",
    )  # fmt: skip
    made.add_argument("--check", metavar="FILE", help="check this file and write nothing")
    made.add_argument("--label_low", type=float, help="scale of an older run, which does not say")
    made.add_argument("--label_high", type=float, help="its other end")
    return made


def check_file(options: argparse.Namespace) -> int:
    """Check a file against a list, and print every problem."""
    from emosphere_sb.report.read.file_lists import read_list

    given = [name for name in ("run", "set", "out") if getattr(options, name) is not None]
    if options.list is None or given:
        raise ValueError(
            "--check needs the list of files, and nothing else; found "
            f"{', '.join(given) or 'no list'}. Write --check FILE --list=FILE."
        )
    return report_problems(options.check, read_list(options.list))


def write_file(options: argparse.Namespace) -> int:
    """Write the submission of a run's set, and check it."""
    from emosphere_sb.fileio.atomic import atomic_write
    from emosphere_sb.report.read.file_lists import read_list, some, stem
    from emosphere_sb.report.read.runs import read_source
    from emosphere_sb.report.submission import clipped, submission_table

    missing = [name for name in ("run", "set", "out") if getattr(options, name) is None]
    if missing:
        raise ValueError(
            "A submission is written from RUN_FOLDER --set=NAME --out=FILE; found no "
            f"{', '.join(missing)}. A file that is there is checked with --check FILE --list=FILE."
        )
    runs = read_source(options.run)
    if len(runs) > 1 or runs[0].folder is None:
        raise ValueError(
            f"A submission is made from one run's folder; {options.run} is "
            f"{f'{len(runs)} runs' if len(runs) > 1 else 'a CSV'}. Average runs first: emosphere "
            "report RUNS --average --out=FOLDER."
        )
    (source,) = runs
    if options.set not in source.tables:
        raise ValueError(
            f"--set must be one of {', '.join(source.tables)}, of which {options.run} has "
            f"predictions; found {options.set!r}."
        )
    table, scale = source.tables[options.set], _scale(options, source)
    names = None if options.list is None else read_list(options.list)
    submission = submission_table(table, scale, names=names)
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(out, submission.to_csv(index=False, lineterminator="\n"))
    for note in source.notes:
        print(f"Note: {note}")
    print(f"{len(submission):,} files of {options.set} written to {out}.")
    listed = {stem(name) for name in submission["FileName"]}
    if left_out := [name for name in table["ID"] if stem(name) not in listed]:
        print(f"Predicted, but not in the list and not handed in: {some(left_out)}.")
    used = table[[stem(name) in listed for name in table["ID"]]]
    print(f"Set to the ends of the scale, 1 or 7: {clipped(used, scale):,} of {3 * len(used):,}.")
    return report_problems(out, names or list(submission["FileName"]))


def report_problems(path: str | Path, ids: Sequence[str]) -> int:
    """Print what a check finds; the exit status."""
    from emosphere_sb.report.submission import check

    problems = check(path, ids)
    for problem in problems:
        print(problem)
    if problems:
        print(f"{path}: {len(problems)} problems.")
        return PROBLEMS
    print(f"{path}: {len(ids):,} files, no problem found.")
    return 0


def _scale(options: argparse.Namespace, source):
    """The set's scale, as the run says or, for an older run, as the command line does."""
    from emosphere_sb.scale import Scale

    known, given = source.scales[options.set], (options.label_low, options.label_high)
    if known is None:
        if None in given:
            raise ValueError(
                f"The scale of {options.run} must be known; it is of an older version and does not "
                "say. Add --label_low=1 --label_high=7, or what it is."
            )
        return Scale(*given)
    if given != (None, None):
        raise ValueError(
            f"{options.run} says that its scale is {known.low:g} to {known.high:g}; leave "
            "--label_low and --label_high out."
        )
    return known
