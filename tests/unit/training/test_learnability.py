"""Warning about runs that are unlikely to learn: for the failing defaults, not for presets."""

import logging
import math

import pytest
import torch
from ruamel.yaml import YAML
from torch import nn

from emosphere_sb.lobes.tasks import EmotionTask, RegionTask
from emosphere_sb.recipe.arguments import HPARAMS, Arguments
from emosphere_sb.recipe.hparams import build_objects, merge
from emosphere_sb.training.learnability import (
    check_emotions,
    count_new_weights,
    is_adaptive,
    learning_problems,
    warn_if_hardly_trainable,
)
from tests.helpers.own_preset import merge_objects

FULL_SIZE_ENCODER = "!new:types.SimpleNamespace {output_size: 1024}"  # that of WavLM large
RANDOM_BACKBONE = ("learn", "demo")
WARNED = {
    "frozen backbone": ([], {"freeze": "all"}, 160),
    "frozen backbone, mean pooling": (["mean_pooling"], {"freeze": "all"}, 160),
    "frozen backbone, 50 clips": (["mean_pooling"], {"freeze": "all"}, 50),
    "frozen backbone, 200 clips": (["mean_pooling"], {"freeze": "all"}, 200),
    "frozen backbone, 2,000 clips": (["mean_pooling"], {"freeze": "all"}, 2000),
    "defaults, 50 clips": ([], {}, 50),
    "defaults": ([], {}, 160),
    "defaults, 200 clips": ([], {}, 200),
    "defaults, 2,000 clips": ([], {}, 2000),
    "published": (["published"], {}, 160),
    "published, 50 clips": (["published"], {}, 50),
    "published, 2,000 clips": (["published"], {}, 2000),
}
SIZES = (50, 200, 2000)
PRESETS = ("frozen", "lora", "finetune_top", "learn", "demo")


def warnings_of(presets, overrides, clips, caplog) -> str:
    """Return what a run of these settings logs, with full-size pooling and heads."""
    tree = merge(Arguments(HPARAMS / "emosphere.yaml", list(presets), overrides))
    if not set(presets) & set(RANDOM_BACKBONE):  # WavLM large is not available offline
        tree["encoder"] = YAML().load(FULL_SIZE_ENCODER)
        tree["normalisation"] = "none"
    built = build_objects(tree)
    parts = {name: part for name, part in built["modules"].items() if isinstance(part, nn.Module)}
    steps = math.ceil(clips / tree["batch_size"]) * tree["number_of_epochs"]
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        warn_if_hardly_trainable(nn.ModuleDict(parts), built, steps=steps, clips=clips)
    return caplog.text


@pytest.mark.parametrize("name", WARNED)
def test_default_settings_on_few_clips_warn(name, caplog):
    presets, overrides, clips = WARNED[name]
    text = warnings_of(presets, overrides, clips, caplog)
    assert "This run is unlikely to learn" in text and "--preset=frozen" in text
    assert "learning rate × steps = 1e-05 ×" in text


@pytest.mark.parametrize("clips", SIZES)
@pytest.mark.parametrize("preset", PRESETS)
def test_presets_for_small_data_do_not_warn(preset, clips, caplog):
    assert warnings_of([preset], {}, clips, caplog) == ""


@pytest.mark.parametrize("presets", [[], ["published"]])
def test_settings_of_the_paper_on_a_large_corpus_do_not_warn(presets, caplog):
    assert warnings_of(presets, {}, 100_000, caplog) == ""


def test_style_pooling_of_full_size_on_few_clips_warns(caplog):
    text = warnings_of([], {"lr": "0.001"}, 160, caplog)
    assert "weights start from random values, but there are only 160 clips" in text
    assert "learning rate" not in text


@pytest.mark.parametrize(
    ("lr", "steps", "new_weights", "clips", "count"),
    [
        (1e-5, 100, 1000, 160, 1),  # 0.001 < 0.015
        (1e-5, 1260, 1000, 2000, 1),  # 0.0126: the defaults with 2,000 clips, 63 steps per epoch
        (1e-5, 1501, 1000, 2400, 0),  # 0.01501
        (1e-3, 100, 1000, 160, 0),  # 0.1
        (None, 1, 1000, 160, 0),  # SGD
        (1e-3, 100, 16_000_001, 160, 1),  # more than 100,000 per clip
        (1e-3, 100, 16_000_000, 160, 0),
        (1e-5, 100, 16_000_001, 160, 2),
    ],
)
def test_both_limits(lr, steps, new_weights, clips, count):
    found = learning_problems(lr=lr, steps=steps, new_weights=new_weights, clips=clips)
    assert len(found) == count


def model():
    encoder = nn.Module()
    encoder.backbone, encoder.mix = nn.Linear(10, 10, bias=False), nn.Linear(3, 1, bias=False)
    head = nn.Linear(4, 2)
    head.bias.requires_grad_(False)
    return nn.ModuleDict({"encoder": encoder, "head": head})


@pytest.mark.parametrize(("backbone", "count"), [("a/folder", 3 + 8), ("small.json", 111)])
def test_pretrained_and_frozen_weights_are_not_new(backbone, count):
    assert count_new_weights(model(), backbone) == count


@pytest.mark.parametrize(
    ("name", "adaptive"), [("AdamW", True), ("Adam", True), ("NAdam", True), ("SGD", False)]
)
def test_only_optimisers_of_the_adam_type_limit_the_step(name, adaptive):
    assert is_adaptive(getattr(torch.optim, name)) is adaptive
    tree = merge_objects(["smoke"], {"opt_class": f"!name:torch.optim.{name} {{lr: !ref <lr>}}"})
    assert is_adaptive(build_objects(tree)["opt_class"]) is adaptive


# --- emotions of the training set ------------------------------------------------------------


def test_emotions_and_ignored_utterances_are_logged(caplog):
    caplog.set_level(logging.INFO)
    check_emotions(EmotionTask(["sad", "Happy"]), ["happy", "SAD", "sad", "other", "", "other"])
    assert caplog.messages == [
        "Emotions of the training set: sad 2, Happy 1",
        "The emotion head ignores 3 of 6 training utterances with other emotions: other 2, "
        "unknown 1",
    ]


def test_emotions_without_utterances_are_named(caplog):
    check_emotions(EmotionTask(["sad", "fear", "happy"]), ["sad"])
    (record,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert record.getMessage().startswith("No training utterance is fear or happy: ")


@pytest.mark.parametrize(
    ("emotions", "found"), [(["joyful", "calm", "calm"], "calm 2, joyful 1"), ([""], "unknown 1")]
)
def test_training_set_without_the_emotions_raises_with_those_it_has(emotions, found):
    with pytest.raises(ValueError, match=f"emotions sad, happy; found {found}.*--emotion_classes="):
        check_emotions(EmotionTask(["sad", "happy"]), emotions)


def test_regions_are_not_checked(caplog):
    caplog.set_level(logging.INFO)
    check_emotions(RegionTask(), [""])
    assert not caplog.messages
