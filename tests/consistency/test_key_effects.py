"""A key on the command line changes the objects of a run, or is rejected: presets times keys."""

import functools
from types import FunctionType

import pytest
import torch
from torch import nn

from emosphere_sb.fileio.yaml_tree import dump, read_tree, scalars
from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.command_line import read_command
from emosphere_sb.recipe.hparams import (
    SAVED,
    build_objects,
    differences,
    merge,
    read_presets,
)
from emosphere_sb.recipe.key_usage import (
    CONDITIONS,
    READ_BY_RECIPE,
    check_effects,
    class_of,
    references,
)
from tests.helpers.own_preset import merge_objects

FILE = HPARAMS / "emosphere.yaml"
BASE = read_tree(FILE)
PRESETS = list(read_presets(FILE))
COMPONENTS = [key for key, value in BASE.items() if class_of(value) and not key.startswith("__")]
USERS = references(BASE)
KEYS = [key for key in scalars(BASE) if USERS[key] & set(COMPONENTS)]

OTHER = {  # another allowed value for each key that components use
    "normalisation": "utterance", "backbone": "wavlm_demo.json", "freeze": "all",
    "freeze_schedule": "{1: all, 2: none}", "layers": "0", "spec_augment": "False",
    "layer_normalisation": "layer_norm", "standardise_labels": "True",
    "layerdrop": "0.25", "gradient_checkpointing": "True", "lora_rank": "2", "lora_alpha": "8.0",
    "lora_dropout": "0.25", "lora_targets": "[k_proj]", "trust_remote_code": "True",
    "pooling_dim": "24", "pooling_heads": "4", "pooling_kernel_size": "3",
    "pooling_dropout": "0.25",
    "pooling_attention_scale": "d_head", "head_width": "24", "head_dropout": "0.25",
    "region_angle": "60", "region_class_weights": "none", "region_soft_targets": "2.0",
    "region_centre_radius": "0.125", "aux_weight_start": "0.5", "aux_weight_end": "0.25",
    "aux_decay_epochs": "3", "aux_after_decay": "keep", "dimension_weights": "[1.0, 2.0, 3.0]",
    "mse_weight": "0.5", "number_of_epochs": "30", "patience": "1", "lr": "0.5",
}  # fmt: skip
ALSO = {"lora_alpha": "lora_rank", "lora_dropout": "lora_rank", "lora_targets": "lora_rank"}
"""Keys that need another one to be set as well."""
NOT_BUILT = {"trust_remote_code"}
"""Keys whose effect no attribute of the built objects shows."""


def test_every_key_of_a_component_has_another_value():
    assert set(OTHER) == set(KEYS)
    assert len(PRESETS) > 20 and len(KEYS) > 25


@functools.cache
def tree_of(presets: tuple[str, ...], overrides: tuple[tuple[str, str], ...] = ()):
    return merge(Arguments(FILE, list(presets), dict(overrides)))


@functools.cache
def state_of(presets: tuple[str, ...], overrides: tuple[tuple[str, str], ...] = ()):
    """Everything that the objects of a run are made of, apart from the random weights."""
    objects = build_objects(tree_of(presets, overrides))
    return {key: snapshot(objects[key], 0) for key in COMPONENTS}


