"""Parsing of the command line, including SpeechBrain's run options."""

import pytest

from emosphere_sb.recipe.arguments import (
    FLAGS,
    HPARAMS,
    INTEGERS,
    LISTS,
    NUMBERS,
    RUN_OPTIONS,
    find_file,
    parse_arguments,
)

FILE = str(HPARAMS / "emosphere.yaml")
KNOWN = {"data_folder", "release", "precision", "max_grad_norm", "seed"}


def parse(*words, known=KNOWN):
    return parse_arguments([FILE, *words], known)


@pytest.mark.parametrize(
    "value", ["a=b", "/a b/c", "C:/x: y", "/x #1", "/Müller/日本", "a=b=c", "'q\"", "-1", "[a, b]"]
)
@pytest.mark.parametrize("joined", [True, False])
def test_value_is_not_changed(value, joined):
    words = [f"--data_folder={value}"] if joined else ["--data_folder", value]
    assert parse(*words).overrides == {"data_folder": value}


def test_file_may_be_at_any_position():
    parsed = parse_arguments(["--seed=1", FILE, "--release", "1.10"], KNOWN)
    assert str(parsed.file) == FILE
    assert parsed.overrides == {"seed": "1", "release": "1.10"}


def test_names_are_not_abbreviated():
    parsed = parse("--data=/p", "--tes=1")  # argparse would read data_parallel_backend, test_only
    assert parsed.overrides == {"data": "/p", "tes": "1"}
    assert parsed.run_options == {}


@pytest.mark.parametrize("words", [["--seed"], ["--seed", "--debug"], ["--preset"]])
def test_option_without_a_value_is_rejected(words):
    with pytest.raises(ValueError, match=rf"{words[0]} needs a value: {words[0]}=VALUE"):
        parse(*words)


@pytest.mark.parametrize("words", [["--data_folder="], ["--data_folder", ""]])
def test_empty_value_is_rejected(words):
    """--data_folder=$UNSET must not prepare the current folder."""
    with pytest.raises(ValueError, match=r"--data_folder is empty. Use --data_folder=null"):
        parse(*words)


@pytest.mark.parametrize("name", ["preset", "device", "debug_batches"])
def test_empty_value_of_an_option_that_is_never_null_does_not_suggest_null(name):
    with pytest.raises(ValueError, match=rf"^--{name} is empty. Give it a value, or leave it out"):
        parse(f"--{name}=")


def test_unknown_key_without_a_value_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"--sead needs a value.*Did you mean --seed\?"):
        parse("--sead", "3")
    with pytest.raises(ValueError, match=r"^--xyzzy needs a value: --xyzzy=VALUE\.$"):
        parse("--xyzzy", "3")


def test_presets_are_joined_by_a_plus_and_name_the_run():
    parsed = parse("--preset=published+no_regions")
    assert parsed.presets == ["published", "no_regions"]
    assert parsed.preset == "published+no_regions"


def test_run_without_a_preset_is_named_by_its_file():
    assert parse().preset == "emosphere"


def test_repeated_preset_is_rejected():
    with pytest.raises(ValueError, match="--preset was given more than once"):
        parse("--preset=a", "--preset=b")


@pytest.mark.parametrize(
    ("words", "found"), [([], "none"), (["a.yaml", "b.yaml"], "a.yaml, b.yaml"), (["-x"], "-x")]
)
def test_exactly_one_file(words, found):
    with pytest.raises(
        ValueError, match=rf"Exactly one hyperparameter file.*; found ({found}|.*does not)|-x"
    ):
        parse_arguments(words, KNOWN)


def test_values_of_flags_numbers_and_lists():
    parsed = parse(
        "--debug", "--noprogressbar=False", "--jit=true", "--debug_batches=3", "--device", "cuda:1",
        "--jit_module_keys=encoder,pooling",
    )  # fmt: skip
    assert parsed.run_options == {
        "debug": True, "noprogressbar": False, "jit": True, "debug_batches": 3, "device": "cuda:1",
        "jit_module_keys": ["encoder", "pooling"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--debug=1", "--debug must be True or False; found '1'"),
        ("--debug_batches=many", "--debug_batches must be an integer; found 'many'"),
        ("--debug_batches=1.5", "--debug_batches must be an integer; found '1.5'"),
    ],
)
def test_run_option_of_the_wrong_type_is_rejected(word, message):
    with pytest.raises(ValueError, match=message):
        parse(word)


def test_key_of_the_file_takes_precedence_over_a_run_option():
    assert parse("--precision=bf16").overrides == {"precision": "bf16"}
    assert parse("--precision=bf16", known=set()).run_options == {"precision": "bf16"}
    assert parse("--max_grad_norm=2.5", known=set()).run_options == {"max_grad_norm": 2.5}


def test_flag_that_the_file_has_as_a_key_takes_a_value():
    assert parse("--debug", "False", known={"debug"}).overrides == {"debug": "False"}


@pytest.fixture(scope="module")
def speechbrain_options():
    """Actions of SpeechBrain's parser by name."""
    run_opts = pytest.importorskip("speechbrain.utils.run_opts")
    actions = run_opts.RunOptions._create_parser()._actions
    return {action.dest: action for action in actions if action.dest not in ("help", "param_file")}


def test_run_options_are_speechbrains(speechbrain_options):
    assert len(speechbrain_options) > 25
    assert sorted(RUN_OPTIONS) == sorted(speechbrain_options)


def test_run_options_take_what_speechbrain_takes(speechbrain_options):
    assert set(FLAGS) == {
        name for name, action in speechbrain_options.items() if action.const is True
    }
    assert set(LISTS) == {
        name for name, action in speechbrain_options.items() if action.nargs == "*"
    }
    assert set(NUMBERS) == {
        name for name, action in speechbrain_options.items() if action.type is float
    }
    assert {name for name, action in speechbrain_options.items() if action.type is int} <= set(
        INTEGERS
    )


def test_package_file_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_file("hparams/emosphere.yaml") == HPARAMS / "emosphere.yaml"
    assert find_file("emosphere.yaml") == HPARAMS / "emosphere.yaml"


def test_file_in_the_working_directory_takes_precedence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "emosphere.yaml").write_text("a: 1")
    assert find_file("emosphere.yaml").resolve() == tmp_path / "emosphere.yaml"


def test_mistyped_folder_does_not_select_another_file():
    with pytest.raises(
        ValueError, match=r"my/emosphere\.yaml does not exist\. The package's files are in"
    ):
        find_file("my/emosphere.yaml")
