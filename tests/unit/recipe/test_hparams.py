"""Merge and validation of the hyperparameter file, presets and the command line."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from emosphere_sb.fileio.yaml_tree import dump, read_tree, scalars
from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.hparams import (
    MINIMA,
    RESULT_NEUTRAL_KEYS,
    STRING_KEYS,
    WORD_KEYS,
    build_objects,
    differences,
    merge,
    read_presets,
)
from emosphere_sb.recipe.key_usage import PRESET_KEYS
from tests.helpers.own_preset import merge_objects

FILE = HPARAMS / "emosphere.yaml"
BASE, TABLE = read_tree(FILE), read_presets(FILE)
PRESETS = list(TABLE)
POOLING = "!new:emosphere_sb.lobes.MeanPooling {input_size: !ref <encoder.output_size>}"


def tree_of(*presets, file=FILE, **overrides):
    objects = [key for key, value in overrides.items() if str(value).startswith("!")]
    if file == FILE and set(objects) - set(STRING_KEYS):  # such as pooling
        return merge_objects(presets, {key: str(value) for key, value in overrides.items()})
    return merge(Arguments(file, list(presets), {key: str(v) for key, v in overrides.items()}))


def again(tree):
    return YAML().load(dump(tree))


def own_files(
    folder, text="a: 1\nseed: 3\nlr: 0.1\nreuse_manifests: True\n", presets="one:\n    a: 2\n"
):
    (folder / "own.yaml").write_text(text, encoding="utf-8")
    (folder / "presets.yaml").write_text(presets, encoding="utf-8")
    return folder / "own.yaml"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Small hyperparameter file."""
    folder = tmp_path_factory.mktemp("small")
    return own_files(folder, "data_folder: null\nresults_folder: results\n", "one: {}\n")


# --- presets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_is_merged(preset):
    values, tree = TABLE[preset], tree_of(preset)
    assert values
    for key, value in values.items():
        assert key in BASE
        assert dump_one(tree[key]) == dump_one(value)
    assert set(differences(tree, BASE)) <= {"preset", *values}


def dump_one(value):
    return dump(CommentedMap(x=value)).split("#")[0].strip()


def test_presets_are_applied_in_order_and_the_command_line_last():
    assert tree_of("published", "smoke")["batch_size"] == 16
    assert tree_of("smoke", "published")["batch_size"] == 64
    assert tree_of("smoke", "published", batch_size=5)["batch_size"] == 5


def test_preset_based_on_another_includes_its_values():
    learn, demo = tree_of("learn"), tree_of("demo")
    assert (learn["backbone"], learn["head_width"]) == (demo["backbone"], demo["head_width"])
    assert (learn["synthetic_corpus"], learn["batch_size"]) == (None, 16)


def test_merged_tree_names_its_preset():
    assert tree_of("published", "no_regions")["preset"] == "published+no_regions"
    assert tree_of()["preset"] == "emosphere"


def test_unknown_preset_suggests_the_closest_match():
    with pytest.raises(
        ValueError, match=r"Unknown preset 'publisht'. Did you mean 'published'\?"
    ) as e:
        tree_of("publisht")
    assert all(preset in str(e.value) for preset in PRESETS)


def test_unknown_key_suggests_the_closest_match():
    with pytest.raises(
        ValueError, match=r"Unknown key 'bach_size'. Did you mean 'batch_size'"
    ) as e:
        tree_of(bach_size=3)
    assert "micro_batch" in str(e.value)


@pytest.mark.parametrize("key", ["modules.encoder", "opt_class.lr", "encoder.freeze", "pooling.1"])
def test_nested_key_is_unknown(key):
    with pytest.raises(ValueError, match=f"Unknown key '{key}'"):
        merge(Arguments(FILE, [], {key: "1"}))


def test_unknown_key_in_a_preset_names_the_preset(tmp_path):
    file = own_files(tmp_path, presets="one:\n    b: 2\n")
    with pytest.raises(ValueError, match=r"preset 'one': Unknown key 'b'.*Allowed: a, lr"):
        tree_of("one", file=file)


