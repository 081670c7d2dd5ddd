"""``emosphere submission``: write or check a challenge submission."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from emosphere_sb.commands.arguments import CommandParser

PROBLEMS = 1
"""Exit status if a submission is invalid."""

DESCRIPTION = """\
Write a submission file for the MSP-Podcast challenge (FileName,EmoAct,EmoVal,EmoDom, 1 to 7) from
the predictions of a finished run and validate it, or validate an existing file.

  emosphere submission results/MSP-Podcast-1.11/published/official/7 --set=test3 --out=test3.csv
  emosphere submission --check test3.csv --list=test3_files.txt
"""


def run(argv: Sequence[str]) -> int:
    """Run the command.

    Arguments
    ---------
    argv : sequence of str
        Arguments after ``emosphere submission``.

    Returns
    -------
    int
        Exit status: 0, or 1 if the submission has problems, which are printed.

    Raises
    ------
    ValueError, OSError
        If an option, the run or a file is invalid.
    """
    options = build_submission_parser().parse_args(argv)
    if options.check is not None:
        return check_existing(options)
    return write_submission(options)


def build_submission_parser() -> CommandParser:
    """Build the parser of the command line."""
    parser = CommandParser("submission", DESCRIPTION)
    add = parser.add_argument
    add("run", nargs="?", metavar="RUN_FOLDER",
        help="folder of a finished run or of averaged runs")  # fmt: skip
    add("--set", help="set to submit, such as test3")
    add("--out", metavar="FILE", help="CSV file to write")
    add(
        "--list", metavar="FILE",
        help="challenge file list (one name per line, or a CSV file with the column FileName); "
        "it defines the names and their order (default: all utterances of the set, as .wav files)",
    )  # fmt: skip
    add("--check", metavar="FILE", help="validate an existing file instead of writing one")
    add("--label_low", type=float,
        help="lower end of the label scale (only for runs that did not record it)")  # fmt: skip
    add("--label_high", type=float,
        help="upper end of the label scale (only for runs that did not record it)")  # fmt: skip
    return parser


def check_existing(options: argparse.Namespace) -> int:
    """Check an existing submission against a file list and print all problems."""
    from emosphere_sb.report.read.file_lists import read_file_list

    given = [name for name in ("run", "set", "out") if getattr(options, name) is not None]
    if options.list is None or given:
        raise ValueError(
            "--check requires --list and accepts no other options; found "
            f"{', '.join(given) or 'no --list'}. Use --check FILE --list=FILE."
        )
    return print_problems(options.check, read_file_list(options.list))


def write_submission(options: argparse.Namespace) -> int:
    """Write a submission from the predictions of a run, and check it."""
    from emosphere_sb.fileio.atomic import atomic_write
    from emosphere_sb.report.read.file_lists import (
        count_with_examples,
        read_file_list,
        utterance_id,
    )
    from emosphere_sb.report.read.runs import check_unmodified, read_source
    from emosphere_sb.report.submission import count_clipped, submission_table

    missing = [name for name in ("run", "set", "out") if getattr(options, name) is None]
    if missing:
        raise ValueError(
            f"RUN_FOLDER, --set and --out are required; missing: {', '.join(missing)}. To check an "
            "existing file, use --check FILE --list=FILE."
        )
    runs = read_source(options.run)
    if len(runs) > 1 or runs[0].folder is None:
        raise ValueError(
            f"A submission requires the folder of a single run; {options.run} is "
            f"{f'a folder of {len(runs)} runs' if len(runs) > 1 else 'a CSV file'}. To average "
            "runs, use emosphere report RUNS --average --out=FOLDER."
        )
    (source,) = runs
    if options.set not in source.tables:
        raise ValueError(
            f"{options.run} has no predictions for the {options.set!r} set. Choose one of "
            f"{', '.join(source.tables)} with --set."
        )
    check_unmodified(runs, [options.set])
    table, scale = source.tables[options.set], _scale(options, source)
    names = None if options.list is None else read_file_list(options.list)
    submission = submission_table(table, scale, names=names)
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(out, submission.to_csv(index=False, lineterminator="\n"))
    for note in source.notes:
        print(f"Note: {note}")
    print(f"Wrote predictions for {len(submission):,} files of {options.set} to {out}.")
    listed = {utterance_id(name) for name in submission["FileName"]}
    if left_out := [name for name in table["ID"] if utterance_id(name) not in listed]:
        skipped = count_with_examples(left_out)
        print(f"Skipped predictions for files that are not in the list: {skipped}.")
    used = table[[utterance_id(name) in listed for name in table["ID"]]]
    print(f"Values clipped to [1, 7]: {count_clipped(used, scale):,} of {3 * len(used):,}.")
    return print_problems(out, names or list(submission["FileName"]))


def print_problems(path: str | Path, ids: Sequence[str]) -> int:
    """Check a submission, print its problems and return the exit status."""
    from emosphere_sb.report.submission import check_submission

    problems = check_submission(path, ids)
    for problem in problems:
        print(problem)
    if problems:
        print(f"{path}: {len(problems)} {'problem' if len(problems) == 1 else 'problems'}.")
        return PROBLEMS
    print(f"{path}: {len(ids):,} files, no problems found.")
    return 0


def _scale(options: argparse.Namespace, source):
    """Return the label scale recorded by the run or, for old runs, given by the options."""
    from emosphere_sb.scale import Scale

    known, given = source.scales[options.set], (options.label_low, options.label_high)
    if known is None:
        if None in given:
            raise ValueError(
                f"{options.run} does not record its label scale (written by an older version). "
                "Specify it, e.g. --label_low=1 --label_high=7."
            )
        return Scale(*given)
    if given != (None, None):
        raise ValueError(
            f"{options.run} records its label scale ({known.low:g} to {known.high:g}). Remove "
            "--label_low and --label_high."
        )
    return known
