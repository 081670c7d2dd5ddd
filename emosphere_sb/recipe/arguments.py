"""Parsing of a recipe's command line. Does not import torch."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from emosphere_sb.recipe.renamed_keys import (
    REPLACED,
    check_not_renamed,
    nearest_name,
    replaced_option,
)

HPARAMS = Path(__file__).resolve().parents[2] / "hparams"

# SpeechBrain's run options by type; a test compares them with SpeechBrain's own list. Options that
# are also keys of emosphere.yaml (precision, max_grad_norm) are parsed as keys.
FLAGS = (
    "test_only", "debug", "debug_persistently", "data_parallel_backend", "find_unused_parameters",
    "jit", "compile", "compile_using_fullgraph", "compile_using_dynamic_shape_tracing",
    "auto_mix_prec", "bfloat16_mix_prec", "skip_nonfinite_grads", "noprogressbar",
    "tqdm_colored_bar", "remove_vector_weight_decay", "profile_training",
)  # fmt: skip
INTEGERS = (
    "debug_batches", "debug_epochs", "nonfinite_patience", "ckpt_interval_minutes",
    "ckpt_interval_steps", "grad_accumulation_factor", "optimizer_step_limit", "profile_warmup",
    "profile_steps",
)  # fmt: skip
STRINGS = ("device", "distributed_backend", "compile_mode", "eval_precision", "log_config")
LISTS = ("jit_module_keys", "compile_module_keys")
NUMBERS = ("max_grad_norm",)
PRECISION = ("precision",)
RUN_OPTIONS = FLAGS + INTEGERS + STRINGS + LISTS + NUMBERS + PRECISION


@dataclass
class Arguments:
    """Parsed command line.

    Arguments
    ---------
    file : Path
        The hyperparameter file.
    presets : list of str
        Presets in the order in which they are applied.
    overrides : dict
        Keys of the hyperparameter file and their values, as text.
    run_options : dict
        SpeechBrain's run options and their values.
    """

    file: Path
    presets: list[str] = field(default_factory=list)
    overrides: dict[str, str] = field(default_factory=dict)
    run_options: dict = field(default_factory=dict)

    @property
    def preset(self) -> str:
        """Presets joined into one name, used in the path of the output folder."""
        return "+".join(self.presets) or self.file.stem


class ArgumentParser(argparse.ArgumentParser):
    """``argparse`` parser that raises ``ValueError`` and does not accept abbreviated options."""

    def __init__(self):
        super().__init__(add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)

    def error(self, message: str) -> None:
        """Raise ``ValueError`` with a message, instead of printing it and exiting."""
        option, _, reason = message.removeprefix("argument ").partition(": ")
        if reason == "expected one argument":
            raise ValueError(f"{option} needs a value: {option}=VALUE.")
        raise ValueError(reason or message)


def parse_arguments(argv: list[str], known: Iterable[str]) -> Arguments:
    """Parse ``HPARAMS.yaml --preset=NAME --key=value``. Options cannot be abbreviated.

    Keys in ``known`` may be written as ``--key=value`` or ``--key value``. All other keys, which
    can only occur in the user's own file, require ``--key=value``. The value is everything after
    the first ``=``, so paths may contain spaces, colons and ``=``.

    Arguments
    ---------
    argv : list of str
        Command-line arguments, as in ``sys.argv[1:]``.
    known : iterable of str
        Top-level keys of ``emosphere.yaml``. They take precedence over run options with the same
        name.

    Raises
    ------
    ValueError
        If there is not exactly one file, ``--preset`` is repeated, an option has no value or a
        value of the wrong type, or an option was renamed.
    """
    known = set(known)
    for argument in argv:
        if argument.startswith("--"):
            check_not_renamed(argument[2:].partition("=")[0], argument.partition("=")[2], known)
    argv, off = _split_flags(argv, known)
    found, rest = _parser(known).parse_known_args(argv)
    values = vars(found)
    presets = values.pop("preset", [])
    if len(presets) > 1:
        raise ValueError("--preset was given more than once. Combine presets as --preset=A+B.")
    run_options = {*RUN_OPTIONS} - known
    options = off | {name: values.pop(name) for name in list(values) if name in run_options}
    files = [argument for argument in rest if not argument.startswith("--")]
    for argument in (argument for argument in rest if argument.startswith("--")):
        name, equals, value = argument[2:].partition("=")
        if not equals:  # a key of the user's own file, or an unknown one
            near = nearest_name(name, known)
            hint = f" Did you mean --{near}?" if near else ""
            raise ValueError(f"--{name} needs a value: --{name}=VALUE.{hint}")
        values[name] = _nonempty(name)(value)
    for name, value in values.items():
        check_not_renamed(name, value, known)
    for old in [name for name in values if name in REPLACED and name not in known]:
        new, value = replaced_option(old, values.pop(old))
        if new in values:
            raise ValueError(f"--{old} was replaced by --{new}; remove --{old}.")
        values[new] = value
    return Arguments(_only_file(files), presets[0].split("+") if presets else [], values, options)


def _parser(known: set[str]) -> ArgumentParser:
    """Return a parser with all keys and run options."""
    parser = ArgumentParser()
    parser.add_argument("--preset", action="append", type=_nonempty("preset"))
    for name in sorted((known | REPLACED.keys()) - {"preset"}):
        parser.add_argument(f"--{name}", type=_nonempty(name))
    for name in (name for name in RUN_OPTIONS if name not in known):
        if name in FLAGS:
            parser.add_argument(f"--{name}", action="store_const", const=True)
        else:
            parser.add_argument(f"--{name}", type=_type_of(name))
    return parser


def _split_flags(argv: list[str], known: set[str]) -> tuple[list[str], dict[str, bool]]:
    """Replace ``--flag=True`` with ``--flag`` and collect the flags given as ``--flag=False``.

    SpeechBrain's flags do not take a value.
    """
    remaining, off = [], {}
    for argument in argv:
        name, equals, value = argument[2:].partition("=")
        if not (argument.startswith("--") and equals and name in FLAGS and name not in known):
            remaining.append(argument)
        elif value.lower() not in ("true", "false"):
            raise ValueError(f"--{name} must be True or False; found {value!r}.")
        elif value.lower() == "true":
            remaining.append(f"--{name}")
        else:
            off[name] = False
    return remaining, off


def _nonempty(name: str):
    def check(value: str) -> str:
        if not value:  # as in --data_folder=$UNSET; an empty path would mean "."
            if name == "preset" or name in RUN_OPTIONS:  # these do not accept null
                raise ValueError(f"--{name} is empty. Give it a value, or leave it out.")
            raise ValueError(f"--{name} is empty. Use --{name}=null for no value.")
        return value

    return _raising(check)


def _type_of(name: str):
    def convert(value: str) -> object:
        value = _nonempty(name)(value)
        if name in LISTS:
            return value.split(",")
        if name in STRINGS + PRECISION:
            return value
        try:
            return int(value) if name in INTEGERS else float(value)
        except ValueError as error:
            kind = "an integer" if name in INTEGERS else "a number"
            raise ValueError(f"--{name} must be {kind}; found {value!r}.") from error

    return _raising(convert)


def _raising(function):
    """Preserve the message of a ``ValueError``, which argparse would replace."""

    def call(value: str) -> object:
        try:
            return function(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return call


def _only_file(files: list[str]) -> Path:
    if len(files) != 1:
        raise ValueError(
            f"Exactly one hyperparameter file is required, such as hparams/emosphere.yaml; found "
            f"{', '.join(files) or 'none'}. Write options as --key=value."
        )
    return find_file(files[0])


def find_file(name: str) -> Path:
    """Return the path of a hyperparameter file in the working directory or in the package.

    ``hparams/NAME.yaml`` and ``NAME.yaml`` are looked up in the working directory first, then in
    the package.

    Raises
    ------
    ValueError
        If the file does not exist.
    """
    path = Path(name)
    if path.is_file():
        return path
    # Other folders are not searched: a mistyped path must not run a different file.
    if path.parent in (Path(), Path("hparams")) and (HPARAMS / path.name).is_file():
        return HPARAMS / path.name
    raise ValueError(
        f"Hyperparameter file {name} does not exist. The package's files are in {HPARAMS}."
    )