@pytest.mark.parametrize("presets", ["one: 3\n", "one:\n", "one: [a]\n"])
def test_preset_must_be_a_mapping(tmp_path, presets):
    with pytest.raises(ValueError, match="Preset 'one' must be a mapping"):
        tree_of("one", file=own_files(tmp_path, presets=presets))


def test_mapping_that_connects_components_cannot_be_replaced():
    with pytest.raises(ValueError, match="'modules' cannot be overridden, because it defines how"):
        tree_of(modules="{encoder: 1}")


@pytest.mark.parametrize(
    ("text", "value"),
    [("[0, 2, 6]", [0, 2, 6]), ("[3]", [3]), ("concat", "concat"), ("4", 4), ("last", "last")],
)
def test_layers_are_text_a_number_or_a_list(text, value):
    tree = tree_of(layers=text)
    assert tree["layers"] == value
    assert again(tree)["layers"] == value


@pytest.mark.parametrize("share", ["-0.1", "1.5"])
def test_warmup_share_must_be_a_share(share):
    with pytest.raises(ValueError, match="warmup_share must be from 0 to 1; found"):
        tree_of(warmup_share=share)


# --- kinds of values -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("reuse_manifests", "yes", "true or false"),
        ("reuse_manifests", "1", "true or false"),
        ("batch_size", "many", "an integer"),
        ("batch_size", "1.5", "an integer"),
        ("batch_size", "True", "an integer"),
        ("lr", "fast", "a number"),
        ("lr", "null", "a number"),
        ("lr", "nan", "a number"),
        ("lr_backbone", "fast", "a number"),
        ("layerdrop", "none", "a number"),
        ("label_low", "[1]", "a number"),
        ("drop_train", "other", "a list"),
        ("results_folder", "null", "text"),
        ("pooling", "mean", "an object"),
        ("task", "null", "an object"),
    ],
)
def test_value_of_the_wrong_type_is_rejected(key, text, expected):
    message = rf"command line: {key} must be {expected}.*found '?.*{text[:3]}"
    with pytest.raises(ValueError, match=message):
        tree_of(**{key: text})


@pytest.mark.parametrize("key", ["lr", "release", "reuse_manifests", "data_folder", "layerdrop"])
def test_python_none_is_rejected(key):
    with pytest.raises(ValueError, match=rf"{key} is 'None'. Use null for no value"):
        tree_of(**{key: "None"})


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("release", "1.10", "1.10"), ("release", "null", None), ("data_folder", "007", "007"),
        ("results_folder", "1e3", "1e3"), ("reuse_manifests", "false", False), ("lr", "1e-5", 1e-5),
        ("lr", "3", 3), ("lr_backbone", "1e-6", 1e-6), ("max_grad_norm", "inf", math.inf),
        ("max_grad_norm", ".inf", math.inf), ("max_seconds", "null", None), ("seed", "07", 7),
        ("drop_train", "[a, b]", ["a", "b"]), ("drop_train", "[]", []), ("layerdrop", "0.1", 0.1),
        ("label_low", "-1", -1), ("auxiliary_head", "null", None), ("backbone", "1:30", "1:30"),
    ],
)  # fmt: skip
def test_value_of_the_right_type(key, text, value):
    found = tree_of(**{key: text})[key]
    assert found == value
    assert isinstance(found, type(value))


@pytest.mark.parametrize("key", sorted(MINIMA))
def test_integer_below_the_minimum_is_rejected(key):
    assert tree_of(**{key: MINIMA[key]})[key] == MINIMA[key]
    with pytest.raises(ValueError, match=f"{key} must be an integer >= {MINIMA[key]}"):
        tree_of(**{key: MINIMA[key] - 1})


@pytest.mark.parametrize("word", ["yes", "No", "off", "None"])
def test_yaml_1_1_boolean_is_rejected_in_a_file(tmp_path, word):
    file = own_files(tmp_path, f"reuse_manifests: {word}\n")
    with pytest.raises(ValueError, match=rf"reuse_manifests is '{word}'\. Use True, False or null"):
        tree_of(file=file)