def snapshot(value, depth):
    """Attributes, shapes and arguments of an object, as plain values."""
    if isinstance(value, torch.Tensor):
        values = value.tolist() if value.numel() < 100 and not value.requires_grad else None
        return ("tensor", tuple(value.shape), value.requires_grad, values)
    if isinstance(value, functools.partial):
        return (value.func.__name__, snapshot(value.keywords, depth + 1))
    if isinstance(value, dict):
        return {str(key): snapshot(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [snapshot(item, depth + 1) for item in value]
    if isinstance(value, nn.Module):
        plain = {key: item for key, item in vars(value).items() if key not in vars(nn.Module())}
        parts = {**dict(value._modules), **dict(value._parameters), **dict(value._buffers)}
        return (type(value).__name__, snapshot(plain, depth + 1), snapshot(parts, depth + 1))
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if depth < 12 and hasattr(value, "__dict__") and not isinstance(value, (type, FunctionType)):
        return (type(value).__name__, snapshot(vars(value), depth + 1))
    return type(value).__name__


def wiring(preset: str) -> tuple:
    """Classes of the components."""
    tree = tree_of((preset, "smoke"))
    return tuple(class_of(tree[key]) for key in COMPONENTS)


WIRINGS = {wiring(preset): preset for preset in reversed(PRESETS)}
"""One preset for each combination of classes: the others use the same keys."""


def cases() -> list[tuple[str, str]]:
    """Every key with the regular classes; with others, the keys of the components that change."""
    regular = wiring("smoke")
    found = [("smoke", key) for key in KEYS]
    for classes, preset in WIRINGS.items():
        pairs = zip(COMPONENTS, classes, regular, strict=True)
        changed = {component for component, name, usual in pairs if name != usual}
        changed |= {"weighting"} if "NoTask" in classes else set()
        found += [(preset, key) for key in KEYS if USERS[key] & changed]
    return found


def test_there_are_several_combinations_of_classes():
    assert len(WIRINGS) >= 7 and len(cases()) > len(KEYS) + 20


@pytest.mark.parametrize(("preset", "key"), cases())
def test_set_key_changes_the_built_objects_or_is_rejected(preset, key):
    presets = (preset, "smoke")
    needed = ((ALSO[key], OTHER[ALSO[key]]),) if key in ALSO else ()
    overrides = (*needed, (key, OTHER[key]))
    try:
        tree = tree_of(presets, overrides)
    except ValueError as error:
        assert f"--{key} has no effect" in str(error)
        assert not references(tree_of(presets))[key] & set(COMPONENTS) - unused(tree_of(presets))
        return
    if key in NOT_BUILT:
        assert tree[key] != tree_of(presets)[key]
    else:
        assert state_of(presets, overrides) != state_of(presets, needed), key


def unused(tree) -> set[str]:
    """Components that are built and never called: without a task there is nothing to weight."""
    return {"weighting"} if class_of(tree["task"]) == "NoTask" else set()


@pytest.mark.parametrize("preset", PRESETS)
def test_key_of_every_preset_reaches_a_component_or_is_rejected(preset):
    tree = tree_of((preset,))
    used = references(tree)
    for key in set(KEYS) - set(CONDITIONS):
        rejected = False
        try:
            check_effects(tree, USERS, [key])
        except ValueError as error:
            assert f"--{key} has no effect" in str(error)
            rejected = True
        reaches = bool(used[key] - unused(tree)) or key in READ_BY_RECIPE
        assert rejected != reaches, key


@pytest.mark.parametrize(
    ("presets", "overrides", "component"),
    [
        (["mean_pooling"], {"pooling_dim": "256"}, "pooling is MeanPooling, which does not use it"),
        (["attentive_statistics"], {"pooling_heads": "4"}, "pooling is AttentiveStatsPooling"),
        (["no_regions"], {"region_angle": "45"}, "task is NoTask, which does not use it"),
        (["no_regions"], {"aux_decay_epochs": "3"}, "task is NoTask"),
        (["categorical"], {"region_class_weights": "none"}, "task is EmotionTask"),
        (["constant_weight"], {"aux_decay_epochs": "3"}, "weighting is ConstantWeight"),
        (["emotions"], {"aux_decay_epochs": "3"}, "weighting is ConstantWeight"),
        ([], {"emotion_classes": "[happy]"}, "task is RegionTask"),
        (["categorical"], {"emotion_classes": "[happy]"}, "task is EmotionTask"),
        (["uncertainty"], {"aux_weight_start": "0.5"}, "weighting is UncertaintyWeighting"),
        ([], {"opt_class": "!name:torch.optim.SGD {lr: 0.5}", "lr_loss_weights": "0.5"},
         "weighting is LinearDecay"),
        ([], {"lr_layer_weights": "0.5"}, "layers is last"),
        ([], {"layers": "[0, 2]", "lr_layer_weights": "0.5"}, r"layers is \[0, 2\]"),
        ([], {"average_checkpoints": "3", "test_weights": "last"}, "average_checkpoints is 3"),
        ([], {"warmup_share": "0.1", "warmup_steps": "5"}, "warmup_share is 0.1"),
        ([], {"lora_alpha": "8"}, "lora_rank is 0"),
        ([], {"feature_cache_precision": "fp16"}, "feature_cache is False"),
        ([], {"freeze_schedule": "{1: all}", "freeze": "none"}, "freeze_schedule is {1: 'all'}"),
        ([], {"lora_rank": "2", "freeze": "none"}, "lora_rank is 2"),
        ([], {"lora_rank": "2", "freeze_schedule": "{1: all}"}, "lora_rank is 2"),
        (["uncertainty", "no_regions"], {"lr_loss_weights": "0.5"}, "task is NoTask"),
        ([], {"folds": "3"}, "partition is null"),
        (["published"], {"folds": "3"}, "partition is paper"),
        ([], {"data_folder": "/x", "synthetic_corpus": "demo"}, "data_folder is /x"),
    ],
)  # fmt: skip
def test_key_without_effect_names_the_component(presets, overrides, component):
    key = list(overrides)[-1]
    with pytest.raises(ValueError, match=f"--{key} has no effect: {component}"):
        merge_objects(presets, overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        {"encoder": "!new:mine.Encoder {alpha: !ref <lora_alpha>}", "lora_alpha": "8"},
        {"encoder": "!new:mine.Encoder {freeze: !ref <freeze>, rank: !ref <lora_rank>}",
         "lora_rank": "2", "freeze": "none"},
        {"pooling": "!new:mine.Pooling {width: !ref <pooling_dim>}", "pooling_dim": "16"},
        {"pooling": "!new:mine.Pooling [!ref <pooling_dim>]", "pooling_dim": "16"},
        {"pooling": "!new:mine.Pooling {width: !copy <pooling_dim>}", "pooling_dim": "16"},
        {"pooling": "!new:mine.Pooling {parts: [{width: !ref <pooling_dim> // 2}]}",
         "pooling_dim": "16"},
        {"opt_class": "!name:torch.optim.SGD {momentum: 0.9}", "lr": "0.5"},
        {"task": "!new:mine.Task {angle: !ref <region_angle>}", "region_angle": "45"},
        {"weighting": "!new:mine.Weighting {}", "lr_loss_weights": "0.5"},
    ],
)  # fmt: skip
def test_key_that_a_component_of_one_s_own_uses_is_accepted(overrides):
    key, text = list(overrides.items())[-1]
    assert str(merge_objects([], overrides)[key]) == text


@pytest.fixture
def own_file(tmp_path):
    """Write a hyperparameter file of one's own: average pooling, and three more keys."""
    style = FILE.read_text(encoding="utf-8")
    begin, end = style.index("pooling: !new:"), style.index("vad_head: !new:")
    text = "pooling: !new:emosphere_sb.lobes.MeanPooling\n    input_size: !ref <copied>\n"
    text = f"{style[:begin]}{text}{style[end:]}\nused: 16\ncopied: !copy <used>\nunused: 1\n"
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("key", "reason"),
    [("pooling_dim", "pooling is MeanPooling"), ("unused", "no component refers to it")],
)
def test_key_without_effect_in_a_file_of_one_s_own_is_rejected(own_file, key, reason):
    with pytest.raises(ValueError, match=f"--{key} has no effect: {reason}"):
        read_command([str(own_file), f"--{key}=256"], corpus="IEMOCAP")


