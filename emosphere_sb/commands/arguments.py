"""The argument parser of the commands, and options that several of them have."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

_REQUIRED = "the following arguments are required: "
_VERBS = ("must ", "needs ", "takes ")  # reasons that make a sentence with the option's name
_GIVEN = "_given"  # of a namespace while it is filled: the options that were given so far


class CommandParser(argparse.ArgumentParser):
    """The parser of ``emosphere COMMAND``.

    Names of options are never abbreviated, and an error is a :class:`ValueError`, which
    ``emosphere`` prints as one line.

    Arguments
    ---------
    command : str
        Its name behind ``emosphere``.
    description : str
        For the help, which keeps its line breaks.
    allow_repeated : bool
        Whether an option may be given more than once, so that the last one counts. If not, only
        options that collect several values may.
    **settings
        Further arguments of :class:`argparse.ArgumentParser`.

    Example
    -------
    >>> parser = CommandParser("greet", "Greets somebody.", allow_repeated=False)
    >>> _ = parser.add_argument("--name", required=True)
    >>> parser.parse_args(["--name=Ada"]).name
    'Ada'
    >>> parser.parse_args([])
    Traceback (most recent call last):
    ValueError: missing options: --name. See emosphere greet --help.
    >>> parser.parse_args(["--name=Ada", "--name=Bo"])
    Traceback (most recent call last):
    ValueError: --name was given more than once. See emosphere greet --help.
    """

    def __init__(
        self, command: str, description: str, *, allow_repeated: bool = True, **settings: Any
    ):
        super().__init__(
            prog=f"emosphere {command}", description=description, allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter, **settings,
        )  # fmt: skip
        if not allow_repeated:
            self.register("action", None, _StoreOnce)
            self.register("action", "store", _StoreOnce)
            self.register("action", "store_true", _StoreTrueOnce)

    @property
    def options(self) -> frozenset[str]:
        """The options that were added, as they are written: ``--name``."""
        return frozenset(name for action in self._actions for name in action.option_strings)

    def parse_args(self, args=None, namespace=None):
        """As :meth:`argparse.ArgumentParser.parse_args`."""
        return _without_record(super().parse_args(args, namespace))

    def parse_intermixed_args(self, args=None, namespace=None):
        """As :meth:`argparse.ArgumentParser.parse_intermixed_args`."""
        return _without_record(super().parse_intermixed_args(args, namespace))

    def error(self, message: str) -> NoReturn:
        """Refuse a command line.

        Raises
        ------
        ValueError
            In place of the exit that argparse makes.
        """
        if message.startswith(_REQUIRED):
            names = message.removeprefix(_REQUIRED)
            options = all(name.startswith("-") for name in names.split(", "))
            message = f"missing {'options' if options else 'arguments'}: {names}"
        option, colon, reason = message.removeprefix("argument ").partition(": ")
        if reason == "expected one argument":
            reason = f"needs a value: {option}=VALUE"
        reason = reason.replace("ignored explicit argument", "takes no value; found")
        if message.startswith("argument "):
            message = option + (" " if reason.startswith(_VERBS) else colon) + reason
        raise ValueError(f"{message.rstrip('.')}. See {self.prog} --help.")


class _Once(argparse.Action):
    """An action that refuses an option's second use; positional arguments have no second one."""

    def __call__(self, parser, namespace, values, option_string=None):
        given = vars(namespace).setdefault(_GIVEN, set())
        if option_string is not None and self.dest in given:
            parser.error(f"{option_string} was given more than once")
        given.add(self.dest)
        super().__call__(parser, namespace, values, option_string)


class _StoreOnce(_Once, argparse._StoreAction):
    pass


class _StoreTrueOnce(_Once, argparse._StoreTrueAction):
    pass


def _without_record(namespace: argparse.Namespace) -> argparse.Namespace:
    vars(namespace).pop(_GIVEN, None)
    return namespace


def nonempty(text: str) -> str:
    """The type of an option whose value must not be empty, as ``--data_folder=$UNSET`` is.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is.
    """
    if not text:
        raise argparse.ArgumentTypeError("needs a value; found an empty one")
    return text


def positive_int(text: str) -> int:
    """The type of an option that is a whole number from 1 on.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is anything else.

    Example
    -------
    >>> positive_int("12")
    12
    """
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1; found {text!r}")
    return int(text)


def add_runtime_options(parser: argparse.ArgumentParser, items: str) -> None:
    """Add the options of commands that predict with torch or with ONNX.

    Arguments
    ---------
    parser : argparse.ArgumentParser
        To which they are added.
    items : str
        What runs together in a batch.
    """
    add = parser.add_argument
    add("--batch_size", type=int, default=16, metavar="N", help=f"{items} that run together")
    add("--device", metavar="NAME", help="cpu, cuda, cuda:1, …; default: a GPU where there is one")
    add("--onnx", action="store_true", help="MODEL is what emosphere export wrote; needs no torch")
    add("--int8", action="store_true", help="with --onnx: the model in 8-bit numbers")


def check_runtime(options: argparse.Namespace) -> None:
    """Refuse options of torch with ``--onnx``, and of ONNX without it.

    Raises
    ------
    ValueError
        Naming the option.
    """
    if options.onnx and options.device:
        raise ValueError("--onnx runs on the CPU; leave --device out.")
    if options.int8 and not options.onnx:
        raise ValueError("--int8 is a model in ONNX: say --onnx too (emosphere export --int8).")