@pytest.mark.parametrize(("key", "text"), [("freeze", "none"), ("normalisation", "none")])
def test_saved_text_that_looks_like_a_boolean_is_read_as_text(tmp_path, key, text):
    saved = tmp_path / "hyperparams.yaml"
    saved.write_text(dump(tree_of("smoke", **{key: text})), encoding="utf-8")
    assert f"\n{key}: {text}" in saved.read_text(encoding="utf-8")  # unquoted
    tree = tree_of(file=saved)
    assert tree[key] == text
    assert differences(tree, read_tree(saved)) == []


def test_key_of_ones_own_takes_the_text_that_the_run_has_saved(tmp_path):
    file = own_files(tmp_path, "mode: fast\npart: !new:a.B {mode: !ref <mode>}\n")
    saved = tmp_path / "hyperparams.yaml"
    saved.write_text(dump(tree_of(file=file, mode="off")), encoding="utf-8")
    assert tree_of(file=saved)["mode"] == "off"


@pytest.mark.parametrize(
    ("key", "word"), [("reuse_manifests", "yes"), ("layerdrop", "none"), ("freeze", "None")]
)
def test_yaml_1_1_boolean_is_rejected_in_a_saved_file(tmp_path, key, word):
    saved = tmp_path / "hyperparams.yaml"
    saved.write_text(f"{key}: {word}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"{key} is '{word}'\. Use True, False or null"):
        tree_of(file=saved)


@pytest.mark.parametrize("key", STRING_KEYS)
def test_text_that_looks_like_a_number_must_be_quoted_in_the_file(tmp_path, key):
    with pytest.raises(ValueError, match=f"{key} must be text; found '1.1"):
        tree_of(file=own_files(tmp_path, f"{key}: 1.10\n"))


@pytest.mark.parametrize("key", [key for key in STRING_KEYS if key not in WORD_KEYS])
def test_quoted_text_that_looks_like_a_number_is_text(tmp_path, key):
    assert tree_of(file=own_files(tmp_path, f"{key}: '1.10'\n"))[key] == "1.10"


@pytest.mark.parametrize(
    ("value", "expected"), [("wandb", "wandb"), ("tensorboard", "tensorboard"), ("null", None)]
)
def test_logger_is_null_or_the_name_of_a_logger(value, expected):
    assert tree_of(logger=value)["logger"] == expected


def test_unknown_logger_names_the_choices():
    with pytest.raises(
        ValueError, match="logger must be null, tensorboard or wandb; found 'mlflow"
    ):
        tree_of(logger="mlflow")


# --- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a: [1, 2\nb: 3\n", "a: 1\na: 2\n", "a: 1\n  b: 2\n"])
def test_invalid_yaml_names_file_and_place(tmp_path, text):
    file = own_files(tmp_path, text)
    with pytest.raises(ValueError, match=r"(?s)own\.yaml is not valid YAML: .*line \d"):
        tree_of(file=file)


def test_file_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "own.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(ValueError, match=r"own\.yaml is not valid YAML: 'utf-8'"):
        read_tree(tmp_path / "own.yaml")


@pytest.mark.parametrize(
    ("text", "found"), [("", "NoneType"), ("- 1\n", "CommentedSeq"), ("3", "int")]
)
def test_file_must_be_a_mapping(tmp_path, text, found):
    with pytest.raises(
        ValueError, match=f"must contain a mapping of keys to values; found {found}"
    ):
        read_tree(own_files(tmp_path, text))


# --- dump and read ---------------------------------------------------------------------------


@pytest.mark.parametrize("preset", [None, *PRESETS])
def test_dump_reads_back_without_a_difference(preset):
    tree = tree_of(*([preset] if preset else []))
    back = again(tree)
    assert list(back) == list(tree)
    assert differences(back, tree) == []
    assert dump(back) == dump(tree)


# Without control characters and line separators, which no label file or folder is named with.
PATHS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1)


