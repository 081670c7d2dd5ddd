"""The parser that the commands share: errors, repeated options, kinds of values."""

import argparse
import gc

import pytest

from emosphere_sb.commands.arguments import (
    CommandParser,
    add_runtime_options,
    check_runtime,
    load_model,
    nonempty,
    positive_int,
)
from emosphere_sb.onnx_export import engines


@pytest.fixture
def parser():
    """A command with every kind of argument."""
    return make_parser(allow_repeated=False)


def make_parser(**settings):
    made = CommandParser("own", "Does nothing.", **settings)
    made.add_argument("place", metavar="PLACE")
    made.add_argument("--size", type=int, default=3, required=True)
    made.add_argument("--set", action="append", default=[])
    made.add_argument("--many", nargs="+", default=[])
    made.add_argument_group("more").add_argument("--flag", action="store_true")
    made.add_argument("--kind", choices=("a", "b"))
    return made


def refusal(parser, words):
    """What is said of a command line, but for the hint at its end."""
    with pytest.raises(ValueError) as error:
        parser.parse_args(words)
    text, hint, rest = str(error.value).partition(" See emosphere own --help.")
    assert hint and not rest
    return text


def test_values_are_those_of_argparse(parser):
    words = ["x", "--size=4", "--set=p", "--set=q", "--many", "1", "2", "--flag", "--kind", "b"]
    options = parser.parse_args(words)
    assert (options.place, options.size, options.set) == ("x", 4, ["p", "q"])
    assert (options.many, options.flag, options.kind) == (["1", "2"], True, "b")
    expected = {"place": "x", "size": 3, "set": [], "many": [], "flag": False, "kind": None}
    assert vars(parser.parse_args(["x", "--size=3"])) == expected
    assert vars(parser.parse_intermixed_args(["x", "--size=3"])) == expected


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "missing arguments: PLACE, --size."),
        (["x"], "missing options: --size."),
        (["x", "--size"], "--size needs a value: --size=VALUE."),
        (["x", "--size=b"], "--size: invalid int value: 'b'."),
        (["x", "--size=3", "--siz=4"], "unrecognized arguments: --siz=4."),
        (["x", "y", "--size=3"], "unrecognized arguments: y."),
        (["x", "--size=3", "--flag=yes"], "--flag takes no value; found 'yes'."),
        (["x", "--size=3", "--kind=c"], "--kind: invalid choice: 'c' (choose from 'a', 'b')."),
    ],
)
def test_a_command_line_at_fault_is_a_value_error(parser, words, text):
    assert refusal(parser, words) == text


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--size=3", "--size=4"], "--size"),  # the first one's value is the default's
        (["--size=4", "--size=4"], "--size"),
        (["--size=4", "--flag", "--flag"], "--flag"),
        (["--size=4", "--many", "1", "--many", "2"], "--many"),
    ],
)
def test_an_option_that_is_given_twice_is_rejected(parser, words, name):
    assert refusal(parser, ["x", *words]) == f"{name} was given more than once."


def test_by_default_the_last_of_several_counts():
    words = ["x", "--size=3", "--size=4", "--flag", "--flag", "--many", "1", "--many", "2"]
    options = make_parser().parse_args(words)
    assert (options.size, options.flag, options.many) == (4, True, ["2"])


def test_a_parser_can_be_used_again(parser):
    for _ in range(2):
        assert parser.parse_args(["x", "--size=5"]).size == 5


def test_help_ends_with_status_0_and_keeps_line_breaks(capsys):
    with pytest.raises(SystemExit) as end:
        CommandParser("own", "One line.\nAnother.").parse_args(["--help"])
    assert end.value.code == 0
    assert "usage: emosphere own [-h]\n\nOne line.\nAnother.\n" in capsys.readouterr().out


def test_options_are_those_that_were_added(parser):
    assert parser.options == {"-h", "--help", "--size", "--set", "--many", "--flag", "--kind"}


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "", "two", "1_0", "²"])
def test_positive_integers(text):
    assert positive_int("007") == 7
    with pytest.raises(argparse.ArgumentTypeError, match="must be an integer >= 1; found"):
        positive_int(text)


def test_empty_values_are_rejected():
    assert nonempty(" ") == " "
    with pytest.raises(argparse.ArgumentTypeError, match="needs a value"):
        nonempty("")


def test_loaded_objects_are_exempt_from_garbage_collection(monkeypatch):
    monkeypatch.setattr(engines, "load_predictor", lambda source, **options: (source, options))
    parser = CommandParser("own", "Predicts.")
    parser.add_argument("model")
    add_runtime_options(parser, "files")
    gc.unfreeze()
    try:
        found = load_model(parser.parse_args(["m", "--engine=torch", "--precision=bf16"]))
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()
    settings = {"engine": "torch", "device": None, "precision": "bf16", "int8": False}
    assert found == ("m", settings)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--onnx", "--device=cpu"], "--device cannot be combined with --onnx"),
        (["--int8", "--engine=torch"], "--int8 cannot be combined with --engine=torch"),
    ],
)
def test_options_of_another_runtime_are_rejected(words, text):
    parser = CommandParser("own", "Predicts.")
    add_runtime_options(parser, "files")
    check_runtime(parser.parse_args(["--onnx", "--int8"]))
    check_runtime(parser.parse_args(["--int8"]))
    check_runtime(parser.parse_args(["--device=cpu"]))
    with pytest.raises(ValueError, match=text):
        check_runtime(parser.parse_args(words))
