"""Argument parser for the commands, and options shared by several commands."""

from __future__ import annotations

import argparse
import gc
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from emosphere_sb.inference.predictor import Predictor

_REQUIRED = "the following arguments are required: "
_VERBS = ("must ", "needs ", "takes ")  # such a reason forms a sentence with the option's name
_GIVEN = "_given"  # namespace attribute used during parsing: options found so far


class CommandParser(argparse.ArgumentParser):
    """Argument parser of ``emosphere COMMAND``.

    Options cannot be abbreviated. Errors are raised as :class:`ValueError`, which ``emosphere``
    prints on one line.

    Arguments
    ---------
    command : str
        Name of the command after ``emosphere``.
    description : str
        Description for the help text. Its line breaks are preserved.
    allow_repeated : bool
        Whether an option may be given more than once; the last value is used. If false, only
        options that collect several values may be repeated.
    **settings
        Further arguments of :class:`argparse.ArgumentParser`.

    Example
    -------
    >>> parser = CommandParser("greet", "Print a greeting.", allow_repeated=False)
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
        """Option strings of the parser, such as ``--name``."""
        return frozenset(name for action in self._actions for name in action.option_strings)

    def parse_args(self, args=None, namespace=None):
        """Parse arguments like :meth:`argparse.ArgumentParser.parse_args`."""
        return _without_record(super().parse_args(args, namespace))

    def parse_intermixed_args(self, args=None, namespace=None):
        """Parse arguments like :meth:`argparse.ArgumentParser.parse_intermixed_args`."""
        return _without_record(super().parse_intermixed_args(args, namespace))

    def error(self, message: str) -> NoReturn:
        """Raise an error about the command line.

        Raises
        ------
        ValueError
            Always; argparse itself would print the usage and exit.
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
    """Action that raises an error if an option is given a second time."""

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
    """Check that the value of an option is not empty (as in ``--data_folder=$UNSET``).

    Raises
    ------
    argparse.ArgumentTypeError
        If the value is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("needs a value; found an empty string")
    return text


def positive_int(text: str) -> int:
    """Parse the value of an option that must be a positive integer.

    Raises
    ------
    argparse.ArgumentTypeError
        If the value is not an integer >= 1.

    Example
    -------
    >>> positive_int("12")
    12
    """
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"must be an integer >= 1; found {text!r}")
    return int(text)


def add_runtime_options(parser: argparse.ArgumentParser, items: str) -> None:
    """Add the options of commands that predict with PyTorch or ONNX Runtime.

    Arguments
    ---------
    parser : argparse.ArgumentParser
        Parser to add the options to.
    items : str
        Plural noun for the elements of a batch.
    """
    add = parser.add_argument
    add(
        "--batch_size",
        type=int,
        default=16,
        metavar="N",
        help=f"number of {items} per batch (default: 16)",
    )
    add_engine_options(parser)


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for device, engine and precision to a parser."""
    from emosphere_sb.onnx_export.engines import ENGINES

    add = parser.add_argument
    add_precision_options(parser)
    add("--engine", choices=ENGINES, default="auto",
        help="torch; onnx (ONNX Runtime on the CPU, for models with an ONNX copy); or auto "
        "(default: onnx for a folder with only an ONNX model, or if there is no GPU and the model "
        "has an ONNX copy)")  # fmt: skip
    add("--onnx", dest="engine", action="store_const", const="onnx", help="same as --engine=onnx")
    add("--int8", action="store_true", help="use the 8-bit quantised ONNX model")


def add_precision_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of PyTorch, ``--device`` and ``--precision``, to a parser."""
    from emosphere_sb.inference.precision import PRECISIONS

    add = parser.add_argument
    add("--device", metavar="NAME", help="cpu, cuda, cuda:1, … (default: a GPU if available)")
    add("--precision", choices=PRECISIONS, default="fp32",
        help="fp32 (default), or bf16: faster with hardware support (PyTorch only)")  # fmt: skip


def add_channel_option(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--channel`` to a parser."""
    from emosphere_sb.audio.channels import CHANNELS

    parser.add_argument(
        "--channel",
        choices=CHANNELS,
        default="mix",
        help="use of several channels: mix (their mean, default), left, right or loudest",
    )


def check_runtime(options: argparse.Namespace) -> None:
    """Check that the options for device, engine and precision can be combined.

    Raises
    ------
    ValueError
        If they cannot be combined.
    """
    from emosphere_sb.onnx_export.engines import check_engine

    check_engine(options.engine, **_engine_settings(options))


def load_model(options: argparse.Namespace) -> Predictor:
    """Load the model of a command with the options of :func:`add_engine_options`.

    The objects that exist afterwards, mostly those of imported libraries, are exempted from garbage
    collection: the last collections of the process would take longer than a prediction.
    """
    from emosphere_sb.onnx_export.engines import load_predictor

    model = load_predictor(options.model, engine=options.engine, **_engine_settings(options))
    gc.freeze()
    return model


def _engine_settings(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("device", "precision", "int8")}