@settings(max_examples=40, deadline=None)
@given(text=PATHS.filter(lambda text: text not in ("null", "None")))
def test_any_path_survives_merge_dump_and_read(small, text):
    tree = tree_of(file=small, data_folder=text, results_folder=text)
    back = again(tree)
    assert (tree["data_folder"], back["data_folder"], back["results_folder"]) == (text, text, text)


@pytest.mark.parametrize(
    "text", ["1.10", "a: b #c=d", "ü <seed>", "yes", "12:30:45", "!ref <seed>"]
)
def test_text_reaches_the_built_hyperparameters(text):
    assert build_objects(tree_of("smoke", labels_file=text))["labels_file"] == text


def test_replaced_class_has_no_arguments_of_the_old_class():
    tree = tree_of("smoke", "mean_pooling")
    assert differences(tree, tree_of("smoke", pooling=POOLING)) == ["preset"]
    assert len(tree["pooling"]) == 1
    built = build_objects(again(tree))
    assert type(built["pooling"]).__name__ == "MeanPooling"
    assert built["pooling"].output_size == built["encoder"].output_size


def test_replaced_class_has_no_named_arguments_of_the_old_class():
    tree = tree_of("smoke", opt_class="!name:torch.optim.SGD {momentum: 0.5}")
    assert dict(again(tree)["opt_class"]) == {"momentum": 0.5}
    optimizer = build_objects(tree)["opt_class"]
    assert optimizer.func.__name__ == "SGD"
    assert optimizer.keywords == {"momentum": 0.5}


@pytest.mark.parametrize(
    ("pooling", "message"),
    [
        ("!new:emosphere_sb.lobes.MeanPool [16]", "emosphere_sb.lobes.MeanPool"),
        ("!new:nowhere.MeanPooling [16]", "nowhere.MeanPooling"),
        ("!new:emosphere_sb.lobes.MeanPooling [1, 2, 3]", "MeanPooling"),
        ("!new:emosphere_sb.lobes.MeanPooling {size: 3}", "size"),
        ("!new:emosphere_sb.lobes.MeanPooling [!ref <encoder.size>]", "size"),
        ("!new:emosphere_sb.lobes.MeanPooling [!ref <coder.size>]", "coder"),
        ("!name:emosphere_sb.lobes.MeanPooling", "output_size"),
        ("!nwe:emosphere_sb.lobes.MeanPooling", "!nwe"),
    ],
)
def test_object_that_cannot_be_created_is_named(pooling, message):
    with pytest.raises(ValueError, match=message):
        build_objects(tree_of("smoke", pooling=pooling))


# --- differences -----------------------------------------------------------------------------


@pytest.mark.parametrize("table", [RESULT_NEUTRAL_KEYS, STRING_KEYS, MINIMA])
def test_keys_of_the_tables_exist(table):
    assert set(table) <= set(BASE)


OTHER = {  # another value for every key that can be set
    **dict.fromkeys(STRING_KEYS, "x"), "label_low": 0, "label_high": 9, "layerdrop": 0.5,
    "max_seconds": None, "lr_backbone": 1.0, "max_grad_norm": 1.0, "region_soft_targets": 4.0,
    "freeze_schedule": {1: "all"},
}  # fmt: skip


def another(key, value):
    if key in OTHER:
        return OTHER[key]
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return ["x"] if isinstance(value, list) else "x"


@pytest.mark.parametrize("key", [*scalars(BASE), "lr_backbone"])
def test_different_value_is_found_unless_result_neutral(key):
    if key == "preset":
        expected, tree = ["preset"], {**BASE, "preset": "other"}
    else:
        # No component of the file refers to the keys of presets.
        expected = [] if key in (*RESULT_NEUTRAL_KEYS, *PRESET_KEYS) else [key]
        tree = {**BASE, key: another(key, BASE[key])}
    assert differences(tree, BASE) == differences(BASE, tree) == expected