def test_key_that_a_file_of_one_s_own_uses_is_accepted(own_file):
    request = read_command([str(own_file), "--used=32", "--head_width=8"], corpus="IEMOCAP")
    assert (request.tree["used"], request.tree["head_width"]) == (32, 8)


def test_key_without_effect_in_the_saved_file_of_a_run_is_rejected(tmp_path):
    saved = tmp_path / SAVED
    saved.write_text(dump(tree_of(("mean_pooling",))), encoding="utf-8")
    with pytest.raises(ValueError, match="--pooling_dim has no effect: pooling is MeanPooling"):
        read_command([str(saved), "--pooling_dim=256"], corpus="IEMOCAP")


@pytest.mark.parametrize(
    ("presets", "reason"),
    [
        (["categorical", "regions_45"], r"'regions_45' .*region_angle: task is EmotionTask"),
        (["no_regions", "soft_regions"], r"'soft_regions' .*region_soft_targets: task is NoTask"),
        (["no_regions", "constant_weight"], r"'constant_weight' .*weighting: task is NoTask"),
        (["uncertainty", "keep_floor"], r"'keep_floor' .*weighting is UncertaintyWeighting"),
    ],
)
def test_preset_without_effect_on_those_before_it_is_rejected(presets, reason):
    with pytest.raises(ValueError, match=rf"Preset {reason}.*move it before"):
        merge(Arguments(FILE, presets))


@pytest.mark.parametrize("presets", [["soft_regions", "no_regions"], ["mean_pooling", "published"]])
def test_later_preset_may_replace_what_an_earlier_one_changes(presets):
    assert merge(Arguments(FILE, presets))["preset"] == "+".join(presets)


def test_conditions_are_about_keys_that_exist():
    assert {*CONDITIONS, *(other for pairs in CONDITIONS.values() for other, _ in pairs)} <= set(
        BASE
    )


def test_emotion_classes_are_the_classes_of_the_preset_emotions():
    tree = merge(Arguments(FILE, ["smoke", "emotions"], {"emotion_classes": "[happy, calm]"}))
    objects = build_objects(tree)
    assert objects["task"].names == ["happy", "calm"]
    assert objects["auxiliary_head"].layers[-1].out_features == 2
    for epoch in (1, 100):
        objects["weighting"].set_epoch(epoch)
        assert objects["weighting"].active


def test_key_that_only_presets_use_does_not_change_other_runs():
    one = merge(Arguments(FILE, ["smoke"]))
    saved = merge(Arguments(FILE, ["smoke"]))
    del saved["emotion_classes"]  # a run of an earlier version
    assert differences(one, saved) == []
    emotions = merge(Arguments(FILE, ["smoke", "emotions"]))
    other = merge(Arguments(FILE, ["smoke", "emotions"], {"emotion_classes": "[happy, sad]"}))
    assert differences(emotions, other) == ["emotion_classes"]


def test_the_paper_s_settings_are_keys():
    overrides = {"region_angle": "45", "pooling_dim": "256", "aux_decay_epochs": "3"}
    objects = build_objects(merge(Arguments(FILE, ["smoke"], overrides)))
    assert objects["task"].size == 32 == (360 // 45) * (180 // 45)
    assert objects["pooling"].output_size == 256
    weighting = objects["weighting"]
    weights = []
    for epoch in (1, 2, 3, 4):
        weighting.set_epoch(epoch)
        weights.append(weighting.weight)
    assert weights == pytest.approx([1.0, 0.67, 0.34, 0.0])  # 1 - 0.99 / 3 per epoch, then dropped


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_builds(preset):
    assert set(COMPONENTS) <= set(build_objects(tree_of((preset, "smoke"))))


@pytest.mark.parametrize(
    ("presets", "overrides", "expected"),
    [
        (["mean_pooling"], {}, ("MeanPooling", {"input_size"})),
        ([], {"pooling": "!new:emosphere_sb.lobes.MeanPooling {input_size: 16}"},
         ("MeanPooling", {"input_size"})),
        (["mean_pooling"],
         {"pooling": "!new:emosphere_sb.lobes.StylePooling {input_size: 16, width: 8}"},
         ("StylePooling", {"input_size", "width"})),
    ],
)  # fmt: skip
def test_change_of_class_leaves_no_argument_of_the_old_class(presets, overrides, expected):
    tree = merge_objects([*presets, "smoke"], overrides)
    assert (class_of(tree["pooling"]), set(tree["pooling"])) == expected
    assert type(build_objects(tree)["pooling"]).__name__ == expected[0]


def test_load_hyperpyyaml_used_directly_keeps_the_old_class():
    """What the docs warn of: its overrides merge a mapping into the class that is there."""
    from hyperpyyaml import load_hyperpyyaml

    text = "pooling: !new:collections.OrderedDict {a: 1}"
    loaded = load_hyperpyyaml(text, {"pooling": {"b": 2}})
    assert dict(loaded["pooling"]) == {"a": 1, "b": 2}