@pytest.mark.parametrize(
    ("key", "first", "second"),
    [
        ("task", "!new:a.B [90]", "!new:a.C [90]"),  # class
        ("task", "!new:a.B [90]", "!new:a.B [60]"),  # argument
        ("task", "!new:a.B [90]", "!name:a.B [90]"),  # tag
        ("task", "!new:a.B [[1, 2]]", "!new:a.B [[1, 3]]"),  # deep argument
        ("task", "!new:a.B {a: 1}", "!new:a.B {b: 1}"),  # name of an argument
        ("task", "!new:a.B [!ref <lr>]", "!new:a.B [!ref <seed>]"),  # reference
        ("task", "!new:a.B []", "!new:a.B [null]"),
        ("auxiliary_head", "!new:a.B []", "null"),
        ("opt_class", "!name:torch.optim.SGD", "!name:torch.optim.Adam"),  # tag without arguments
    ],
)
def test_different_object_is_found(key, first, second):
    found = differences(tree_of(**{key: first}), again(tree_of(**{key: second})))
    assert [name for name in found if name != "preset"] == [key]  # objects are in a preset
    assert differences(tree_of(**{key: first}), again(tree_of(**{key: first}))) == []


def test_missing_key_is_a_difference():
    tree, fewer = tree_of(), tree_of()
    del fewer["patience"]
    assert differences(tree, fewer) == differences(fewer, tree) == ["patience"]


def test_scalars_exclude_objects():
    values = scalars(tree_of("smoke", drop_train="[other]"))
    assert (values["drop_train"], values["batch_size"]) == (["other"], 16)
    assert not {"pooling", "modules", "opt_class", "lr_backbone"} & set(values)


# --- what the command line must not do ---------------------------------------------------------

TRAPS = [
    ("pooling", "!apply:os.system ['{}']"), ("pooling", "!new:os.system ['{}']"),
    ("drop_train", "[!apply:os.system ['{}']]"), ("drop_train", "a\n- !apply:os.system ['{}']"),
    ("layerdrop", "!apply:os.system ['{}']"), ("partition", "!apply:os.system ['{}']"),
    ("freeze_schedule", "{{1: !apply:os.system ['{}']}}"),
    ("freeze_schedule", "{{!apply:os.system ['{}']: all}}"),
    ("seed", "!!python/object/apply:os.system ['{}']"), ("opt_class", "!name:os.system"),
    ("lr_backbone", "!ref <lr>"), ("lr_backbone", "!copy <lr>"), ("lr", "!!float 1"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "text"), TRAPS)
def test_tag_on_the_command_line_is_rejected(tmp_path, key, text):
    sprung = tmp_path / "sprung"
    message = rf"command line: {key} must be a plain value; found the YAML tag .*write a preset"
    with pytest.raises(ValueError, match=message):
        build_objects(merge(Arguments(FILE, ["smoke"], {key: text.format(f"touch {sprung}")})))
    assert not sprung.exists()


def test_tag_in_a_text_value_is_text(tmp_path):
    text = f"!apply:os.system ['touch {tmp_path}/sprung']"
    tree = merge(Arguments(FILE, ["smoke"], {"labels_file": text}))
    assert build_objects(again(tree))["labels_file"] == text
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("key", ["release", "partition", "synthetic_corpus"])
@pytest.mark.parametrize(
    "name", ["../../x", "a/b", "/x", "..", ".", "..\\x", "a\x00b", "a\nb", " "]
)
def test_name_of_a_folder_cannot_lead_elsewhere(key, name):
    with pytest.raises(ValueError, match=f"{key} must be a name without"):
        merge(Arguments(FILE, [], {key: name}))


def test_preset_of_a_saved_file_cannot_lead_elsewhere(tmp_path):
    saved = tmp_path / "hyperparams.yaml"
    tree = read_tree(FILE)
    tree["preset"] = "../../x"
    saved.write_text(dump(tree), encoding="utf-8")
    with pytest.raises(ValueError, match="preset must be a name without"):
        merge(Arguments(saved, [], {}))
